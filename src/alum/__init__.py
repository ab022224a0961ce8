"""Adversarial training for language models (ALUM, arXiv:2004.08994) on PyTorch and Hugging Face."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alum.training.config import AlumConfig
    from alum.training.step import AlumStep
    from alum.training.trainer import AlumMixin, AlumTrainer

__version__ = "0.1.0"
__all__ = ["AlumConfig", "AlumMixin", "AlumStep", "AlumTrainer"]

_MODULES = {"AlumConfig": "config", "AlumMixin": "trainer", "AlumStep": "step", "AlumTrainer": "trainer"}


def __getattr__(name: str) -> Any:
    # Imported when asked for: torch and transformers take seconds, and `alum --help` needs neither.
    if name not in _MODULES:
        raise AttributeError(f"module 'alum' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"alum.training.{_MODULES[name]}"), name)
