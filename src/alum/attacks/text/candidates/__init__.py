"""Candidates that an attack may put in place of a word: misspellings, look-alikes, other words."""
