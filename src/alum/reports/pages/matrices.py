"""Tables of models by lines (conditions, groups, bins): a few models beside each other, many below each other."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_BESIDE = 4
"""Models that are columns; more of them are rows, and are ranked."""
_MOST_COLUMNS = 6  # that fit on paper


@dataclass(frozen=True)
class Heading:
    """Name of a row or column; ``style`` and ``glyph`` are a model's, ``rank`` its place among many."""

    name: str
    note: str = ""
    style: str = ""
    glyph: str = ""
    rank: int | None = None


@dataclass(frozen=True)
class Entry:
    """Texts of a cell; ``number`` is what its column is sorted by."""

    value: str
    notes: Sequence[str] = ()
    number: float | None = None
    is_best: bool = False
    verdict: str = ""


@dataclass(frozen=True)
class Matrix:
    """A table whose first column has ``corner`` for its heading."""

    corner: str
    columns: Sequence[Heading]
    rows: Sequence[tuple[Heading, Sequence[Entry | None]]]
    has_model_rows: bool


def matrices(
    corner: str,
    models: Sequence[Heading],
    lines: Sequence[tuple[Heading, Sequence[Entry | None]]],
    model_corner: str = "model",
) -> list[Matrix]:
    """Tables of lines, each with a cell for each model: one with a row a line, or several with a row a model.

    Rows of models stand in the order of their ranks.
    """
    if len(models) <= MOST_BESIDE:
        return [Matrix(corner, models, lines, has_model_rows=False)]
    order = sorted(range(len(models)), key=lambda index: models[index].rank or len(models))
    tables = []
    for start in range(0, len(lines), _MOST_COLUMNS):
        part = lines[start : start + _MOST_COLUMNS]
        rows = [(models[index], [cells[index] for _, cells in part]) for index in order]
        tables.append(Matrix(model_corner, [heading for heading, _ in part], rows, has_model_rows=True))
    return tables
