"""Every method on every kind of task, in every precision and way to train, beside the method written out plainly."""
