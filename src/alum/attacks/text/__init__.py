"""Attacks on texts: the table of them, what a search asks and answers, and the words it may change."""
