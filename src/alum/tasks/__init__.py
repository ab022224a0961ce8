"""Tasks: outputs that the adversary moves, the divergence between them, metrics, and published data sets."""
