"""Tables, failures and page of behavioural tests, of a record as the stage writes it."""

import io
import re
from html.parser import HTMLParser

import pytest

from alum.data.visible_console import VisibleConsole
from alum.reports.checklist.page import MAX_SHOWN, checklist_page
from alum.reports.checklist.terminal import show_checklist, table_rows

EVIL = "<script>alert(1)</script> \x1b[31m\u202e[bold]"


def rate(num_cases, num_failures):
    share = num_failures / num_cases
    return {"num_cases": num_cases, "num_failures": num_failures, "failure_rate": share, "low": 0.1, "high": 0.3}


def failure(row=7, original=("a fine film",), changed=("a fnie film",), before=("good", 0.9), after=("bad", 0.75)):
    answers = [one and dict(zip(("label", "probability"), one, strict=True)) for one in (before, after)]
    texts = {"shortfall": 0.5, "row": row, "original": original, "changed": changed, "expected": "good"}
    return {**texts, "before": answers[0], "after": answers[1]}


def outcome(name, capability, failures):
    return {
        "name": name, "capability": capability, "kind": "invariance", "statement": f"what {name} says",
        "num_texts": 200, "rate": rate(50, len(failures)), "failures": failures,
    }  # fmt: skip


@pytest.fixture
def record():
    tests = [
        outcome("typo", "robustness", [failure() for _ in range(MAX_SHOWN + 3)]),
        outcome("end_mark", "robustness", [failure(row=8, original=(EVIL,), changed=(f"{EVIL}.",))]),
        outcome("opinions", "vocabulary", [failure(None, None, ("It was fine.",), None)]),
        outcome("names", "named entities", []),
    ]
    return {
        "model": f"runs/a {EVIL}", "rows": "rows.jsonl", "num_rows": 50, "num_rows_available": 872,
        "labels": {"positive": "good"}, "tolerance": 0.1, "tests": tests,
        "capabilities": {"robustness": rate(100, 24), "vocabulary": rate(50, 1), "named entities": rate(50, 0)},
        "left_out": {"cities": "no row has what it changes"}, "num_shown": 2, "environment": {"alum": "0"},
    }  # fmt: skip


def printed(record, width=120):
    console = VisibleConsole(file=io.StringIO(), width=width)
    show_checklist(record, console)
    return console.file.getvalue()


def test_each_test_has_a_row_and_several_of_a_capability_one_together(record):
    assert table_rows(record) == [
        ("robustness", "typo", "50", "46.0 %", "10.0–30.0"),
        ("robustness", "end_mark", "50", "2.0 %", "10.0–30.0"),
        ("robustness", "all together", "100", "24.0 %", "10.0–30.0"),
        ("vocabulary", "opinions", "50", "2.0 %", "10.0–30.0"),
        ("named entities", "names", "50", "0.0 %", "10.0–30.0"),
    ]


def test_failures_are_read_with_what_was_changed_and_what_was_said(record):
    shown = printed(record)
    assert shown.count("row 7: good 90.0 % → bad 75.0 %: “a [fine → fnie] film”") == 2
    assert "typo: what typo says. 23 of 50 cases failed." in shown
    assert "a template: bad 75.0 % (should be: good): “It was fine.”" in shown
    assert "Left out: cities, since no row has what it changes." in shown
    assert "[+.]”" in shown
    assert "names: what" not in shown
    record["num_shown"] = 0
    assert "row 7" not in printed(record)


def test_texts_in_the_other_order_are_shown_as_they_are(record):
    record["tests"] = [outcome("order", "logic", [failure(original=("a dog", "a cat"), changed=("a cat", "a dog"))])]
    record["capabilities"] = {"logic": rate(50, 1)}
    assert "“a cat” | “a dog”" in printed(record)
    assert "<del>a dog" not in checklist_page(record)
    assert "<bdi>a cat</bdi>" in checklist_page(record)


def test_no_text_moves_the_terminal_or_is_markup(record):
    shown = printed(record)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[bold]" in shown
    assert r"\x1b[31m" in shown


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []
        self.texts = []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_has_every_number_and_runs_nothing(record):
    page = checklist_page(record)
    tags = Tags()
    tags.feed(page)
    assert "script" not in tags.found
    assert "\x1b" not in page
    assert "\u202e" not in page
    text = " ".join("".join(tags.texts).split())
    for row in table_rows(record):
        assert all(cell in text for cell in row)
    assert text.count("row 7: good 90.0 % → bad 75.0 %") == MAX_SHOWN
    assert "3 more are in checklist.json." in text
    assert "a template: bad 75.0 % (should be: good)" in text
    assert "falls by more than 10 points" in text
    assert "positive is good" in text
    assert re.search(r"<del>fine</del>.*<ins>fnie</ins>", page)
