"""Reports of an evaluation, made from its ``results.json`` alone: tables in the terminal and an HTML page."""
