"""Changed copies of the rows of a data set, written with what was changed in them."""

import hashlib
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

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
from alum.stages.evaluation.attacking.attacker import AskedAttack, Attacker
from alum.stages.evaluation.progress import EvaluationProgress
from alum.stages.held_folder import held
from alum.stages.word_sources import word_sources
from alum.tasks.columns import flags_named
from alum.tasks.layout import Layout

ROW, CHANGES = "source_row", "changes"
"""Columns that are added: the number of the row that a copy is of, from 1, and what was changed in it."""

_Done = TypeVar("_Done")
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
    num_repeated: int
    """Copies that were left out, since another one of their row has the same texts."""


def augment(arguments: AugmentArguments) -> AugmentResult:
    """Writes copies of rows whose texts are changed, at random or by an attack on a classifier.

    All other columns stay as they are. A text in which nothing could be changed, or whose attack failed, is written as
    the attack left it, and not at all where nothing was changed or another copy of the row is the same. Raises
    `InputError` for rows, settings and files that cannot be used, before anything is changed, where nothing is left to
    write, and for a file that another process writes to.
    """
    file = Path(arguments.output_file)
    check_writable(file, arguments.overwrite_output_file)
    with held(file, "name another file"):
        return _augmented(arguments, file)


def _augmented(arguments: AugmentArguments, file: Path) -> AugmentResult:
    columns = arguments.columns
    table = Table.of(load_table(arguments.data_file), arguments.data_file)
    with flags_named(Layout(text=tuple(columns))):
        table.require(columns)
    if taken := [name for name in (ROW, CHANGES) if name in table.rows.column_names]:
        raise InputError(f"{table.where} has a column {taken[0]!r}, which is added here: rename it.")
    examples = list(zip(*map(table.texts, columns), strict=True))
    changing = _changed_at_random if arguments.attack is None else _attacked
    copies: list[dict[str, Any]] = []
    num_repeated = 0
    with EvaluationProgress().shown(arguments.attack or "random changes", len(examples)) as advance:
        for number, (row, changed) in enumerate(zip(table.rows, changing(arguments, examples), strict=True), start=1):
            distinct = {texts: changes for texts, changes in changed if changes}
            num_repeated += sum(bool(changes) for _, changes in changed) - len(distinct)
            copies += [
                {**row, **dict(zip(columns, texts, strict=True)), ROW: number, CHANGES: entries_of(changes)}
                for texts, changes in distinct.items()
            ]
            advance(1)
    if not copies and not arguments.keep_original:
        raise InputError(
            f"no text of {table.where} could be changed, and with --keep_original false nothing else is written: "
            "choose other changes, or keep the rows."
        )
    originals = [
        {**row, ROW: number, CHANGES: []}
        for number, row in enumerate(table.rows if arguments.keep_original else (), start=1)
    ]
    check_writable(file, arguments.overwrite_output_file)  # others may have made one in the meantime
    write_table(file, [*originals, *copies])
    return AugmentResult(
        output_file=str(file),
        num_rows=len(table),
        num_written=len(originals) + len(copies),
        num_changed=len(copies),
        num_unchanged=len(table) * arguments.num_copies - len(copies) - num_repeated,
        num_repeated=num_repeated,
    )


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
    columns, name, path = arguments.columns, arguments.attack, arguments.model_name_or_path
    assert name is not None, "an attack is asked for"
    assert path is not None, "the arguments ask for a model"
    if len(columns) > 2:
        raise InputError(f"an attack changes one text or a pair, not {len(columns)} columns.")
    asked = AskedAttack(name, arguments.attacked_text, tuple(columns), arguments.max_seq_length)
    worded = [asked.has_words(example) for example in examples]
    first = next(itertools.compress(examples, worded), None)
    if first is None:
        yield from ([] for _ in examples)
        return
    attacker = Attacker.of(asked, arguments, arguments.checkpoint(path), first)
    labelled = attacker.with_own_labels(itertools.compress(examples, worded))
    results = _in_order(attacker.results(labelled, seeds_of_copies(arguments.seed, arguments.num_copies)))
    for has_words in worded:
        copies = next(results) if has_words else []
        yield [(result.perturbed, result.changes) for result in copies]


def _in_order(numbered: Iterable[tuple[int, _Done]]) -> Iterator[_Done]:
    """Gives what has a number, from 0 on, in the order of the numbers."""
    waiting: dict[int, _Done] = {}
    number = 0
    for found_number, found in numbered:
        waiting[found_number] = found
        while number in waiting:
            yield waiting.pop(number)
            number += 1


def seeds_of_copies(seed: int, num_copies: int) -> list[int]:
    """Seeds of the copies of a row: ``seed`` for the first one, and for others such as no user can give.

    >>> seeds_of_copies(0, 2)[0], seeds_of_copies(0, 2)[1] >= 2**32
    (0, True)
    """
    digests = (hashlib.blake2b(f"{seed}:{copy}".encode(), digest_size=8).digest() for copy in range(1, num_copies))
    return [seed, *(2**32 + int.from_bytes(digest, "big") for digest in digests)]
