"""Objectives of another shape than that of ALUM, which they stand beside."""
