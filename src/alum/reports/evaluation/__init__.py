"""The report of an evaluation, from results.json alone: terminal tables, figures, an HTML page."""
