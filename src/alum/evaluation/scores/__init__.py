"""Scores of rows and of sets, their statistics, and what is summed up of them."""
