"""What all stages share: the run folder, its settings and records, training with a clean stop."""
