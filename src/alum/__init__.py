"""Adversarial training for language models (ALUM, arXiv:2004.08994) on PyTorch and Hugging Face."""

__version__ = "0.1.0"
