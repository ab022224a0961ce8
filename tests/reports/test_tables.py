import io

import pytest
from rich.console import Console

from alum.reports.tables import metric_text, metrics_rows, show_table


def shown(*arguments):
    file = io.StringIO()
    show_table(*arguments, console=Console(file=file, width=80))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_table_has_its_title_header_and_every_cell():
    lines = shown("Scores", ("method", "accuracy"), [["standard", "81.0 %"], ["alum", "9.5 %"]])
    assert lines[0] == "Scores"
    assert [line.split() for line in lines if "%" in line] == [
        ["│", "standard", "│", "81.0", "%", "│"],
        ["│", "alum", "│", "9.5", "%", "│"],
    ]
    assert any("method" in line and "accuracy" in line for line in lines)


def test_numbers_end_in_one_column():
    lines = shown("Scores", ("method", "accuracy"), [["standard", "81.0 %"], ["alum", "9.5 %"]])
    assert len({line.index("%") for line in lines if "%" in line}) == 1


def test_brackets_in_names_are_text():
    lines = shown("runs[old] on b", ("to[ken]", "share"), [["[sep]", "[1]"]])
    assert all(any(name in line for line in lines) for name in ("runs[old]", "to[ken]", "[sep]", "[1]"))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 0.8625, "86.2 %"),  # half to even
        ("f1_macro", 1.0, "100.0 %"),
        ("exact_match", 0.0, "0.0 %"),
        ("loss", 0.69314, "0.693"),
        ("pearson", -0.5, "-0.500"),
        ("alum_one_pass", 1234.5678, "1235"),
        ("mse", -123.4, "-123"),
    ],
)
def test_rates_are_percent_and_other_numbers_have_what_digits_matter(name, value, text):
    assert metric_text(name, value) == text


def test_a_row_for_each_suite_and_metric():
    metrics = {"clean": {"accuracy": 0.9, "loss": 0.25}, "gain": {"alum": 512.0}}
    assert metrics_rows(metrics) == [
        ["clean", "accuracy", "90.0 %"],
        ["clean", "loss", "0.250"],
        ["gain", "alum", "512"],
    ]
