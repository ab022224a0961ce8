"""Evaluation of trained models: on clean text, on mistyped text, under attack."""
