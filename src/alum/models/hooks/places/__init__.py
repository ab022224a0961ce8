"""Places in a model where δ goes in, and what of the autograd graph ends there."""
