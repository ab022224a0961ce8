"""What a task is: the outputs that the adversary moves, the divergence between them, and the metrics."""
