"""Reading UTF-8 text files in pieces, by lines or whole, with errors that say what is in them instead."""

import codecs
import json
import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from alum.core.errors import InputError

PIECE_BYTES = 1 << 18
ARRAY_NOT_LINES = (
    "a JSON array, where one object a line is expected. Convert it first: "
    """python -c "import json, sys; [print(json.dumps(row)) for row in json.load(sys.stdin)]" < it.json > it.jsonl"""
)


def existing_file(path: str | os.PathLike[str]) -> Path:
    """Returns the path of a file; raises `InputError` where it is missing or a folder."""
    path = Path(path)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError):  # a name that is too long, or has a zero byte
        is_folder = is_file = False
    if is_folder:
        raise InputError(f"expected a file, but {path} is a folder: name a file in it.")
    if not is_file:
        raise InputError(f"no file at {path} (from {Path.cwd()}): check the name.")
    return path


def read_text(path: str | os.PathLike[str], expected: str = "text") -> str:
    """Reads a UTF-8 file; raises `InputError` for an empty, binary or otherwise encoded one, with the offset."""
    return "".join(text_pieces(path, expected))


def read_json_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a JSON file that holds values by name; raises `InputError` where it is something else."""
    text = read_text(path)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected values by name, {{...}}, not {type(found).__name__}.")
    return found


def lines_in(path: str | os.PathLike[str], expected: str = "text") -> Iterator[str]:
    r"""Reads a UTF-8 file by lines without their ends, ``\n`` or ``\r\n``; raises as `text_pieces` does."""
    return (line for line, _ in lines_from(path, expected=expected))


def lines_from(
    path: str | os.PathLike[str], offset: int = 0, number: int = 1, expected: str = "text"
) -> Iterator[tuple[str, int]]:
    """Reads lines as `lines_in` does, from a byte ``offset`` on, where line ``number`` begins.

    Gives each with the offset of the line after it, which is past the end of the file after the last one.
    """
    pieces = text_pieces(path, expected, offset, number)
    if offset == 0 and next(byte_pieces(existing_file(path)), b"").startswith(codecs.BOM_UTF8):
        offset = len(codecs.BOM_UTF8)  # which is no part of the first line
    unfinished: list[str] = []
    for piece in pieces:
        first, *others = piece.split("\n")
        unfinished.append(first)
        for line in others:
            ended = "".join(unfinished)
            offset += len(ended.encode()) + 1
            yield ended.removesuffix("\r"), offset
            unfinished = [line]
    ended = "".join(unfinished)
    yield ended.removesuffix("\r"), offset + len(ended.encode()) + 1


def text_pieces(path: str | os.PathLike[str], expected: str = "text", offset: int = 0, line: int = 1) -> Iterator[str]:
    """Reads a UTF-8 file in pieces, without its byte order mark; ``expected`` says what it is to hold.

    Begins at the byte ``offset``, where that line begins. Raises `InputError`, on reaching the place, where the file is
    binary or not UTF-8, with the offset; at the end where it holds no text.
    """
    path = existing_file(path)
    _refuse_other_formats(path)
    rest, blank = b"", offset == 0  # `rest` is read but not decoded, and begins at `offset`
    for piece in chain(byte_pieces(path, offset), [b""]):
        data = rest + piece
        if (zero := data.find(b"\0")) >= 0:
            raise InputError(f"{path} is a binary file (a zero byte at offset {offset + zero}): expected UTF-8 text.")
        try:
            text, used = codecs.utf_8_decode(data, "strict", not piece)
        except UnicodeDecodeError as error:
            line += data.count(b"\n", 0, error.start)
            raise InputError(
                f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at offset {offset + error.start} (line {line}). "
                "Convert it first, for example with iconv -f latin1 -t utf-8."
            ) from None
        if offset == 0:
            text = text.removeprefix("\ufeff")
        rest, offset, line = data[used:], offset + used, line + data.count(b"\n", 0, used)
        blank = blank and not text.strip()
        yield text
    if blank:
        raise InputError(f"{path} is empty: expected {expected}.")


_COMPRESSED = {b"\x1f\x8b": "gzip -d", b"BZh": "bunzip2", b"\xfd7zXZ\0": "unxz", b"(\xb5/\xfd": "zstd -d"}
_MARKS = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))


def _refuse_other_formats(path: Path) -> None:
    """Raises `InputError`, with the remedy, for a file that tells by its first bytes what it is instead of UTF-8."""
    start = next(byte_pieces(path), b"")
    for magic, command in _COMPRESSED.items():
        if start.startswith(magic):
            raise InputError(f"{path} is compressed: expected UTF-8 text. Unpack it first: {command} {path}")
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            raise InputError(
                f"{path} is {encoding}: expected UTF-8 text. Convert it first: "
                f"iconv -f {encoding.lower()} -t utf-8 {path} > converted{path.suffix}"
            )


def byte_pieces(path: Path, offset: int = 0) -> Iterator[bytes]:
    """Reads the bytes of a file in pieces, from an offset on; raises `InputError` where they cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            while piece := file.read(PIECE_BYTES):
                yield piece
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
