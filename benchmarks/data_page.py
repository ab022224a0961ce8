"""Makes the page on the growth of data, ``data.md``, from the record in ``data.json``. It measures nothing."""

from collections.abc import Mapping
from typing import Any

from benchmarks.pages import Page
from benchmarks.places import DOCS
from benchmarks.tables import conditions, markdown_table


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    return {
        "conditions": conditions(record, "python -m benchmarks.data_growth"),
        "tokenised": tokenised_table(record),
        "read": read_table(record),
        "streamed": streamed_table(record),
    }


def tokenised_table(record: Mapping[str, Any]) -> str:
    """A row for each size and number of processes."""
    rows = [
        [
            f"{row['megabytes']:g}",
            number,
            f"{each['num_rows']:,}",
            f"{each['processor_seconds']:.0f}",
            f"{row['megabytes'] / each['processor_seconds']:.2f}",
            f"{each['bytes_before'] / 1e6:.0f}",
            f"{each['peak_bytes'] / 1e6:.0f}",
        ]
        for row in record["rows"]
        for number, each in row["tokenised"].items()
    ]
    header = [
        "text, MB",
        "processes",
        "rows",
        "processor seconds",
        "MB a second",
        "memory before, MB",
        "most memory, MB",
    ]
    return markdown_table(header, rows, num_text_columns=0)


def read_table(record: Mapping[str, Any]) -> str:
    rows = [
        [
            f"{row['megabytes']:g}",
            f"{each['num_read']:,}",
            f"{each['processor_seconds']:.1f}",
            f"{each['bytes_before'] / 1e6:.0f}",
            f"{each['peak_bytes'] / 1e6:.0f}",
        ]
        for row in record["rows"]
        for each in (row["read"],)
    ]
    header = ["text, MB", "rows read", "processor seconds", "memory before, MB", "most memory, MB"]
    return markdown_table(header, rows, num_text_columns=0)


def streamed_table(record: Mapping[str, Any]) -> str:
    rows = [
        [
            f"{row['megabytes']:g}",
            f"{each['seconds_before']:.1f}",
            f"{each['seconds_to_go_on']:.2f}",
            f"{each['peak_bytes'] / 1e6:.0f}",
        ]
        for row in record["rows"]
        if (each := row.get("streamed")) is not None
    ]
    header = ["text, MB", "seconds of the stream up to its end", "seconds to go on there", "most memory, MB"]
    return markdown_table(header, rows, num_text_columns=0)


PAGE = Page(DOCS / "benchmarks" / "data.md", parts)

if __name__ == "__main__":
    PAGE.command(__doc__)
