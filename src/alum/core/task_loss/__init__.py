"""Adversaries by the task loss: its gradient as their direction, and the passes of its ascent as training."""
