"""Reading, checking, tokenising and packing of text."""
