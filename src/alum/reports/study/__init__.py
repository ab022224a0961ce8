"""Reports of a study: its page, its tables in the terminal, its sentences."""
