"""The rows of a suite: from the hub, a file or a folder, with what their columns mean."""

import dataclasses
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from datasets import Dataset, load_dataset

from alum.core.errors import InputError, unknown_name
from alum.data.table import Table
from alum.data.table_files import FORMATS, load_table
from alum.evaluation.attacked.kinds import ATTACKABLE_KINDS, attackable_rows
from alum.evaluation.label_names import answers_of, check_one_output, label_names_for
from alum.evaluation.suites import NOT_STATED, SUITES, Suite
from alum.tasks.base import Layout, Supervision, TaskKind
from alum.tasks.columns import DEFAULT_LENGTH_TOKENS, ColumnArguments, kind_of_rows, layout_of, not_from_hub
from alum.tasks.kinds.regression import REGRESSION
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.tasks.labels import label_ids

CONVERTED = "refs/convert/parquet"  # the hub's own conversion of a data set


class SuiteArguments(ColumnArguments, Protocol):
    """What `EvaluateArguments` says of suites."""

    max_eval_samples: int | None
    seed: int


@dataclass(frozen=True)
class SuiteData:
    """The rows that models are measured on; ``suite`` is None for data of the user's own."""

    name: str
    suite: Suite | None
    kind: TaskKind
    layout: Layout
    table: Table
    source: str
    """Where the rows are from, for people."""
    num_rows_available: int
    """How many labelled rows there are, of which ``table`` may be a part."""

    @property
    def supervision(self) -> Supervision:
        assert self.kind.supervision is not None
        return self.kind.supervision

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics to report, main one first; empty for all that the kind has."""
        return self.suite.metrics if self.suite else ()

    @property
    def main_metric(self) -> str:
        return self.suite.main_metric if self.suite else self.supervision.main_metric

    @property
    def max_length_tokens(self) -> int:
        return self.suite.max_length_tokens if self.suite else DEFAULT_LENGTH_TOKENS

    @property
    def groups(self) -> list[str] | None:
        """The group of each row, as text, where the suite has groups and the rows name them."""
        column = self.suite.group_column if self.suite else None
        if column is None or column not in self.table.rows.column_names:
            return None
        return [str(value) for value in self.table.column(column)]

    def with_labels_of(self, model_names: Sequence[str]) -> tuple["SuiteData", tuple[int, ...]]:
        """The data with the label names that a model's answers are given in, and the label of each of its outputs.

        Rows of the user's own show only some labels, which here become the model's; a suite's never change. For kinds
        without label names the answers are empty. Raises `InputError` where model and labels do not go together.
        """
        if self.kind is REGRESSION:
            check_one_output(model_names, self.name)
        if self.kind is not SEQUENCE_CLASSIFICATION:
            return self, ()
        names = self.layout.label_names
        if self.suite is None:
            names = label_names_for(model_names, names)
        answers = answers_of(model_names, names, self.name)
        return dataclasses.replace(self, layout=dataclasses.replace(self.layout, label_names=names)), answers

    def described(self) -> dict[str, Any]:
        """What ``results.json`` says of a suite."""
        return {
            "name": self.name,
            "kind": self.kind.name,
            "main_metric": self.main_metric,
            "num_rows": len(self.table),
            "num_rows_available": self.num_rows_available,
            "source": self.source,
            "licence": self.suite.licence if self.suite else NOT_STATED,
            "citation": self.suite.citation if self.suite else "",
            "label_names": list(self.layout.label_names),
        }


def load_suite(spec: str, arguments: SuiteArguments) -> SuiteData:
    """The labelled rows of ``NAME``, from the hub, or of ``NAME=PATH``, a file or a folder.

    A name that is not in the table of suites is one of the user's own. With ``max_eval_samples`` the rows are a random
    part, which depends on the seed and the number of rows alone, in their order; a smaller part is in a larger one.

    Raises `InputError` for names, files, columns and labels that cannot be used.
    """
    name, _, path = spec.partition("=")
    suite = SUITES.get(name)
    table = _table_at(path, suite) if path else _table_of_hub(name)
    layout = suite.layout if suite else _own_layout(name, arguments)
    _check_columns(table, layout, suite)
    table = table.labelled(layout.label)
    kind = suite.kind if suite else kind_of_rows(arguments, table, layout)
    assert kind.supervision is not None
    if not layout.label_names:
        layout = dataclasses.replace(layout, label_names=kind.supervision.label_names(table, layout))
    if kind is SEQUENCE_CLASSIFICATION:
        label_ids(table, layout)  # of all rows, whatever part is measured
    part = part_of(table, arguments.max_eval_samples, arguments.seed)
    if kind in ATTACKABLE_KINDS:
        attackable_rows(kind, part, layout, tolerance=0.0)  # raises for labels and texts before any model is loaded
    return SuiteData(
        name=name,
        suite=suite,
        kind=kind,
        layout=layout,
        table=part,
        source=table.where,
        num_rows_available=len(table),
    )


def _own_layout(name: str, arguments: SuiteArguments) -> Layout:
    try:
        return layout_of(arguments)
    except InputError:
        near = difflib.get_close_matches(name, SUITES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise InputError(
            f"{name!r} is none of the suites that alum suites lists: for rows of your own say what their columns mean, "
            f"with --text_columns and --label_column.{hint}"
        ) from None


def _check_columns(table: Table, layout: Layout, suite: Suite | None) -> None:
    try:
        table.require([*layout.text, *layout.choices, layout.label])
    except InputError as error:
        if suite is None:
            raise
        raise InputError(
            f"{error} Rows of {suite.name} have the columns of its data set; for others give a name of your own, "
            "--text_columns and --label_column."
        ) from None


def _table_at(path: str, suite: Suite | None) -> Table:
    file = Path(path)
    if file.is_dir():
        file = _file_of_split(file, suite)
    return Table.of(load_table(file), str(file))


def _file_of_split(folder: Path, suite: Suite | None) -> Path:
    """The file of a suite's split, else of ``validation`` or ``test``, else the only file of a folder."""
    files = sorted(p for p in folder.iterdir() if p.suffix in FORMATS and p.suffix != ".json")
    names = ["validation", "test"] if suite is None else [suite.split, "validation", "test"]
    for name in names:
        found = [file for file in files if file.stem == name]
        if found:
            return found[0]
    if len(files) == 1:
        return files[0]
    here = ", ".join(file.name for file in files) or "none that ends in .jsonl, .csv or .parquet"
    raise InputError(
        f"{folder}: expected {', '.join(f'{name}.jsonl' for name in dict.fromkeys(names))} (.csv, .parquet) or a "
        f"single file, but the files are {here}: name the file."
    )


def _table_of_hub(name: str) -> Table:
    if name not in SUITES:
        what = unknown_name("suite", name, SUITES)
        raise InputError(f"{what} For rows of your own give {name}=PATH, --text_columns and --label_column.")
    suite = SUITES[name]
    instead = f"Give a file with the same columns: {name}=PATH."
    if suite.hub_id is None:
        raise InputError(f"{name} cannot be loaded from the hub: {suite.note}, {name}=PATH.")
    where = "/".join(filter(None, (suite.hub_id, suite.hub_config))) + f", {suite.split}"
    try:
        return Table.of(_from_hub(suite), where)
    except Exception as error:  # the hub's client raises whatever its transport does
        raise not_from_hub(where, error, instead) from None


def _from_hub(suite: Suite) -> Dataset:
    if suite.converted is None:
        return load_dataset(suite.hub_id, suite.hub_config, split=suite.split)
    files = {suite.split: f"{suite.converted}/{suite.split}/*.parquet"}
    return load_dataset(suite.hub_id, revision=CONVERTED, data_files=files, split=suite.split)


def part_of(table: Table, count: int | None, seed: int) -> Table:
    """A random part of the rows in their order, or all of them; a smaller part is in a larger one of the same seed."""
    if count is None or count >= len(table):
        return table
    chosen = np.random.default_rng(seed).permutation(len(table))[:count]
    return table.select(sorted(chosen.tolist()))
