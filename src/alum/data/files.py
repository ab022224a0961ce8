"""Text files, read whole and checked before anything is built on them."""

import os
import re
from pathlib import Path

from alum.core.errors import InputError


def existing_file(path: str | os.PathLike[str]) -> Path:
    """The path of a file that is there; raises `InputError` where it is missing or a folder."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"expected a file, but {path} is a folder: name a file in it.")
    if not path.is_file():
        raise InputError(f"no file at {path} (from {Path.cwd()}): check the name.")
    return path


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a UTF-8 file; raises `InputError` for an empty, binary or otherwise encoded one, with the offset."""
    path = existing_file(path)
    data = path.read_bytes()
    if (offset := data.find(b"\0")) >= 0:
        raise InputError(f"{path} is a binary file (a zero byte at offset {offset}): expected UTF-8 text.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start} (line {line}). "
            "Convert it first, for example with iconv -f latin1 -t utf-8."
        ) from None
    if not text.strip():
        raise InputError(f"{path} is empty: expected text.")
    return text


def documents_in(path: str | os.PathLike[str]) -> list[str]:
    """The documents of a text file, one for each block of lines between blank lines."""
    blocks = re.split(r"\n\s*\n", read_text(path).replace("\r\n", "\n"))
    return [block.strip() for block in blocks if block.strip()]
