"""How an attack chooses words and candidates, one example at a time or many side by side."""
