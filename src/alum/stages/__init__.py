"""Stages of ALUM as functions, which build the parts, run them and save the records."""
