"""Files of a folder's splits: each is called as its split, ``validation.jsonl``, and holds a table."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from alum.core.errors import InputError
from alum.data.table_files import FORMATS

_ENDINGS = tuple(ending for ending in FORMATS if ending != ".json")  # settings of other tools lie about as .json


def split_files(folder: str | os.PathLike[str]) -> dict[str, tuple[Path, ...]]:
    """Finds the files of a folder's splits by the names of these, in lower case; hidden files are none.

    Raises `InputError` where there is no folder, or no table in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"no folder at {folder} (from {Path.cwd()}): check the name.")
    found: dict[str, tuple[Path, ...]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in _ENDINGS and not path.name.startswith(".") and path.is_file():
            split = path.stem.lower()
            found[split] = (*found.get(split, ()), path)
    if not found:
        raise InputError(f"{folder} holds no file that ends in .jsonl, .csv or .parquet, such as train.jsonl.")
    return found


def file_of(split: str, files: Mapping[str, Sequence[Path]]) -> Path:
    """File of a split; raises `InputError` where there are several."""
    first, *others = files[split]
    if others:
        names = " and ".join(path.name for path in files[split])
        raise InputError(f"{first.parent} has {names}: which is the {split} split? Leave one of them.")
    return first
