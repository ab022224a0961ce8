"""Random numbers of training: those that belong to rows, and the state of the generators that dropout draws from."""
