"""Models as attacks on texts see them, one module for each kind of task."""
