"""Page of behavioural tests: failure rates, and failures with what was changed in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alum.data.writing import write_text
from alum.reports.checklist.marks import Exchanged, marked_texts
from alum.reports.checklist.terminal import answers_text, place_text, table_rows
from alum.reports.numbers import setting_percent_text
from alum.reports.pages.html_page import html_page, setting_texts

MAX_SHOWN = 20
"""Failures of a test on the page; the record has all."""


def write_checklist_page(path: Path, record: Mapping[str, Any]) -> None:
    """Writes the page of a record as ``checklist.json`` holds it, one HTML file, whole or not at all."""
    write_text(path, checklist_page(record))


def checklist_page(record: Mapping[str, Any]) -> str:
    """Renders the page as HTML; all text of models and rows in it is escaped."""
    return html_page("checklist.html", _contents(record))


def _contents(record: Mapping[str, Any]) -> dict[str, Any]:
    rates: dict[str, list[tuple[str, ...]]] = {}
    for capability, *row in table_rows(record):
        rates.setdefault(capability, []).append(tuple(row))
    return {
        "model": record["model"],
        "rows": record["rows"],
        "num_rows": f"{record['num_rows']:,} of {record['num_rows_available']:,}",
        "rates": rates,
        "tolerance": setting_percent_text(record["tolerance"]).removesuffix(" %"),
        "tests": [_test(test) for test in record["tests"]],
        "labels": record["labels"],
        "left_out": record["left_out"],
        "environment": setting_texts(record["environment"]),
    }


def _test(test: Mapping[str, Any]) -> dict[str, Any]:
    rate = test["rate"]
    return {
        **test,
        "counts": f"{rate['num_failures']:,} of {rate['num_cases']:,} cases failed",
        "num_more": max(rate["num_failures"] - MAX_SHOWN, 0),
        "failures": [_failure(failure) for failure in test["failures"][:MAX_SHOWN]],
    }


def _failure(failure: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "where": place_text(failure),
        "answers": answers_text(failure),
        "texts": [
            [{"old": part.old, "new": part.new} if isinstance(part, Exchanged) else {"same": part} for part in parts]
            for parts in marked_texts(failure["original"], failure["changed"])
        ],
    }
