"""Small files for whole runs: English-like text that a small model learns something from, and tables of examples."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_NOUNS = ("cat", "dog", "house", "river", "garden", "teacher", "letter", "morning")
_VERBS = ("sees", "likes", "finds", "follows", "remembers")
_GOOD = ("bright", "gentle", "lovely", "warm")
_BAD = ("gloomy", "bitter", "dreadful", "cold")


def sentence(rng: random.Random, adjectives: Sequence[str] = (*_GOOD, *_BAD)) -> str:
    nouns = rng.sample(_NOUNS, 2)
    return f"the {rng.choice(adjectives)} {nouns[0]} {rng.choice(_VERBS)} the {rng.choice(adjectives)} {nouns[1]} ."


def write_text(path: Path, num_documents: int = 60, seed: int = 0) -> Path:
    """Documents of five sentences with blank lines between them."""
    rng = random.Random(seed)
    documents = ["\n".join(sentence(rng) for _ in range(5)) for _ in range(num_documents)]
    path.write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    return path


def opinions(count: int = 64, seed: int = 0) -> list[dict[str, Any]]:
    """Sentences whose adjectives say whether the label is "good" or "bad"."""
    rng = random.Random(seed)
    labels = [("good", "bad")[i % 2] for i in range(count)]
    return [{"text": sentence(rng, _GOOD if label == "good" else _BAD), "label": label} for label in labels]


def write_rows(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name there."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
