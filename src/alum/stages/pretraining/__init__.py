"""Pre-training on text, from scratch or continued."""
