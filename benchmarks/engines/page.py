"""Makes the page on engines, ``engines.md``, from the record in ``engines.json``. It measures nothing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from alum.core.methods import METHODS
from benchmarks.pages import Page
from benchmarks.places import DOCS
from benchmarks.tables import conditions, markdown_table

Row = Mapping[str, Any]

TOLERANCE = 1e-5
"""Largest difference of the changes of weights, as a share of these, from those of one process."""
TOLERANCE_OF_ASCENT = 1e-3
"""The same of methods that ascend the divergence, which is near zero where they begin: rounding turns δ there."""


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    cells = record["cells"]
    return {
        "conditions": conditions(record, "make engines"),
        "outcome": outcome(cells),
        "agreement": "\n\n".join(f"### {title}\n\n{table}" for title, table in tables(cells).items()),
        "refused": "\n".join(f"- {reason}: {where}." for reason, where in refusals(cells).items()) or "None.",
    }


def outcome(cells: Sequence[Row]) -> str:
    of_several = [cell for cell in cells if cell["engine"] != "one process"]
    measured = [cell for cell in of_several if "difference" in cell]
    refused, failed = (sum(name in cell for cell in of_several) for name in ("refused", "failed"))
    near = sum(cell["difference"] <= TOLERANCE for cell in measured)
    furthest = max(cell["difference"] for cell in measured)
    counts = f"{len(of_several)} cells: {len(measured)} trained, {refused} refused, {failed} failed."
    agreeing = f"{near} agree within {TOLERANCE:.0e}, {sum(map(is_right, measured))} within their tolerance"
    return f"{counts} {agreeing}; the furthest is {furthest:.0e} off."


def is_right(cell: Row) -> bool:
    row = METHODS[cell["method"]]
    ascends_divergence = row.ascent == "divergence" and row.num_steps > 0
    limit: float = TOLERANCE_OF_ASCENT if ascends_divergence else TOLERANCE
    return "difference" in cell and cell["difference"] <= limit


def tables(cells: Sequence[Row]) -> dict[str, str]:
    """By stage and place: a row for each method, a column for each engine."""
    found: dict[str, list[Row]] = defaultdict(list)
    for cell in cells:
        if cell["engine"] != "one process":
            found[f"{cell['stage'].capitalize()}, {_place(cell['layer'])}"].append(cell)
    return {title: _table(some) for title, some in found.items()}


def _place(layer: str | int) -> str:
    return {"word": "at words", "embeddings": "at embeddings"}.get(str(layer), f"at block {layer}")


def _table(cells: Sequence[Row]) -> str:
    engines, methods = (list(dict.fromkeys(cell[name] for cell in cells)) for name in ("engine", "method"))
    of = {(cell["method"], cell["engine"]): cell for cell in cells}
    rows = [[f"`{method}`", *(_shown(of.get((method, engine))) for engine in engines)] for method in methods]
    return markdown_table(["", *engines], rows)


def _shown(cell: Row | None) -> str:
    if cell is None:
        return ""
    if "difference" not in cell:
        return "refused" if "refused" in cell else "failed"
    return f"{cell['difference']:.0e}" + ("" if is_right(cell) else " *")


def refusals(cells: Sequence[Row]) -> dict[str, str]:
    """By the first sentence of the reason or error, the method and the engines."""
    found: dict[str, list[str]] = defaultdict(list)
    for cell in cells:
        for name in ("refused", "failed"):
            if name in cell:
                found[f"`{cell['method']}`: {cell[name].split('. ')[0].removesuffix('.')}"].append(cell["engine"])
    return {reason: "; ".join(dict.fromkeys(engines)) for reason, engines in found.items()}


PAGE = Page(DOCS / "benchmarks" / "engines.md", parts)

if __name__ == "__main__":
    PAGE.command(__doc__)
