"""Half precision and cost on a CUDA GPU, measured in a minute each, and the page about both."""
