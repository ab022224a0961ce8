import pytest

from alum.reports.checklist.marks import Exchanged, marked


@pytest.mark.parametrize(
    ("original", "changed", "exchanged"),
    [
        ("a fine film", "a fnie film", [("fine", "fnie")]),
        ("a film", "a film @abc", [("", " @abc")]),
        ("It's fine", "It is fine", [("'s", " is")]),
        ("a film.", "a film", [(".", "")]),
        ("same", "same", []),
        ("", "new", [("", "new")]),
    ],
)
def test_marks_are_of_what_differs_and_put_both_texts_together_again(original, changed, exchanged):
    parts = marked(original, changed)
    assert "".join(part if isinstance(part, str) else part.old for part in parts) == original
    assert "".join(part if isinstance(part, str) else part.new for part in parts) == changed
    assert "".join(part.old for part in parts if isinstance(part, Exchanged)) == "".join(old for old, _ in exchanged)
    assert "".join(part.new for part in parts if isinstance(part, Exchanged)) == "".join(new for _, new in exchanged)
