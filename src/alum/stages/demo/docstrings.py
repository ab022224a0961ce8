"""English text that every machine has: the docstrings of installed packages, read with `ast`, never imported."""

import ast
import hashlib
import importlib.util
import inspect
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from alum.core.errors import InputError

# What alum depends on, directly or through torch (sympy, networkx) and datasets (pandas).
DOCUMENTED_PACKAGES = ("torch", "transformers", "numpy", "scipy", "sklearn", "pandas", "sympy", "networkx")
PACKAGE_NAMES = {
    *DOCUMENTED_PACKAGES,
    "np",
    "pd",
    "nx",
    "hf",
    "pytorch",
    "huggingface",
    "scikit",
    "learn",
    "hugging",
    "face",
}
MASKED_NAME = "name"
MOST_OF_A_FILE = 30  # passages, so that no long module dominates its package


@dataclass(frozen=True)
class Passage:
    """Paragraph of a package's documentation; ``file`` is relative to the folder of installed packages."""

    text: str
    package: str
    file: str


def passages_of(package: str, max_passages: int, seed: int = 0) -> list[Passage]:
    """Reads up to ``max_passages`` distinct paragraphs from a package's docstrings, in an order fixed by ``seed``.

    Raises `InputError` if the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"the package {package} is not installed: install alum with its dependencies.")
    root = Path(next(iter(spec.submodule_search_locations)))
    files = [path for path in root.rglob("*.py") if not {"tests", "testing", "_vendor"} & set(path.parts)]
    files.sort(key=lambda path: _digest(f"{seed}:{path.relative_to(root)}"))
    found: dict[str, Passage] = {}
    for path in files:
        for text in islice(_paragraphs(path), MOST_OF_A_FILE):
            found.setdefault(text, Passage(text, package, f"{package}/{path.relative_to(root).as_posix()}"))
        if len(found) >= max_passages:
            break
    return list(found.values())[:max_passages]


def split_of(passage: Passage) -> str:
    """Split of a passage, ``train``, ``validation`` or ``test`` (8 : 1 : 1), the same for all passages of a file."""
    return ("validation", "test", *["train"] * 8)[int(_digest(passage.file), 16) % 10]


def without_names(passage: Passage, module_names: set[str]) -> str:
    """Replaces names of packages and modules in a passage, so that telling its package takes its content."""

    def masked(match: re.Match[str]) -> str:
        word = match.group().lower()
        # "function" in a sentence is a word; "scipy.special" and "test_utils" are names.
        looks_like_code = "." in word or "_" in word
        parts = set(word.split("."))
        return MASKED_NAME if parts & (module_names if looks_like_code else PACKAGE_NAMES) else match.group()

    return re.sub(r"[A-Za-z][\w.]*\w|[A-Za-z]", masked, passage.text)


def module_names(passages: list[Passage]) -> set[str]:
    """Names of the documented packages and of the modules that the passages are from, in lower case."""
    files = {part for passage in passages for part in passage.file.lower().removesuffix(".py").split("/")}
    return PACKAGE_NAMES | {name for name in files if len(name) > 2}


def _paragraphs(path: Path) -> Iterator[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node)
            for block in re.split(r"\n\s*\n", inspect.cleandoc(docstring) if docstring else ""):
                text = " ".join(block.split())
                if _is_prose(text):
                    yield text


def _is_prose(text: str) -> bool:
    words = text.split()
    if not 12 <= len(words) <= 120 or ">>>" in text or "opyright" in text:
        return False
    if not text[0].isalpha() or words[0].endswith(":"):  # a list item, a section such as "Args:"
        return False
    plain = sum(word.strip(".,;:()'\"`").isalpha() for word in words)
    return plain >= 0.8 * len(words) and text.rstrip()[-1] in ".:"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
