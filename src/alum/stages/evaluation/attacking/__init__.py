"""What attacks on texts need beside the rows: a model as their victim, words, vectors, encoders, loaded once."""
