"""Command line of alum: commands and flags become function calls, nothing else."""
