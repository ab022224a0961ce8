"""Texts that would move a terminal's cursor, colour it, turn it round or hide in it."""

import io
import logging
import re
import subprocess
import sys
import unicodedata

import pytest
from rich.text import Text

from alum.data.visible_console import VisibleConsole
from alum.data.visible_text import VisibleRecord, fit_logs, fitted, print_visible, visible, visible_line, wrapped
from alum.reports.tables import show_table

ATTACK = "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202egpj\u2066 a\u200bb\ud800 \r\x08"
OBEYED = [
    *map(chr, [*range(9), *range(11, 32), 127, *range(128, 160)]),  # C0 and C1 without line end and tab, DEL
    *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",  # Unicode TR9: explicit formatting
    *"\u00ad\u200b\u2060\u2061\ufeff\U000e0041",  # nothing to see: soft hyphen, zero-width, joiner, BOM, a tag
    *"\u034f\u115f\u1160\u3164\uffa0\u2800",  # letters, marks and a symbol that are blank
    "\u2028",
    "\u2029",
    "\ud800",
    "\udfff",
    "\ufff9",
    "\ue000",
]


@pytest.mark.parametrize("character", OBEYED, ids=ascii)
def test_what_is_obeyed_or_hidden_is_spelled_out(character):
    shown = visible(f"a{character}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert shown[0] == "a"
    assert shown[-1] == "b"
    assert shown[1:-1].encode().decode("unicode_escape") == character
    assert visible(shown) == shown


@pytest.mark.parametrize("text", ["go\u200dod", "go\u200cod", "\u200dgood", "good\u200d", "good \u200d x", "a\ufe0fb"])
def test_joiners_hide_in_no_latin_word(text):
    assert visible(text).isascii()
    assert visible(text) != text


@pytest.mark.parametrize("text", ["👩\u200d🔬", "नम\u200dस्ते", "می\u200cخواهم", "❤\ufe0f", "1\ufe0f\u20e3", "©\ufe0f"])
def test_joiners_of_emoji_and_other_scripts_stay(text):
    assert visible(text) == text


def test_every_other_character_is_as_it_was():
    categories = ("L", "M", "N", "P", "S", "Zs")
    text = "".join(map(chr, range(32, 0x3000)))
    kept = [c for c in text if unicodedata.category(c).startswith(categories) and c not in OBEYED]
    changed = [c for c in kept if visible(f"a{c}a") != f"a{c}a"]
    assert "".join(changed) == "\u17b4\u17b5\u180b\u180c\u180d\u180f"  # default-ignorable code points, by Unicode


def test_a_line_stays_a_line():
    assert visible_line("one\nERROR two\tthree\r") == "one\\nERROR two\\tthree\\r"


def test_what_is_printed_is_visible(capsys):
    print_visible(ATTACK)
    print_visible(ATTACK, sys.stderr)
    out, err = capsys.readouterr()
    assert out == err == visible(ATTACK) + "\n"


@pytest.mark.parametrize("what", [Text(ATTACK), ATTACK.replace("[", "\\[")], ids=["text", "markup"])
def test_a_console_obeys_no_text_and_keeps_its_own_colours(what):
    file = io.StringIO()
    console = VisibleConsole(file=file, force_terminal=True, color_system="standard", width=300)
    console.print(what, style="bold")
    shown = file.getvalue()
    assert "\x1b[1m" in shown
    rest = re.sub(r"\x1b\[[\d;]*m", "", shown)  # colours, of which there are none in the text
    assert visible(rest) == rest
    assert "owned" in rest


def test_a_table_shows_titles_heads_and_cells_visibly_and_without_markup():
    file = io.StringIO()
    texts = [f"{place} [bold]:cat:[/] {ATTACK}" for place in ("title", "head", "cell")]
    show_table(texts[0], (texts[1], "n"), [[texts[2], "1"]], VisibleConsole(file=file, width=400))
    for text in texts:
        assert visible(text) in file.getvalue()


@pytest.mark.parametrize(
    ("name", "shown"), [("alum.x", visible_line(f"{ATTACK}\nb")), ("other", visible(f"{ATTACK}\nb"))]
)
def test_lines_of_logs_are_visible(name, shown):
    record = VisibleRecord(name, logging.WARNING, "", 1, "%s\nb", (ATTACK,), None)
    assert record.getMessage() == shown


COMMAND = f"""
import logging, warnings
from alum.data.visible_text import show_logs_visibly
logging.basicConfig()
show_logs_visibly()
logging.getLogger("alum.x").warning("of alum: %s", {ATTACK!r})
logging.getLogger("other").warning("of others: %s", {ATTACK!r})
warnings.warn({ATTACK!r})
"""


def test_logs_and_warnings_of_a_process_are_visible():
    said = subprocess.run([sys.executable, "-c", COMMAND], capture_output=True, check=True).stderr
    text = said.decode("utf-8", errors="surrogateescape")
    assert text.count(visible(ATTACK)) == 3
    assert visible(text) == text


class Screen(io.StringIO):
    """Terminal of 30 characters a line, whose size COLUMNS says."""

    def isatty(self):
        return True


def test_lines_break_between_words_in_a_terminal_and_stay_whole_in_a_file(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    line = "step 3/12 has a loss of 0.6931471805 and goes on to /a/path/that/is/longer/than/thirty/characters"
    lines = fitted(line, Screen()).splitlines()
    assert " ".join(lines) == line
    assert [len(one) > 30 for one in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1].startswith("/a/path")
    assert fitted(line, io.StringIO()) == line


def test_logs_break_between_words_in_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setattr(sys, "stderr", Screen())
    logger = logging.getLogger("alum.test_of_width")
    logger.addHandler(logging.StreamHandler(sys.stderr))
    logger.propagate = False
    fit_logs("alum.test_of_width", "%(levelname)s %(message)s")
    logger.warning("nothing here is longer than a few letters, and all of it is shown")
    shown = sys.stderr.getvalue()
    assert max(map(len, shown.splitlines())) <= 30
    assert " ".join(shown.split()) == "WARNING nothing here is longer than a few letters, and all of it is shown"


def test_items_of_a_line_stay_together():
    assert wrapped(["gain 6,928", "task 0.69", "漢字漢字 1"], 22, gap="  ") == ["gain 6,928  task 0.69", "漢字漢字 1"]
    assert wrapped(["漢字漢字", "漢字漢字"], 16) == ["漢字漢字", "漢字漢字"]
