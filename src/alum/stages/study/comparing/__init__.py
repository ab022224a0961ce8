"""Comparisons of arms: of a study's, and of finished runs that are grouped by name."""
