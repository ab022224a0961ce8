"""Rows of a task: a table of examples together with the layout of its columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset

from alum.core.errors import InputError
from alum.data.table import Table, drawn_by_weight, require_weights
from alum.tasks.layout import Layout


@dataclass(frozen=True)
class TaskRows:
    """Table of a task's examples together with the layout of its columns."""

    table: Table
    layout: Layout

    def __len__(self) -> int:
        return len(self.table)

    @property
    def numbers(self) -> Sequence[int]:
        """Number of each row, counted from 1, in the file or split that it is from."""
        return self.table.numbers

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the labels in the order of their integers; empty for tasks without label names."""
        return self.layout.label_names

    @property
    def has_labels(self) -> bool:
        """Whether the table has its label column."""
        return self.layout.label in self.table.rows.column_names

    def labels(self) -> list[Any]:
        """Values of the label column, as they stand in the table."""
        return self.table.column(self.layout.label)

    def texts(self) -> list[list[str]]:
        """Texts, ``[columns][rows]``, in the layout's wordings where it has some.

        Raises `InputError` where a column is missing or is not of text.
        """
        self.table.require(self.layout.text)
        words = {(column, value): text for column, value, text in self.layout.wordings}
        return [[words.get((column, text), text) for text in self.table.texts(column)] for column in self.layout.text]

    def templates(self) -> tuple[str, ...]:
        """Texts of columns whose values nobody writes, such as COPA's question: nothing changes them."""
        columns = zip(self.layout.text, self.texts(), strict=True)
        found = (text for column, texts in columns if column in self.layout.worded_columns for text in texts)
        return tuple(dict.fromkeys(found))

    def some(self, count: int | None, seed: int) -> TaskRows:
        """Keeps at most ``count`` rows: the first ones or, of several files or splits, some that ``seed`` draws.

        All of them where the count is None.
        """
        if count is None or count >= len(self) or not self.are_of_several:
            return self.first(count)
        return self.select(np.sort(np.random.default_rng(seed).permutation(len(self))[:count]).tolist())

    @property
    def are_of_several(self) -> bool:
        """Whether the rows are joined of several files, or of splits such as ANLI's rounds, one behind the other."""
        return self.table.files is not None

    def examples(self) -> list[tuple[str, ...]]:
        """Texts of each row, in the order of the columns; raises as `texts`."""
        return list(zip(*self.texts(), strict=True))

    def error(self, index: int, message: str) -> InputError:
        """Makes an error about the row at ``index`` that names its file or split and its number."""
        return self.table.error(index, message)

    def select(self, indices: Sequence[int]) -> TaskRows:
        return dataclasses.replace(self, table=self.table.select(indices))

    def first(self, count: int | None) -> TaskRows:
        """Keeps at most ``count`` rows from the beginning; all of them where it is None."""
        return dataclasses.replace(self, table=self.table.first(count))

    def weighed(self, files: Sequence[str], weights: Sequence[float], seed: int) -> TaskRows:
        """Rows of several files, those of each as often as its weight says, parts of them drawn by ``seed``.

        ``files`` are all that were read, in their order. Raises `InputError` for weights that do not fit them, and for
        a file that is there twice or of which no row was left.
        """
        require_weights(weights, len(files), "file")
        sizes = self.table.num_rows_by_file or {self.table.where: len(self)}
        for file in files:
            if files.count(file) > 1:
                raise InputError(f"{file} is there {files.count(file)} times: name it once, with all of its weight.")
            if file not in sizes:
                raise InputError(f"{file} has no labelled rows, and a weight: leave both out, or give it labels.")
        return self.select(drawn_by_weight(list(sizes.values()), weights, seed).tolist())

    @property
    def declared_classes(self) -> tuple[str, ...]:
        """Names of the classes that the type of the label column, or of the lists in it, declares; empty without."""
        feature = self.table.rows.features[self.layout.label]
        feature = getattr(feature, "feature", feature)
        return tuple(feature.names) if isinstance(feature, ClassLabel) else ()

    def labelled(self, *, are_published: bool) -> TaskRows:
        """Leaves out rows without a label (`Table.labelled`, of texts `Table.filled`).

        A label of -1 is none in published data sets and in columns that declare classes, and a label elsewhere.
        """
        self.table.require([self.layout.label])
        if self.layout.label_is_text:
            return dataclasses.replace(self, table=self.table.filled(self.layout.label))
        minus_one_is_none = are_published or bool(self.declared_classes)
        table = self.table.labelled(self.layout.label, minus_one_is_none=minus_one_is_none)
        return dataclasses.replace(self, table=table)

    def unlabelled(self) -> TaskRows:
        """Leaves out the label column, for rows that are to be predicted."""
        return dataclasses.replace(self, table=self.table.without(self.layout.label))

    def with_label_names(self, names: tuple[str, ...], *, numbers_are_positions: bool = True) -> TaskRows:
        """Rows with the names of their labels, and whether a whole number is the position of one (`Layout`)."""
        layout = dataclasses.replace(self.layout, label_names=names, numbers_are_positions=numbers_are_positions)
        return dataclasses.replace(self, layout=layout)

    def with_columns(self, columns: Mapping[str, Sequence[Any]]) -> TaskRows:
        """Replaces the values of some columns, given by name, row by row."""
        rows = self.table.rows
        values = {name: columns.get(name, self.table.column(name)) for name in rows.column_names}
        changed = Dataset.from_dict(values, features=rows.features)
        return dataclasses.replace(self, table=dataclasses.replace(self.table, rows=changed))
