"""Parts that all stages share: run folders, their settings and records, and training with a clean stop."""
