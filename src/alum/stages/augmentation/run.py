"""Changed copies of the rows of a data set, written with what was changed in them."""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoModelForSequenceClassification

from alum.attacks.text.protocol import Change
from alum.attacks.text.random_changes import (
    DEFAULT_WORD_SHARE,
    SUBWORDS,
    RandomChanges,
    check_changes,
    kinds_named,
)
from alum.attacks.text.worded import Example
from alum.core.errors import InputError
from alum.data.table import Table
from alum.data.table_files import load_table
from alum.reports.exports import entries_of
from alum.stages.augmentation.arguments import AugmentArguments
from alum.stages.augmentation.table_writing import check_writable, write_table
from alum.stages.evaluation.attack import attack
from alum.stages.evaluation.progress import EvaluationProgress
from alum.stages.held_folder import held
from alum.stages.word_sources import word_sources
from alum.tasks.columns import flags_named
from alum.tasks.layout import Layout

ROW, CHANGES = "source_row", "changes"
"""Columns that are added: the number of the row that a copy is of, from 1, and what was changed in it."""
_AT_ONCE = 64

# A row's texts after the changes, and these.
Changed = tuple[Example, Sequence[Change]]


@dataclass(frozen=True)
class AugmentResult:
    """Result of `augment`: the file, and how many rows were read, changed and written."""

    output_file: str
    """The file that was written."""
    num_rows: int
    """Rows that were read."""
    num_written: int
    """Rows that were written."""
    num_changed: int
    """Changed copies among those written."""
    num_unchanged: int
    """Copies that were left out, since nothing in them could be changed."""


def augment(arguments: AugmentArguments) -> AugmentResult:
    """Writes copies of rows whose texts are changed, at random or by an attack on a classifier.

    All other columns stay as they are. A text in which nothing could be changed, or whose attack failed, is written as
    the attack left it, and not at all where nothing was changed. Raises `InputError` for rows, settings and files that
    cannot be used, before anything is changed, and for a file that another process writes to.
    """
    file = Path(arguments.output_file)
    check_writable(file, arguments.overwrite_output_file)
    with held(file, "name another file"):
        return _augmented(arguments, file)


def _augmented(arguments: AugmentArguments, file: Path) -> AugmentResult:
    columns = [name.strip() for name in arguments.text_columns.split(",")]
    table = Table.of(load_table(arguments.data_file), arguments.data_file)
    with flags_named(Layout(text=tuple(columns))):
        table.require(columns)
    if taken := [name for name in (ROW, CHANGES) if name in table.rows.column_names]:
        raise InputError(f"{table.where} has a column {taken[0]!r}, which is added here: rename it.")
    examples = list(zip(*map(table.texts, columns), strict=True))
    changing = _changed_at_random if arguments.attack is None else _attacked
    copies: list[dict[str, Any]] = []
    with EvaluationProgress().shown(arguments.attack or "random changes", len(examples)) as advance:
        for number, (row, changed) in enumerate(zip(table.rows, changing(arguments, examples), strict=True), start=1):
            copies += [
                {**row, **dict(zip(columns, texts, strict=True)), ROW: number, CHANGES: entries_of(changes)}
                for texts, changes in changed
                if changes
            ]
            advance(1)
    originals = [
        {**row, ROW: number, CHANGES: []}
        for number, row in enumerate(table.rows if arguments.keep_original else (), start=1)
    ]
    check_writable(file, arguments.overwrite_output_file)  # others may have made one in the meantime
    write_table(file, [*originals, *copies])
    asked = len(table) * arguments.num_copies
    return AugmentResult(str(file), len(table), len(originals) + len(copies), len(copies), asked - len(copies))


def _changed_at_random(arguments: AugmentArguments, examples: Sequence[Example]) -> Iterator[list[Changed]]:
    names = kinds_named(arguments.changes)
    if SUBWORDS in names:
        raise InputError(
            f"changes {SUBWORDS} are other tokens for the same text, which a file does not hold: leave them out here, "
            "and train with --adv_space text --adv_text_changes subwords."
        )
    share = DEFAULT_WORD_SHARE if arguments.word_share is None else arguments.word_share
    check_changes(names, share)
    changes = RandomChanges(names, share, word_sources(arguments, names, itertools.chain(*examples)))
    for number, example in enumerate(examples):
        rng = random.Random(f"{arguments.seed}:{number}")
        drawn = (changes.drawn(example, rng) for _ in range(arguments.num_copies))
        yield [(one.texts, one.changes) for one in drawn]


def _attacked(arguments: AugmentArguments, examples: Sequence[Example]) -> Iterator[list[Changed]]:
    if len(examples[0]) > 2:
        raise InputError(f"an attack changes one text or a pair, not {len(examples[0])} columns.")
    settings: dict[str, Any] = {
        name: getattr(arguments, name)
        for name in ("attack", "attacked_text", "max_seq_length", "masked_lm", "wordnet_dir", "word_vectors",
                     "similarity_model", "min_similarity", "max_changed_words")
    }  # fmt: skip
    if arguments.max_queries is not None:
        settings["max_queries"] = arguments.max_queries
    path = arguments.model_name_or_path
    assert path is not None, "the arguments ask for a model"
    checkpoint = arguments.checkpoint(path)
    model = checkpoint.trained_model(AutoModelForSequenceClassification)
    for start in range(0, len(examples), _AT_ONCE):
        some = examples[start : start + _AT_ONCE]
        found: list[list[Changed]] = [[] for _ in some]
        for copy in range(arguments.num_copies):
            texts, *pairs = map(list, zip(*some, strict=True))
            outcomes = attack(
                model,
                checkpoint.tokenizer,
                text=texts,
                text_pair=pairs[0] if pairs else None,
                seed=arguments.seed + copy,
                **settings,
            )
            for copies, outcome in zip(found, outcomes, strict=True):
                copies.append((outcome.result.perturbed, outcome.result.changes))
        yield from found
