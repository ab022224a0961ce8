"""Hooks on the modules of Hugging Face models: injected perturbations, replayed dropout, predicted positions only."""
