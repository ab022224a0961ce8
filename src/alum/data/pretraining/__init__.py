"""Text for language models: corpora, tokenizers, packed sequences, masks."""
