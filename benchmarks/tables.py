"""Figures as Markdown: tables, their cells, and the line that says how a record came about."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from alum.core.outputs.rounding import ROUNDING_NATS

Row: TypeAlias = Mapping[str, Any]
Column: TypeAlias = tuple[str, Callable[[Row, Row], str]]
"""A heading, and the cell of a contender's row beside that of the first contender."""


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], num_text_columns: int = 1) -> str:
    """Columns of text, then columns of numbers to the right."""
    rule = [*["---"] * num_text_columns, *["--:"] * (len(header) - num_text_columns)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def short(value: float | None) -> str:
    """A figure of any size in a table's cell."""
    return "–" if value is None else f"{value:.2g}" if abs(value) < 100 else f"{value:,.0f}"


def gain_of(row: Row) -> str:
    """A contender's adversarial gain in a table's cell."""
    return short(row["gain"] if row["divergence"] is not None and row["divergence"] > ROUNDING_NATS else None)


# -- contenders --------------------------------------------------------------------------------------------------------

TIME: tuple[Column, ...] = (
    ("seconds", lambda row, _: f"{row['seconds']:.3f}"),
    ("quartiles", lambda row, _: f"{row['seconds_first_quartile']:.3f} to {row['seconds_third_quartile']:.3f}"),
    ("ratio", lambda row, _: f"{row['ratio_of_medians']:.2f}"),
    ("in a round", lambda row, _: f"{row['median_of_ratios']:.2f}"),
)
PROCESSOR: Column = ("processor", lambda row, _: f"{row['processor_ratio']:.2f}")
WORK: tuple[Column, ...] = (
    ("peak memory, MB", lambda row, _: f"{row['peak_bytes'] / 1e6:.0f}"),
    ("ratio", lambda row, floor: f"{row['peak_bytes'] / floor['peak_bytes']:.2f}"),
    ("GFLOPs", lambda row, _: f"{row['flops'] / 1e9:.1f}"),
    ("ratio", lambda row, floor: f"{row['flops'] / floor['flops']:.2f}"),
    ("gain", lambda row, _: gain_of(row)),
    ("divergence", lambda row, _: short(row["divergence"])),
)


def contenders_table(rows: Sequence[Row], columns: Sequence[Column], marked: Iterable[str] = ()) -> str:
    """A row for each contender, with an asterisk behind the names that are marked."""
    cells = [
        [
            f"{row['contender']} *" if row["contender"] in marked else row["contender"],
            *(cell(row, rows[0]) for _, cell in columns),
        ]
        for row in rows
    ]
    return markdown_table(["", *(heading for heading, _ in columns)], cells)


FIGURES = {"seconds": "time", "peak_bytes": "peak memory", "gain": "adversarial gain", "divergence": "divergence"}


def targets_table(found: Sequence[Row]) -> str:
    """What was to be reached, in shares of another contender's figure, and what was."""
    rows = [
        (
            f"{each['group']}: {FIGURES[each['figure']]} of {each['contender']} / {each['over']}",
            f"{'≤' if each['bound'] == 'at most' else '≥'} {each['limit']:.2f}",
            f"{each['share']:.2f}",
            reached_or_missed(each["reached"]),
        )
        for each in found
    ]
    return markdown_table(["", "to reach", "measured", ""], rows)


def reached_or_missed(is_reached: bool) -> str:
    return "reached" if is_reached else "missed"


# -- how a record came about -------------------------------------------------------------------------------------------


def versions(environment: Row) -> str:
    """Of torch, transformers and alum."""
    return ", ".join(f"{name} {environment[name]}" for name in ("torch", "transformers", "alum"))


def conditions(record: Row, command: str) -> str:
    """The sentence that says where, when and with what a record was made."""
    machine = record["environment"]
    return (
        f"`{command}`, {record['date']}: {machine['processors']} processors ({machine['processor']}, "
        f"{machine['platform']}), {machine['torch_threads']} threads, load average {machine['load_average']:.1f} at "
        f"the start; {versions(machine)}; {record['minutes']:.0f} minutes."
    )
