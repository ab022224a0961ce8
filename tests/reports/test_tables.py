import io

import pytest
from rich.console import Console

from alum.reports.tables import show_in_parts, show_table
from terminal_tables import table_cells

HUB = ("stanfordnlp/squad_adversarial/AddSent", "nyu-mll/glue/cola")
SUITES = [
    ["squad_addsent", "question answering", HUB[0], "f1, exact_match", "mit"],
    ["cola", "classification", HUB[1], "matthews_correlation", "not stated"],
]
HEADER = ("suite", "kind", "on the hub", "metrics", "licence")


def shown(*arguments, width=80):
    file = io.StringIO()
    show_table(*arguments[:3], Console(file=file, width=width), *arguments[3:])
    return file.getvalue().splitlines()


def test_a_table_has_its_title_header_and_every_cell():
    lines = shown("Scores", ("method", "accuracy"), [["standard", "81.0 %"], ["alum", "9.5 %"]])
    assert lines[0] == "Scores"
    assert table_cells("\n".join(lines)) == [["method", "accuracy"], ["standard", "81.0 %"], ["alum", "9.5 %"]]


def test_numbers_end_in_one_column():
    lines = shown("Scores", ("method", "accuracy"), [["standard", "81.0 %"], ["alum", "9.5 %"]])
    assert len({line.index("%") for line in lines if "%" in line}) == 1


def test_brackets_in_names_are_text():
    lines = shown("runs[old] on b", ("to[ken]", "share"), [["[sep]", "[1]"]])
    assert all(any(name in line for line in lines) for name in ("runs[old]", "to[ken]", "[sep]", "[1]"))


def test_there_are_no_boxes_and_no_spaces_at_the_ends_of_lines():
    lines = shown("Suites", HEADER, SUITES, 5, width=120)
    assert all(line.isascii() and line == line.rstrip() for line in lines)


@pytest.mark.parametrize("width", [45, 60, 80, 100, 120, 300])
def test_no_line_is_too_long_and_no_word_is_broken(width):
    lines = shown("Suites, and where each of them is to be found on the hub", HEADER, SUITES, 5, width=width)
    assert max(map(len, lines)) <= width
    words = {word for row in SUITES for cell in row for word in cell.split()}
    assert words <= set(" ".join(lines).split())


def test_text_is_wrapped_before_rows_become_paragraphs():
    header, row = ("method", "source", "cost"), ["alum", "Liu et al. 2020", "2.67"]
    assert shown("Sources", header, [row], 2, width=24)[1:] == [
        "method  source      cost",
        "------  ----------  ----",
        "alum    Liu et al.  2.67",
        "        2020",
    ]
    assert shown("Sources", header, [row], 2, width=16) == [
        "Sources",
        "alum",
        "  source  Liu et",
        "          al.",
        "          2020",
        "  cost    2.67",
    ]


def test_a_word_that_is_wider_than_the_terminal_is_broken_and_nothing_of_it_is_lost():
    lines = shown("Runs", ("run", "score"), [["a" * 50, "1.0"]], width=30)
    assert max(map(len, lines)) <= 30
    assert "".join(lines).count("a") == 50


def test_wide_characters_count_twice():
    lines = shown("t", ("text", "n"), [["漢字", "1"], ["ab", "2"]], width=80)
    assert lines[3:] == ["漢字  1", "ab    2"]


def test_columns_that_do_not_fit_go_on_in_further_tables_with_the_same_labels():
    file = io.StringIO()
    header = ("task", *(f"model_{number}" for number in range(5)))
    rows = [["sst2", *(f"{number}.0 (±1)" for number in range(5))]]
    show_in_parts(("All", "Further"), header, rows, Console(file=file, width=40), 1, 1)
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 40
    found = table_cells(text)
    assert [row[0] for row in found] == ["task", "sst2"] * 2
    assert [name for row in found[::2] for name in row[1:]] == list(header[1:])
    assert [cell for row in found[1::2] for cell in row[1:]] == rows[0][1:]
    assert (text.count("All"), text.count("Further")) == (1, 1)
