"""Cells of a study, the trainings that it consists of: what they are known by, how they run, where they are kept."""
