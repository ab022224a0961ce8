"""Figures as Markdown."""

from benchmarks import tables


def test_tables_have_text_to_the_left_and_numbers_to_the_right():
    table = tables.markdown_table(["name", "seconds"], [("standard", "0.5")])
    assert table == "| name | seconds |\n| --- | --: |\n| standard | 0.5 |"
