"""ALUM inside the Hugging Face Trainer."""
