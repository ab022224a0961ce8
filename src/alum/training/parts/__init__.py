"""The parts of a training step: its batch, its passes, its noise."""
