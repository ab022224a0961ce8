"""Stage that looks for a universal trigger of a classifier on some rows, and tries it on others."""
