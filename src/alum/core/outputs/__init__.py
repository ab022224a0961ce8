"""Outputs of a model: rows of logits worked on some at a time, gradients at them, log odds against right answers."""
