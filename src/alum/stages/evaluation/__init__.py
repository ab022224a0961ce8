"""Evaluation: models on suites, clean and attacked; and the attack on one text."""
