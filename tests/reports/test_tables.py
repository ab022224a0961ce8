import io

from rich.console import Console

from alum.reports.tables import show_table


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
