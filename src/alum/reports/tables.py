"""Tables for the terminal: plain text that fits the width, in which no name and no number is broken."""

from collections.abc import Mapping, Sequence
from weakref import WeakSet

from rich.cells import cell_len, chop_cells
from rich.console import Console
from rich.text import Text

from alum.data.visible_console import VisibleConsole
from alum.data.visible_text import visible, wrapped

_GAP = 2  # spaces between columns
_WITH_A_TABLE: WeakSet[Console] = WeakSet()
"""Consoles that show one already: further ones stand below an empty line."""


def show_table(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    console: Console | None = None,
    num_text_columns: int = 1,
) -> None:
    """Prints a table: columns of text, wrapped between words where they do not fit, and then columns of numbers.

    Where the columns do not fit beside each other even so, each row is a paragraph with a line for each of its cells.
    Texts are shown as `visible` makes them, and nothing in them is markup.
    """
    console = console or VisibleConsole()
    lines = [[visible(cell) for cell in line] for line in (header, *rows)]
    widths = _widths(lines, num_text_columns, console.width)
    shown = _titled(title, console)
    if widths is None:
        _add_paragraphs(shown, lines[0], lines[1:], console.width)
    else:
        _add_line(shown, lines[0], widths, num_text_columns, style="bold")
        shown.append((" " * _GAP).join("-" * width for width in widths) + "\n")
        for line in lines[1:]:
            _add_line(shown, line, widths, num_text_columns)
    console.print(shown, soft_wrap=True, end="")


def show_in_parts(
    titles: tuple[str, str],
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    console: Console,
    num_labels: int,
    num_text_columns: int,
) -> None:
    """Prints a table in as many as the width asks for, each with all labels and as many further columns as fit.

    ``titles`` are those of the first table and of the others; the first ``num_labels`` columns are labels.
    """
    title, start = titles[0], num_labels
    while start < len(header):
        end = len(header)
        parts = [[*line[:num_labels], *line[start:end]] for line in (header, *rows)]
        while end > start + 1 and _widths(parts, num_text_columns, console.width) is None:
            end -= 1
            parts = [line[:-1] for line in parts]
        show_table(title, parts[0], parts[1:], console, min(num_text_columns, len(parts[0])))
        title, start = titles[1], end


def show_paragraph(title: str, facts: Mapping[str, str], console: Console | None = None) -> None:
    """Prints facts below a title, a line for each that is not empty: its name, and what is the case."""
    console = console or VisibleConsole()
    header, row = ([visible(text) for text in texts] for texts in (facts, facts.values()))
    shown = _titled(title, console)
    _add_paragraphs(shown, ["", *header], [["", *row]], console.width)
    console.print(shown, soft_wrap=True, end="")


def _titled(title: str, console: Console) -> Text:
    shown = Text("\n" if console in _WITH_A_TABLE else "")
    _WITH_A_TABLE.add(console)
    for line in _wrapped(visible(title), console.width):
        shown.append(f"{line}\n", style="bold")
    return shown


def _widths(lines: Sequence[Sequence[str]], num_text_columns: int, room: int) -> list[int] | None:
    """Widths of the columns, each its widest word or number at least; None where the room is too small for these."""
    columns = list(zip(*lines, strict=True))
    widths = [_width_of(column) for column in columns]
    least = [
        max(_width_of(" ".join(column).split()) if index < num_text_columns else _width_of(column[1:]),
            _width_of(column[0].split()))
        for index, column in enumerate(columns)
    ]  # fmt: skip
    room -= _GAP * (len(widths) - 1)
    if sum(least) > room:
        return None
    while sum(widths) > room:
        widest = max((index for index in range(len(widths)) if widths[index] > least[index]), key=widths.__getitem__)
        widths[widest] -= 1
    return widths


def _width_of(texts: Sequence[str]) -> int:
    return max((cell_len(line) for text in texts for line in text.split("\n")), default=0)


def _add_line(shown: Text, cells: Sequence[str], widths: Sequence[int], num_text_columns: int, style: str = "") -> None:
    """Adds a row, in as many lines as its longest cell has."""
    wrapped = [_wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for number in range(max(map(len, wrapped))):
        parts = []
        for index, (cell, width) in enumerate(zip(wrapped, widths, strict=True)):
            text = cell[number] if number < len(cell) else ""
            fill = " " * (width - cell_len(text))
            parts.append(text + fill if index < num_text_columns else fill + text)
        shown.append((" " * _GAP).join(parts).rstrip() + "\n", style=style)


def _add_paragraphs(shown: Text, header: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> None:
    """Adds each row as a paragraph: its first cell, and below it a line for each of the others, after the header's."""
    names = [" " * _GAP + " ".join(name.split()) + " " * _GAP for name in header[1:]]
    indent = _width_of(names)
    for number, (first, *others) in enumerate(rows):
        shown.append("\n" if number else "")
        for line in _wrapped(first, room) if first else ():
            shown.append(f"{line}\n", style="bold")
        for name, cell in zip(names, others, strict=True):
            if not cell:
                continue
            if indent + _width_of(cell.split()) <= room:
                first_line, *further = _wrapped(cell, room - indent)
                shown.append(f"{name}{' ' * (indent - cell_len(name))}{first_line}".rstrip() + "\n")
                shown.append("".join(f"{' ' * indent}{line}\n" for line in further))
            else:
                lines = _wrapped(" ".join(name.split()), room - _GAP)
                shown.append("".join(f"{' ' * _GAP}{line}\n" for line in lines))
                shown.append("".join(f"{' ' * 2 * _GAP}{line}\n" for line in _wrapped(cell, room - 2 * _GAP)))


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of a text, broken between words; within a word only where it is wider than a line."""
    lines = [line for part in text.split("\n") for line in wrapped(part.split(), width) or [""]]
    return [piece for line in lines for piece in chop_cells(line, max(width, 1)) or [""]]
