"""Evaluation of models on suites, clean and under attack, and the attack on a single text."""
