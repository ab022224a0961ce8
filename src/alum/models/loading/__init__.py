"""Checks of a model's files and configuration before its weights are loaded."""
