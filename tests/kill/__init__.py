"""Runs of ``alum`` that are killed anywhere, given again, and compared with undisturbed ones: ``make kill``."""
