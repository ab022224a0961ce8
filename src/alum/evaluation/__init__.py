"""Measuring trained models: on clean text, on changed text, under attack."""
