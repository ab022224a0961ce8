"""Resources of attacks on texts, such as words and encoders, and the attack on a classifier, each loaded once."""
