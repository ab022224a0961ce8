"""Attacks on texts: a table of them, the searches for changes that turn a model's answer, and their candidates."""
