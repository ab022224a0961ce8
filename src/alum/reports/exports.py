"""Attacked texts and other parts of results as data frames, CSV and JSON lines."""

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alum.attacks.text.protocol import Change
from alum.data.values import as_json
from alum.data.writing import write_text

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, repr=False)
class AttackedTexts:
    """All texts that attacks were tried on, those that they did not turn or that were wrong before among them.

    A record has the fields of an example in ``results.json`` (``docs/results.md``), each text in lists of one or two.
    """

    records: Sequence[Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.records)

    def __repr__(self) -> str:
        succeeded = sum(record["outcome"] == "succeeded" for record in self.records)
        return f"<{len(self)} attacked texts, {succeeded} turned>"

    def to_pandas(self) -> "DataFrame":
        """Makes a frame with a row for each text, and columns as in `to_csv`."""
        return frame_of(self._flat())

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Writes a line for each text, in UTF-8; ``changes`` are JSON.

        The texts are ``original`` and ``perturbed``, of pairs ``original_1``, ``original_2`` and so on.
        """
        rows = self._flat()
        file = io.StringIO()
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(Path(path), file.getvalue())

    def to_jsonl(self, path: str | os.PathLike[str]) -> None:
        """Writes each record as a line of JSON, with all that is known of it."""
        write_text(
            Path(path), "".join(json.dumps(as_json(record), ensure_ascii=False) + "\n" for record in self.records)
        )

    def _flat(self) -> list[dict[str, Any]]:
        return [_flat(record) for record in self.records]


def entries_of(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Entries of the words that were changed, in records."""
    return [
        {"text": change.place.text, "word": change.place.word, "old": change.old, "new": change.new}
        for change in changes
    ]


def frame_of(rows: Sequence[Mapping[str, Any]]) -> "DataFrame":
    """Makes a data frame of records; values of a record within it become columns, ``clean_value`` and the like."""
    import pandas  # takes half a second, and is there since datasets stands on it

    return pandas.json_normalize([dict(row) for row in rows], sep="_")


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    texts: dict[str, str] = {}
    for name in ("original", "perturbed"):
        numbered = enumerate(record[name], start=1) if len(record[name]) > 1 else [("", record[name][0])]
        texts |= {f"{name}_{number}" if number else name: text for number, text in numbered}
    answers = {}
    for when in ("before", "after"):
        answers[when] = record[when]
        answers[f"{when}_probability"] = (record[f"{when}_probabilities"] or {}).get(record[when])
    return {
        **{name: record[name] for name in ("model", "suite", "attack", "row", "label", "outcome")},
        **texts,
        **answers,
        "num_queries": record["num_queries"],
        "num_changed_words": len(record["changes"]),
        "changes": json.dumps(record["changes"], ensure_ascii=False),
    }
