"""Makes the page on architectures, ``architectures.md``, from ``architectures.json``. It measures nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.pages import Page
from benchmarks.places import DOCS
from benchmarks.tables import conditions, gain_of, markdown_table

Row = Mapping[str, Any]

_COLUMNS = {"word": "words", "embeddings": "embeddings", "1": "block 1"}


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    rows = record["architectures"]
    tried = [row for row in rows if "places" in row]
    reasons = reasons_in(tried)
    return {
        "conditions": conditions(record, "make architectures"),
        "outcome": outcome(tried),
        "table": table(tried, reasons),
        "reasons": "\n".join(f"{number}. {reason}" for number, reason in enumerate(reasons, start=1)),
        "not tried": "\n".join(f"- `{row['architecture']}`: {row['not_tried']}" for row in rows if "not_tried" in row),
    }


def outcome(tried: Sequence[Row]) -> str:
    cells = [cell for row in tried for place in row["places"].values() for cell in place.values()]
    kinds = {"work": "divergence", "are refused": "refused", "fail": "failed"}
    counts = ", ".join(f"{sum(name in cell for cell in cells)} {words}" for words, name in kinds.items())
    at_words = sum(all("divergence" in cell for cell in row["places"]["word"].values()) for row in tried)
    return (
        f"{len(tried)} architectures; of {len(cells)} combinations with a place and a method {counts}. At the word "
        f"embeddings {at_words} architectures work with every method."
    )


def reasons_in(tried: Sequence[Row]) -> list[str]:
    """Reasons of refusals and failures, in the order in which the table first has them."""
    found = (_reason(row, cell) for row in tried for place in row["places"].values() for cell in place.values())
    return list(dict.fromkeys(reason for reason in found if reason))


def table(tried: Sequence[Row], reasons: Sequence[str]) -> str:
    """A row for each architecture: gains of the methods at each place, or numbers of the reasons for none."""
    cells = [
        [f"`{row['architecture']}`", row["class"], *(_cell(row, row["places"][place], reasons) for place in _COLUMNS)]
        for row in tried
    ]
    return markdown_table(["architecture", "model", *_COLUMNS.values()], cells, num_text_columns=2)


def _cell(row: Row, place: Mapping[str, Row], reasons: Sequence[str]) -> str:
    shown = []
    for cell in place.values():
        reason = _reason(row, cell)
        word = "failed" if "failed" in cell else "no"
        shown.append(f"{word} ({reasons.index(reason) + 1})" if reason else gain_of(cell))
    return shown[0] if len(set(shown)) == 1 and reasons and "(" in shown[0] else " / ".join(shown)


def _reason(row: Row, cell: Row) -> str:
    said = str(cell.get("refused") or cell.get("failed") or "")
    return said.replace(row["class"], "the model").removesuffix(".")


PAGE = Page(DOCS / "benchmarks" / "architectures.md", parts)

if __name__ == "__main__":
    PAGE.command(__doc__)
