"""Texts of users and models as a terminal, a log, a card or a page may show them.

Whatever alum prints goes through `visible`: tables and lines of rich by `alum.data.visible_console`, lines of loggers
and warnings by `show_logs_visibly`, all else by `print_visible`. In a terminal their lines are `fitted`.
"""

import logging
import os
import sys
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from typing import TextIO

from rich.cells import cell_len

_LINES = frozenset("\n\t")
# Parts of emoji and of words in many scripts, though never of Latin ones: there they only make two words look alike.
_JOINERS = frozenset("\u200c\u200d")
_VARIATION_SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
# Letters and marks by their category, which are nothing to see: fillers, the grapheme joiner, Mongolian selectors.
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_NOT_SHOWN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_AFTER_LATIN = "\u0300"


def visible(text: str) -> str:
    r"""Spells out control characters, marks of writing direction and the like, so that a terminal obeys none of them.

    Line ends, tabs, and what joins the parts of emoji and of words in other scripts than Latin are left.

    >>> visible("\x1b[31mred")
    '\\x1b[31mred'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(text))


def counted(number: int, one: str, several: str | None = None) -> str:
    """Counts things in words: ``several`` are called as ``one`` with an s, unless they are named.

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "copy", "copies")
    ('1 row', '1,200 rows', '2 copies')
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def visible_line(text: str) -> str:
    r"""Spells out what `visible` does, and line ends and tabs too, so that a text stays within its line.

    >>> visible_line("one\nERROR two")
    'one\\nERROR two'
    """
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def terminal_width(stream: TextIO | None) -> int | None:
    """Characters in a line of the terminal that a stream is; None for a file, in which lines may have any length."""
    if stream is None or not stream.isatty():
        return None
    if (asked_for := os.environ.get("COLUMNS", "")).isdecimal() and int(asked_for) > 0:
        return int(asked_for)
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):  # a terminal that says nothing of its size, or a stand-in for one
        return None


def wrapped(words: Sequence[str], width: int, gap: str = " ") -> list[str]:
    """Joins words to lines that are no wider than ``width``; a word that is wider has a line of its own, unbroken.

    >>> wrapped(["loss 0.5", "lr 1e-05"], 12, gap="  ")
    ['loss 0.5', 'lr 1e-05']
    """
    lines: list[str] = []
    for word in words:
        if lines and cell_len(lines[-1]) + len(gap) + cell_len(word) <= width:
            lines[-1] += gap + word
        else:
            lines.append(word)
    return lines


def fitted(text: str, stream: TextIO | None) -> str:
    """Breaks lines between words where a stream is a terminal and they are wider; in a file each line stays one."""
    width = terminal_width(stream)
    if width is None:
        return text
    lines = text.split("\n")
    return "\n".join("\n".join(wrapped(line.split(), width)) if cell_len(line) > width else line for line in lines)


def print_visible(text: str, file: TextIO | None = None) -> None:
    """Prints a line, by default on standard output, at once."""
    stream = file or sys.stdout
    print(fitted(visible(text), stream), file=stream, flush=True)


class VisibleRecord(logging.LogRecord):
    """Line of a log whose message is `visible`; those of alum stay within a line."""

    def getMessage(self) -> str:  # noqa: N802, the name that logging gives it
        message = super().getMessage()
        return visible_line(message) if self.name.partition(".")[0] == "alum" else visible(message)


class FittedFormatter(logging.Formatter):
    """Formatter of what is logged on standard error, in lines that fit a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return fitted(super().format(record), sys.stderr)


def show_logs_visibly() -> None:
    """Makes the loggers and warnings of this process, those of libraries too, show all texts as `visible` does."""
    logging.setLogRecordFactory(VisibleRecord)
    as_text = warnings.formatwarning
    warnings.formatwarning = lambda *args, **kwargs: fitted(visible(as_text(*args, **kwargs)), sys.stderr)


def fit_logs(logger: str, form: str | None = None) -> None:
    """Makes the handlers of a logger show lines that fit a terminal, in another form if one is given."""
    for handler in logging.getLogger(logger or None).handlers:
        handler.setFormatter(FittedFormatter(form or getattr(handler.formatter, "_fmt", None)))


def _shown(text: str) -> Iterator[str]:
    for place, character in enumerate(text):
        if character in _LINES:
            yield character
        elif character in _JOINERS or character in _VARIATION_SELECTORS:
            around = text[place - 1 : place], text[place + 1 : place + 2]
            joins = _can_be_joined(around[0]) and (character in _VARIATION_SELECTORS or _can_be_joined(around[1]))
            yield character if joins else _spelled(character)
        elif character in _BLANKS or unicodedata.category(character) in _NOT_SHOWN:
            yield _spelled(character)
        else:
            yield character


def _can_be_joined(neighbour: str) -> bool:
    """Whether a joiner beside it has work to do: symbols (also digits, for key caps), and letters after the Latin ones.

    A joiner beside a joiner has none, and an empty neighbour is the text's end.
    """
    if not neighbour or neighbour.isspace() or neighbour in _JOINERS:
        return False
    return neighbour >= _AFTER_LATIN or not neighbour.isalpha()


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode()
