"""Makes the page on cells, ``cells.md``, from the record in ``cells.json``. It measures nothing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alum.core.methods import METHODS
from benchmarks.cells.plain_step import KINDS
from benchmarks.pages import Page
from benchmarks.places import DOCS
from benchmarks.tables import conditions, markdown_table

Row = Mapping[str, Any]

TOLERANCE = {"fp32": 1e-4, "bf16 autocast": 0.05, "pure bf16": 0.05}
"""Largest difference of gradients and of δ from the plain step's; in bf16, whose steps are 2⁻⁸, some 10 roundings."""
DIVERGENCE_TOLERANCE = 0.1
"""Largest deviation of the divergence at δ from that in fp32."""


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    cells = record["cells"]
    engines = list(dict.fromkeys(cell["engine"] for cell in cells))
    return {
        "conditions": conditions(record, "make cells"),
        "outcome": outcome(cells),
        "differences": "\n\n".join(
            f"### {engine.capitalize()}\n\n{differences_table([c for c in cells if c['engine'] == engine])}"
            for engine in engines
        ),
        "exceeding": bullets(exceeding(cells)),
        "refused cells": bullets(refused_cells(cells)),
        "refused settings": refusals_table(record["refusals"]),
    }


def outcome(cells: Sequence[Row]) -> str:
    measured = [cell for cell in cells if "difference" in cell]
    exact = [how_far_off(cell) for cell in measured if cell["precision"] == "fp32"]
    rounded = [cell for cell in measured if cell["precision"] != "fp32"]
    nearer = sum(cell["difference"] <= cell["rounding"] for cell in rounded)
    refused, failed = (sum(name in cell for cell in cells) for name in ("refused", "failed"))
    return (
        f"{len(cells)} cells: {refused} refused, {failed} failed, "
        f"{sum(not is_right(cell) for cell in measured)} beyond a tolerance. In fp32 gradients and δ differ by "
        f"{max(exact):.0e} at most, in bf16 by {max(map(how_far_off, rounded)):.1%}; in {nearer} of "
        f"{len(rounded)} cells in bf16 gradients differ by less than rounding does to those of the plain step itself."
    )


# -- differences -------------------------------------------------------------------------------------------------------


def differences_table(cells: Sequence[Row]) -> str:
    """A row for each method, a column for each kind; the difference in fp32, and the larger one in bf16."""
    of: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for cell in cells:
        of[cell["method"], cell["kind"]].append(cell)
    methods, kinds = (list(dict.fromkeys(cell[name] for cell in cells)) for name in ("method", "kind"))
    rows = [[f"`{method}`", *(difference(of[method, kind]) for kind in kinds)] for method in methods]
    return markdown_table(["", *(kind.replace("_", " ") for kind in kinds)], rows)


def difference(cells: Sequence[Row]) -> str:
    if not cells:
        return ""
    if any("failed" in cell for cell in cells):
        return "failed"
    if any("refused" in cell for cell in cells):
        return "refused"
    exact = [how_far_off(cell) for cell in cells if cell["precision"] == "fp32"]
    rounded = [how_far_off(cell) for cell in cells if cell["precision"] != "fp32"]
    mark = "" if all(map(is_right, cells)) else " *"
    return (
        ", ".join([*(f"{max(some, default=0):{form}}" for some, form in ((exact, ".0e"), (rounded, ".1%")) if some)])
        + mark
    )


def how_far_off(cell: Row) -> float:
    """Difference of the gradients or of δ, whichever is larger."""
    difference: float = max(cell["difference"], cell["delta_difference"])
    return difference


def is_right(cell: Row) -> bool:
    ratio = cell["divergence_ratio"]
    return _is_as_the_plain_one(cell) and (ratio is None or abs(ratio - 1) <= DIVERGENCE_TOLERANCE)


def _is_as_the_plain_one(cell: Row) -> bool:
    return how_far_off(cell) <= TOLERANCE[cell["precision"]]


# -- what is not right -------------------------------------------------------------------------------------------------


def exceeding(cells: Iterable[Row]) -> dict[str, list[Row]]:
    """Cells that failed or are beyond a tolerance, by what is wrong with them."""
    found: dict[str, list[Row]] = defaultdict(list)
    for cell in cells:
        if "failed" in cell:
            found[f"`{cell['method']}`: {cell['failed']}"].append(cell)
        elif "difference" in cell and not is_right(cell):
            found[_what_is_off(cell)].append(cell)
    return found


def _what_is_off(cell: Row) -> str:
    method = f"`{cell['method']}`, {cell['precision']}"
    if not _is_as_the_plain_one(cell):
        return f"{method}: gradients or δ"
    row = METHODS.get(cell["method"])
    is_warned_of = row is not None and row.ascent == "divergence" and row.num_steps > 0
    return f"{method}: divergence at δ" + (", which training warns of" if is_warned_of else "")


def refused_cells(cells: Iterable[Row]) -> dict[str, list[Row]]:
    """By the reason, with the methods that are refused for it."""
    found: dict[str, list[Row]] = defaultdict(list)
    for cell in cells:
        if "refused" in cell:
            name = cell["method"].partition(",")[0]  # without the setting that a row has beside its method
            found[_of_any_method(cell["refused"], name)].append(cell)
    return {f"{reason}: {_methods(refused)}": refused for reason, refused in found.items()}


def _methods(cells: Iterable[Row]) -> str:
    return ", ".join(dict.fromkeys(f"`{cell['method']}`" for cell in cells))


def bullets(found: Mapping[str, Sequence[Row]]) -> str:
    return "\n".join(f"- {what} ({'; '.join(places(cells))})" for what, cells in found.items()) or "None."


def places(cells: Sequence[Row]) -> list[str]:
    """Ways to train with the kinds of task, and how far off these are where that is known."""
    by_engine: dict[str, dict[str, None]] = defaultdict(dict)
    for cell in cells:
        by_engine[cell["engine"]][f"{cell['kind'].replace('_', ' ')}{_figure(cell)}"] = None
    every = {kind.replace("_", " ") for kind in KINDS}
    return [
        f"{engine}: {'every kind' if kinds.keys() == every else ', '.join(kinds)}"
        for engine, kinds in by_engine.items()
    ]


def _figure(cell: Row) -> str:
    if "difference" not in cell:
        return ""
    return f" {cell['divergence_ratio']:.2f}" if _is_as_the_plain_one(cell) else f" {how_far_off(cell):.2g}"


# -- refused settings --------------------------------------------------------------------------------------------------


def refusals_table(refusals: Sequence[Row]) -> str:
    """A row for each reason for which methods are refused with some settings."""
    rows = []
    for each in refusals:
        methods: dict[str, list[str]] = defaultdict(list)
        for name, text in each["refused"].items():
            methods[_of_any_method(text, name)].append(f"`{name}`")
        rows += [[each["settings"], ", ".join(names), reason] for reason, names in methods.items()]
    return markdown_table(["with", "refused", "because"], rows, num_text_columns=3)


def _of_any_method(text: str, name: str) -> str:
    for named in (f"adv_method {name!r}", f"method {name!r}", repr(name)):
        text = text.replace(named, "the method")
    return _first_sentence(text)


def _first_sentence(text: str) -> str:
    return text.split(". ")[0].removesuffix(".")


PAGE = Page(DOCS / "benchmarks" / "cells.md", parts)

if __name__ == "__main__":
    PAGE.command(__doc__)
