"""Validity of attacked texts: how far they still mean what they meant, in figures that no reader is needed for."""
