"""Markers of generated parts, and the committed pages beside their records."""

import json
import sys

import pytest

from benchmarks import cost_page, data_page, directions_page, padding, pretraining_page
from benchmarks.against_textattack import page as textattack_page
from benchmarks.architectures import page as architectures_page
from benchmarks.cells import page as cells_page
from benchmarks.gpu import page as gpu_page
from benchmarks.pages import Page, PageError, filled

PROSE = """# Speed

It was slow.

<!-- generated: seconds -->
<!-- end: seconds -->

Memory is another matter.

<!-- generated: memory, peak -->

| old |

<!-- end: memory, peak -->
"""
PARTS = {"seconds": "12.5", "memory, peak": "| new |"}


def test_parts_stand_between_their_markers_and_prose_stays():
    page = filled(PROSE, PARTS)
    assert (
        page
        == """# Speed

It was slow.

<!-- generated: seconds -->

12.5

<!-- end: seconds -->

Memory is another matter.

<!-- generated: memory, peak -->

| new |

<!-- end: memory, peak -->
"""
    )
    assert filled(page, PARTS) == page


def test_what_a_part_says_is_taken_literally():
    assert r"\1 \g<0>" in filled(PROSE, {**PARTS, "seconds": r"\1 \g<0>"})


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("<!-- generated: seconds -->\n", "", "line 5: <!-- end: seconds --> without its beginning"),
        ("<!-- end: seconds -->\n", "", "line 9: expected <!-- end: seconds -->, found <!-- generated: memory, peak"),
        ("<!-- end: memory, peak -->\n", "", "no <!-- end: memory, peak -->"),
        ("<!-- generated: seconds -->\n<!-- end: seconds -->", "", "no <!-- generated: seconds -->"),
        ("memory, peak", "memory", "no <!-- generated: memory, peak -->"),
        ("Memory is", "<!-- generated: seconds -->\n<!-- end: seconds -->\nMemory is", "line 8: .* stands twice"),
        ("Memory is", "<!-- generated: disk -->\n<!-- end: disk -->\nMemory is", "no part is called disk"),
        ("Memory is", "<!-- end: seconds -->\nMemory is", "line 8: <!-- end: seconds --> without its beginning"),
    ],
)
def test_markers_and_parts_must_pair_off(before, after, message):
    with pytest.raises(PageError, match=message):
        filled(PROSE.replace(before, after), PARTS)


def test_a_page_is_made_of_committed_prose_and_the_record_of_a_folder(tmp_path):
    committed = tmp_path / "docs" / "speed.md"
    committed.parent.mkdir()
    committed.write_text("Slow: δ.\n<!-- generated: seconds -->\n<!-- end: seconds -->\n", encoding="utf-8")
    page = Page(
        committed,
        lambda record: {"seconds": str(record["seconds"])},
        lambda record, folder: (folder / "speed.png").write_text(str(record["seconds"])),
    )
    text = page.write_with({"seconds": 3}, tmp_path / "new")
    assert text == "Slow: δ.\n<!-- generated: seconds -->\n\n3\n\n<!-- end: seconds -->\n"
    assert (tmp_path / "new" / "speed.md").read_text(encoding="utf-8") == text
    assert (tmp_path / "new" / "speed.png").read_text() == "3"
    assert json.loads((tmp_path / "new" / "speed.json").read_text()) == {"seconds": 3}
    assert "3" not in committed.read_text(encoding="utf-8")


def test_the_command_names_the_page_that_it_refuses(tmp_path, monkeypatch):
    (tmp_path / "speed.md").write_text("no marker")
    (tmp_path / "speed.json").write_text("{}")
    monkeypatch.setattr(sys, "argv", [""])
    with pytest.raises(SystemExit, match=r"speed\.md: no <!-- generated: seconds -->"):
        Page(tmp_path / "speed.md", lambda record: {"seconds": "1"}).command("Makes it.")
    assert (tmp_path / "speed.md").read_text() == "no marker"


COMMITTED = [
    architectures_page, cells_page, cost_page, data_page, directions_page, gpu_page, padding, pretraining_page,
    textattack_page,
]  # fmt: skip


@pytest.mark.parametrize("module", COMMITTED, ids=lambda module: module.__name__)
def test_a_committed_page_is_that_of_its_record(module):
    file = module.PAGE.file
    record = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    assert module.PAGE.text(record) == file.read_text(encoding="utf-8")
