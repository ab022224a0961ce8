"""Scores of rows and of whole sets, their confidence intervals, comparisons of models, and summaries."""
