"""Settings of a method that change over training: by its progress, or by what the perturbation does."""
