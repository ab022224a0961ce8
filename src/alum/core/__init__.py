"""Adversarial training on tensors: divergences, projections, perturbation, objective, methods. Imports torch alone."""
