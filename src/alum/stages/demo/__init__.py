"""Demo of all stages, on text that every machine has: the documentation of installed packages."""
