"""Searches for the words to change and the words to put in their place, one example at a time or many side by side."""
