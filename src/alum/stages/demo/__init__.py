"""The demo: all stages on text that every machine has."""
