"""Which architectures of ``transformers`` can be trained: small random models of each, perturbed at every place."""
