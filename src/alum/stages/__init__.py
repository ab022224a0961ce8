"""The stages of ALUM as functions: build the parts, run, save the records."""
