"""Rows of a suite, loaded from the hub, a file or a folder, with the meaning of their columns."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from datasets import ClassLabel
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from alum.core.errors import InputError, unknown_name
from alum.data.split_files import file_of, split_files
from alum.data.table import Table
from alum.data.table_files import MissingColumnError, columns_of, load_table
from alum.data.values import whole_number
from alum.evaluation.kinds.answer_likelihood import answered
from alum.evaluation.kinds.base import AttackedKind, EvaluatedKind
from alum.evaluation.kinds.lookup import evaluated_kind
from alum.evaluation.label_names import LabelMapping
from alum.evaluation.scores.set_metrics import SetMetric, worst_of_variants
from alum.evaluation.suites import SUITES, Suite, suite_at_a_path
from alum.tasks.columns import (
    DEFAULT_LENGTH_TOKENS,
    ColumnArguments,
    flags_named,
    known_layouts,
    layout_of,
    supervision_of,
)
from alum.tasks.hub import load_split
from alum.tasks.layout import ID_COLUMNS, Layout
from alum.tasks.lookup import SUPERVISED
from alum.tasks.prompts import AskedAnswers, PromptTemplate, columns_in
from alum.tasks.rows import TaskRows
from alum.tasks.sources import NOT_STATED


class SuiteArguments(ColumnArguments, Protocol):
    """Settings that loading a suite reads: the columns' meaning and the sample of rows, as in `EvaluateArguments`."""

    max_eval_samples: int | None
    seed: int


@dataclass(frozen=True)
class SuiteSpec:
    """Suite as a user names it: one of the table of suites, or a name of their own with its rows or their path.

    A name that nobody gave, as that of a file, says nothing about the columns: then the rows are the user's own.
    """

    name: str
    path: str | None = None
    table: Table | None = None
    is_named: bool = True

    @property
    def suite(self) -> Suite | None:
        """Suite that it names, in the table of suites or, where the rows are at a path, of tasks; None if none."""
        if not self.is_named:
            return None
        return suite_at_a_path(self.name) if self.path else SUITES.get(self.name)

    @classmethod
    def parse(cls, text: str) -> SuiteSpec:
        """Parses ``NAME`` or ``NAME=PATH``; raises `InputError` without a name."""
        name, _, path = text.partition("=")
        if not name.strip():
            raise InputError(f"expected a suite as NAME or NAME=PATH, not {text!r}: give it a name.")
        return cls(name, path or None)

    @classmethod
    def of_file(cls, path: str, name: str | None = None) -> SuiteSpec:
        """Suite ``name`` with its rows in a file or a folder; without a name, rows of the user's own."""
        return cls(name or Path(path).stem, path, is_named=name is not None)


@dataclass(frozen=True)
class SuiteData:
    """Loaded suite: labelled rows that models are measured on; ``suite`` is None for data of the user's own."""

    name: str
    suite: Suite | None
    evaluated: EvaluatedKind
    rows: TaskRows
    source: str
    """Where the rows are from, as text for reports."""
    num_rows_available: int
    """Number of all labelled rows, of which ``rows`` may be a part."""
    group_column: str | None = None
    cluster_columns: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics to report, the main one first; empty where all metrics of the kind of task are reported."""
        return self.suite.source.metrics if self.suite else ()

    @property
    def main_metric(self) -> str:
        return self.metrics[0] if self.metrics else self.evaluated.supervision.main_metric

    @property
    def max_length_tokens(self) -> int:
        of_texts = self.suite.source.max_length_tokens if self.suite else DEFAULT_LENGTH_TOKENS
        return self.evaluated.default_length_tokens or of_texts

    @property
    def has_ordered_labels(self) -> bool:
        """Whether the rows, or the suite, say in which order labels are numbered; names alone are sorted."""
        label = self.rows.table.rows.features[self.rows.layout.label]
        if self.suite is not None or isinstance(label, ClassLabel) or label.dtype not in ("string", "large_string"):
            return True
        return all(whole_number(name) is not None for name in self.rows.label_names)  # text in CSV

    @property
    def groups(self) -> list[str] | None:
        """Group of each row, as text; None where there are no groups or the rows do not name them."""
        return self._column(self.group_column)

    @property
    def clusters(self) -> list[str] | None:
        """Name of what each row shares with others, as a context; None where every row stands by itself."""
        found = [values for column in self.cluster_columns if (values := self._column(column)) is not None]
        return linked(found) if found else None

    @property
    def originals(self) -> list[str] | None:
        """Name of what each row is a variant of, itself included; None where rows are no variants of others."""
        names = self._column(self.suite.variant_column if self.suite else None)
        return None if names is None else [name.split("-")[0] for name in names]

    def _column(self, name: str | None) -> list[str] | None:
        if name is None or name not in self.rows.table.rows.column_names:
            return None
        return [str(value) for value in self.rows.table.column(name)]

    def in_labels_of(self, model_names: Sequence[str]) -> tuple[SuiteData, LabelMapping | None]:
        """Suite with the label names that a model's answers are given in; see `EvaluatedKind.in_labels_of`."""
        rows, mapping = self.evaluated.in_labels_of(model_names, self.rows, self.name, are_own=self.suite is None)
        return dataclasses.replace(self, rows=rows), mapping

    def set_metrics(self, rows: TaskRows, records: Sequence[Mapping[str, Any]]) -> dict[str, SetMetric]:
        """Metrics of the suite that are no means over rows, by name, of the records of some of its rows."""
        asked = self.metrics or (self.main_metric, *self.evaluated.further_metrics)
        names = [name for name in asked if name not in records[0]["scores"]]
        predictions = [record.get("prediction") for record in records]
        found = {name: self.evaluated.set_metric(name, predictions, rows) for name in names}
        return found | self._worst_metrics(rows, records)

    def _worst_metrics(self, rows: TaskRows, records: Sequence[Mapping[str, Any]]) -> dict[str, SetMetric]:
        """Each score of rows at the worst of their variants, where the suite has such."""
        if self.originals is None:
            return {}
        of_numbers = dict(zip(self.rows.numbers, self.originals, strict=True))
        originals = [of_numbers[number] for number in rows.numbers]
        return {
            f"worst_{name}": worst_of_variants([record["scores"][name] for record in records], originals)
            for name in records[0]["scores"]
        }

    def described(self) -> dict[str, Any]:
        """Entry of the suite in ``results.json``."""
        return {
            "name": self.name,
            "kind": self.evaluated.name,
            "main_metric": self.main_metric,
            "num_rows": len(self.rows),
            "num_rows_available": self.num_rows_available,
            "source": self.source,
            "licence": self.suite.source.licence if self.suite else NOT_STATED,
            "citation": self.suite.source.citation if self.suite else "",
            "label_names": list(self.rows.label_names),
        }


def load_suite(
    spec: SuiteSpec,
    arguments: SuiteArguments,
    group_column: str | None = None,
    cluster_column: str | None = None,
    answers: AskedAnswers | None = None,
) -> SuiteData:
    """Loads the labelled rows of a suite from its path, a file or a folder, or else from the hub.

    A name that is not in the table of suites is one of the user's own, unless it is that of a named task. Columns are
    as the arguments name them, and else those of the suite's data set. Rows are grouped by ``group_column`` and
    clustered by ``cluster_column``, or as the suite says. With ``max_eval_samples`` the rows are a random part in their
    original order, which depends on the seed and the number of rows alone; see `part_of`. With ``answers`` it is for
    causal language models, which choose one of these as the label.

    Raises `InputError` for names, files, columns and labels that cannot be used.
    """
    suite = spec.suite
    if spec.path is None and spec.table is None and suite is None:
        raise _no_suite(spec.name)
    layout = layout_of(arguments, suite.source.layout) if suite else _own_layout(spec, arguments, answers)
    if answers is not None:
        text = PromptTemplate.of(answers.prompt, layout.text).columns
        layout = dataclasses.replace(layout, text=text, label_is_text=False)
    asked = [column for column in (group_column, cluster_column) if column]
    with flags_named(layout, group_column=group_column, cluster_column=cluster_column):
        rows = TaskRows(_table(spec, suite, layout, asked), layout)
        rows.table.require(asked)
    rows = rows.labelled(are_published=suite is not None)
    supervision = SUPERVISED[suite.source.kind] if suite else supervision_of(arguments, rows)
    evaluated = evaluated_kind(supervision)
    if answers is not None:
        evaluated = answered(evaluated, answers, layout, spec.name)
    if not layout.label_names:
        names = evaluated.supervision.label_names(rows)
        rows = rows.with_label_names(names, numbers_are_positions=bool(rows.declared_classes))
    evaluated.check_labels(rows)  # of all rows, whatever part is measured
    part = part_of(rows, arguments.max_eval_samples, arguments.seed)
    if isinstance(evaluated, AttackedKind):
        evaluated.attackable_rows(part, tolerance=0.0)  # raises for labels and texts before any model is loaded
    return SuiteData(
        name=spec.name,
        suite=suite,
        evaluated=evaluated,
        rows=part,
        source=rows.table.where,
        num_rows_available=len(rows),
        group_column=group_column or (suite.group_column if suite else None),
        cluster_columns=(cluster_column,) if cluster_column else suite.cluster_columns if suite else (),
    )


def linked(columns: Sequence[Sequence[str]]) -> list[str]:
    """Names of clusters of rows that share a value in any of the columns, or are linked by further rows.

    >>> linked([["a", "a", "b", "c"]]), linked([["a", "a", "b", "c"], ["x", "y", "y", "z"]])
    (['a', 'a', 'b', 'c'], ['0', '0', '0', '1'])
    """
    if len(columns) == 1:
        return list(columns[0])
    num_rows = len(columns[0])
    values = [(number, value) for number, column in enumerate(columns) for value in column]
    nodes = {value: num_rows + number for number, value in enumerate(dict.fromkeys(values))}
    rows, ends = list(range(num_rows)) * len(columns), [nodes[value] for value in values]
    size = num_rows + len(nodes)
    _, names = connected_components(coo_array((np.ones(len(rows)), (rows, ends)), shape=(size, size)), directed=False)
    return [str(name) for name in names[:num_rows]]


def _own_layout(spec: SuiteSpec, arguments: SuiteArguments, answers: AskedAnswers | None) -> Layout:
    if answers is not None and answers.prompt is not None and arguments.label_column and not arguments.text_columns:
        return Layout(text=columns_in(answers.prompt), label=arguments.label_column)

    def column_names() -> list[str]:
        if spec.table is not None:
            return list(spec.table.rows.column_names)
        return columns_of(_file_at(Path(spec.path), None)) if spec.path else []

    try:
        return layout_of(arguments, column_names=column_names)
    except InputError:
        if known_layouts(arguments.kind):
            raise
        raise _nothing_said(spec, column_names()) from None


def _nothing_said(spec: SuiteSpec, columns: Sequence[str]) -> InputError:
    how = "say what they mean, with --text_columns and --label_column."
    here = ", ".join(columns)
    if not spec.is_named:
        return InputError(f"the columns of {spec.path or spec.name} are {here}: {how}")
    near = difflib.get_close_matches(spec.name, SUITES, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return InputError(
        f"{spec.name!r} is none of the suites that alum suites lists, and the columns of its rows are {here}: "
        f"{how}{hint}"
    )


def _table(spec: SuiteSpec, suite: Suite | None, layout: Layout, asked: Sequence[str]) -> Table:
    """Table of a suite with the columns that are used, from its path or the hub."""
    columns = [*layout.inputs, layout.label]
    try:
        if spec.path is None or spec.table is not None:
            assert spec.table is not None or suite is not None, "a name that is in no table has rows"
            table = _table_of_hub(suite) if spec.table is None and suite is not None else spec.table
            assert table is not None
            table.require(columns)
            return table
        file = _file_at(Path(spec.path), suite)
        further = (suite.group_column, *suite.cluster_columns, suite.variant_column) if suite else ()
        optional = [name for name in (*further, *ID_COLUMNS) if name is not None]
        return Table.of(load_table(file, [*columns, *asked], optional), str(file))
    except MissingColumnError as error:
        if suite is None:
            raise
        raise InputError(
            f"{error} Rows of {suite.name} have the columns of its data set; for others give a name of your own, "
            "--text_columns and --label_column."
        ) from None


def _file_at(path: Path, suite: Suite | None) -> Path:
    return _file_of_split(path, suite) if path.is_dir() else path


def _file_of_split(folder: Path, suite: Suite | None) -> Path:
    """File of a suite's split, else of ``validation`` or ``test``, else the only file of a folder."""
    try:
        files = split_files(folder)
    except InputError:
        files = {}
    names = ["validation", "test"] if suite is None else [suite.split, "validation", "test"]
    for name in names:
        if name.lower() in files:
            return file_of(name.lower(), files)
    if len(files) == 1:
        return file_of(next(iter(files)), files)
    here = ", ".join(path.name for paths in files.values() for path in paths)
    raise InputError(
        f"{folder}: expected {', '.join(f'{name}.jsonl' for name in dict.fromkeys(names))} (.csv, .parquet) or a "
        f"single file, but the files are {here or 'none that ends in .jsonl, .csv or .parquet'}: name the file."
    )


def _no_suite(name: str) -> InputError:
    what = unknown_name("suite", name, SUITES)
    return InputError(f"{what} For rows of your own give {name}=PATH, --text_columns and --label_column.")


def _table_of_hub(suite: Suite) -> Table:
    if suite.source.hub_id is None:
        raise InputError(f"{suite.name} cannot be loaded from the hub: {suite.source.note}, {suite.name}=PATH.")
    advice = f"Give a folder that holds {suite.name} with --data_dir, or, to alum evaluate, {suite.name}=PATH."
    return load_split(suite.source, suite.split, advice)


def part_of(rows: TaskRows, count: int | None, seed: int) -> TaskRows:
    """Random part of rows in their order, or all of them; with the same seed, a larger part contains a smaller one."""
    return rows if count is None or count >= len(rows) else rows.select(drawn_indices(len(rows), count, seed))


def drawn_indices(num_rows: int, count: int | None, seed: int) -> list[int]:
    """Indices of a random part of rows, as `part_of` takes them, in rising order."""
    return sorted(np.random.default_rng(seed).permutation(num_rows)[:count].tolist())
