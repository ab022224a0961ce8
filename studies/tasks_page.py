"""Makes the page on every kind of task from its record, and trains nothing."""

from collections.abc import Mapping
from typing import Any

from benchmarks.pages import Page
from benchmarks.places import DOCS
from benchmarks.tables import markdown_table
from studies.kept_runs import conditions


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    seconds = sum(row["standard_seconds"] + row["alum_one_pass_seconds"] for row in record["rows"])
    return {
        "conditions": conditions(record, "make study-tasks", f"{seconds / 60:.0f} minutes of training"),
        "tasks": tasks_table(record),
    }


def tasks_table(record: Mapping[str, Any]) -> str:
    header = ["data", "task", "metric", "steps", "standard", "alum_one_pass", "gain"]
    header += ["seconds, standard", "seconds, one-pass"]
    rows = [
        (
            row["folder"],
            row["task"],
            row["metric"],
            str(row["steps"]),
            f"{row['standard']:.3f}",
            f"{row['alum_one_pass']:.3f}",
            f"{row['gain'] or float('nan'):.0f}",
            f"{row['standard_seconds']:.0f}",
            f"{row['alum_one_pass_seconds']:.0f}",
        )
        for row in record["rows"]
    ]
    return markdown_table(header, rows, num_text_columns=3)


PAGE = Page(DOCS / "studies" / "tasks.md", parts)

if __name__ == "__main__":
    PAGE.command(__doc__)
