"""Stage that tests how a fine-tuned classifier behaves: CheckList."""
