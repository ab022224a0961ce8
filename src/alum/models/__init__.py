"""Hugging Face models: loading and making them, finding their parts, and hooks that add perturbations."""
