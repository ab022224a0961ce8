"""Logs of training: losses and adversarial gain, time, FLOPs, lines on the console."""
