"""Fine-tuning of a pre-trained model on a task."""
