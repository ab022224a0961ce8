"""Rows and models that a call gave in memory, kept in a folder for stages whose parts read files in other processes."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel

from alum.core.errors import InputError
from alum.data.rows_in_memory import dataset_of
from alum.data.writing import write_text
from alum.models.model_in_memory import ModelInMemory

SPLITS = ("train", "validation", "test")


def with_files(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Writes ``train_rows`` and the like, and ``model`` with its ``tokenizer``, to a folder; settings that name files.

    Raises `InputError` for what is neither rows nor a ``transformers`` model.
    """
    found = dict(settings)
    for split in SPLITS:
        rows = found.pop(f"{split}_rows", None)
        if rows is not None:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / f"{split}.jsonl", "".join(lines_of(dataset_of(rows, f"{split}_rows"))))
            found[f"{split}_file"] = str(folder / f"{split}.jsonl")
    if "model" in found or "tokenizer" in found:
        place = folder / "model"
        _keep(ModelInMemory.of(found.pop("model", None), found.pop("tokenizer", None)), place)
        found["model_name_or_path"] = str(place)
    return found


def lines_of(rows: Dataset) -> Iterable[str]:
    """Makes a line of JSON of each row, its columns in the order of their names."""
    return (json.dumps(row, sort_keys=True, default=str) + "\n" for row in rows)


def _keep(given: ModelInMemory, place: Path) -> None:
    if not isinstance(given.model, PreTrainedModel):
        raise InputError(f"{type(given.model).__name__} has adapters, which a study cannot keep: merge them first.")
    architectures = given.config.architectures
    try:
        given.model.save_pretrained(place)
    finally:
        given.config.architectures = architectures  # the caller's, in which the name of the class was written down
    given.tokenizer.save_pretrained(place)
