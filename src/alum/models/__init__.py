"""Adapters to Hugging Face models: where a perturbation goes in, which rows reach the head, which dropout masks."""
