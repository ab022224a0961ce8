"""Trainers of other libraries whose loss is their own: what their batches are, and which outputs D compares."""
