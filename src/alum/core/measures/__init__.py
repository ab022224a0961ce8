"""Figures on a step: whether its δ is an adversary, and how many passes of the model it takes."""
