"""Facts of where alum runs that a report of a bug needs: versions, device, threads, offline settings; no paths."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from alum.version import __version__

_NEEDED = (
    "torch", "transformers", "accelerate", "datasets", "tokenizers", "huggingface-hub", "safetensors", "numpy", "scipy",
    "scikit-learn", "pyarrow", "rich", "matplotlib",
)  # fmt: skip
_OPTIONAL = (
    "peft",
    "trl",
    "sentence-transformers",
    "deepspeed",
    "liger-kernel",
    "wandb",
    "trackio",
    "mlflow",
    "tensorboard",
)
_SETTINGS = (
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "OMP_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
)
_PLACES = ("HF_HOME", "HF_ENDPOINT", "HF_TOKEN", "ALUM_CACHE", "ALUM_DATA")
"""Variables whose values are nobody's business: whether they are set is."""


def installed() -> dict[str, Any]:
    """Versions of alum, Python, and the packages that matter; None for those that are not there."""
    return {
        "alum": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: _version(name) for name in (*_NEEDED, *_OPTIONAL)},
    }


def surroundings() -> dict[str, Any]:
    """Processors, threads, devices and variables; imports torch."""
    import torch

    has_gpu = torch.cuda.is_available()
    found = {
        "processors": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "memory_gb": _memory_gb(),
        "cuda": torch.version.cuda,
        "gpu": torch.cuda.get_device_name() if has_gpu else None,
        "num_gpus": torch.cuda.device_count(),
        "gpu_memory_gb": round(torch.cuda.get_device_properties(0).total_memory / 1e9, 1) if has_gpu else None,
        "bf16_on_gpu": torch.cuda.is_bf16_supported() if has_gpu else None,
        "mps": torch.backends.mps.is_available(),
    }
    found |= {name: os.environ.get(name) for name in _SETTINGS}
    return found | {name: "set" if os.environ.get(name) else None for name in _PLACES}


def _commit() -> str | None:
    """Commit of the checkout that alum runs from, with ``-dirty`` where files differ from it; None if there is none."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    try:
        said = subprocess.run(
            ["git", "-C", root, "describe", "--always", "--dirty", "--abbrev=10"], capture_output=True, text=True
        )
    except OSError:  # no git
        return None
    return said.stdout.strip() or None


def _memory_gb() -> float | None:
    if not hasattr(os, "sysconf"):  # Windows
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
