"""Makes the page on directions, ``directions.md``, from the record in ``directions.json``. It measures nothing."""

from collections.abc import Mapping
from typing import Any

from benchmarks.pages import Page
from benchmarks.places import DOCS
from benchmarks.tables import conditions, markdown_table, short


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    return {
        "conditions": conditions(record, "python -m benchmarks.directions"),
        "settings": f"{record['num_rows']} rows that were not trained on, after {record['warm_steps']} steps of "
        "standard training.",
        "directions": directions_table(record),
    }


def directions_table(record: Mapping[str, Any]) -> str:
    """A row for each direction, a column for each task and radius; the largest of a column in bold."""
    columns = [(task, radius) for task in record["tasks"] for radius in task["rows"][0]["divergence"]]
    largest = [max(row["divergence"][radius] for row in task["rows"]) for task, radius in columns]

    def cells(index: int) -> list[str]:
        found = [task["rows"][index]["divergence"][radius] for task, radius in columns]
        return [
            f"**{short(value)}**" if value == most else short(value) for value, most in zip(found, largest, strict=True)
        ]

    names = [row["direction"] for row in record["tasks"][0]["rows"]]
    return markdown_table(
        ["", *(f"{task['task']}, {radius}" for task, radius in columns)],
        [[name, *cells(index)] for index, name in enumerate(names)],
    )


PAGE = Page(DOCS / "benchmarks" / "directions.md", parts)

if __name__ == "__main__":
    PAGE.command(__doc__)
