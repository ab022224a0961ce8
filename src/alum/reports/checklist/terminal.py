"""Outcomes of behavioural tests in the terminal: failure rates by test and capability, and failures to read."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from alum.data.visible_console import VisibleConsole
from alum.data.visible_text import visible_line
from alum.reports.checklist.marks import Exchanged, marked_texts
from alum.reports.numbers import interval_text, percent_text
from alum.reports.tables import show_table

ALL = "all together"
_RATE = "failure_share"  # is read in percent


def show_checklist(record: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints a table of the tests, some failures of each, and which tests were left out."""
    console = console or VisibleConsole()
    title = f"CheckList of {record['model']}, {record['num_rows']:,} of {record['num_rows_available']:,} rows"
    heads = ("capability", "test", "cases", "failed", "95 % interval")
    show_table(title, heads, table_rows(record), console, num_text_columns=2)
    for test in record["tests"]:
        if test["failures"]:
            _show_failures(test, record["num_shown"], console)
    for name, why in record["left_out"].items():
        console.print(Text(f"Left out: {name}, since {why}.", style="dim"))


def table_rows(record: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Capability, test, cases, failure rate and its interval: a row for each test, and for several of a capability."""
    rows: list[tuple[str, ...]] = []
    for capability, rate in record["capabilities"].items():
        tests = [test for test in record["tests"] if test["capability"] == capability]
        rows += [(capability, test["name"], *_rate_texts(test["rate"])) for test in tests]
        if len(tests) > 1:
            rows.append((capability, ALL, *_rate_texts(rate)))
    return rows


def answers_text(failure: Mapping[str, Any]) -> str:
    """Answers before and after with their probabilities, or the answer and what it should be."""
    before, after = failure["before"], _answer_text(failure["after"])
    return f"{after} (should be: {failure['expected']})" if before is None else f"{_answer_text(before)} → {after}"


def _answer_text(answer: Mapping[str, Any]) -> str:
    return f"{answer['label']} {percent_text(answer['probability'])}"


def place_text(failure: Mapping[str, Any]) -> str:
    """Where a failure's text is from."""
    return "a template" if failure["row"] is None else f"row {failure['row']}"


def _rate_texts(rate: Mapping[str, Any]) -> tuple[str, str, str]:
    interval = interval_text(_RATE, rate["low"], rate["high"])
    return f"{rate['num_cases']:,}", percent_text(rate["failure_rate"]), interval


def _show_failures(test: Mapping[str, Any], count: int, console: Console) -> None:
    rate = test["rate"]
    head = f"{test['name']}: {test['statement']}. {rate['num_failures']:,} of {rate['num_cases']:,} cases failed."
    console.print(Text(head, style="bold"))
    for failure in test["failures"][:count]:
        text = Text(f"  {place_text(failure)}: ")
        text.append(f"{answers_text(failure)}: ")
        console.print(text.append_text(_example(failure)), soft_wrap=not console.is_terminal)


def _example(failure: Mapping[str, Any]) -> Text:
    """Changed texts in quotation marks, with what was exchanged as ``[old → new]``, ``[+new]`` or ``[-old]``."""
    shown = []
    for parts in marked_texts(failure["original"], failure["changed"]):
        text = Text("“")
        for part in parts:
            text.append_text(_mark(part) if isinstance(part, Exchanged) else Text(visible_line(part)))
        shown.append(text.append("”"))
    return Text(" | ").join(shown)


def _mark(part: Exchanged) -> Text:
    old, new = (visible_line(part.old), "red strike"), (visible_line(part.new), "bold green")
    if not part.old.strip():
        return Text.assemble("[+", new, "]")
    return Text.assemble("[-", old, "]") if not part.new.strip() else Text.assemble("[", old, " → ", new, "]")
