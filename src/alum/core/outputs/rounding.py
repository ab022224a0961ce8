"""Smallest divergence that is more than rounding; apart from the divergences, since lists are printed without torch."""

ROUNDING_NATS = 1e-9
"""Divergences below are in a good part rounding of fp32, and their ratios mean nothing."""
