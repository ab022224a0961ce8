"""Outputs of a model: rows of logits in parts, gradients at them and by way of them, log odds against right answers."""
