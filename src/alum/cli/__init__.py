"""The command line: commands to functions, nothing else."""
