"""Pre-training of language models on text, from scratch or continued."""
