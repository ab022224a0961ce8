"""Adversarial training (ALUM) in the Hugging Face Trainer, or in a loop of your own."""
