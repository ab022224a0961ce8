"""Versions of packages and hardware of a run."""

import importlib.metadata
import os
import platform
from typing import Any

import torch

from alum.version import __version__

RECORDED_PACKAGES = ("torch", "transformers", "accelerate", "datasets", "tokenizers", "numpy", "scikit-learn")


def environment() -> dict[str, Any]:
    """Versions of packages and hardware of this machine, for the records of runs."""
    return {
        "alum": __version__,
        **{name: importlib.metadata.version(name) for name in RECORDED_PACKAGES},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",  # the kernel's name is of one machine
        "processors": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
