"""Records to tables that people read."""
