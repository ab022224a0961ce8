"""Reports made from records: tables, plots, pages and model cards that people read."""
