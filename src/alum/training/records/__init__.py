"""What a training step is logged as: losses, gain, time, FLOPs, lines on the console."""
