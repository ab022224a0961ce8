"""Writing of files whole or not at all, and the one line that the user gets where the disk is full."""

import contextlib
import errno
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from alum.core.errors import InputError

_DRAFT = ".draft"
_DRAFTED = (".json", ".jsonl", ".md", ".tsv", ".html", ".png")  # files of a run that are written whole
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Rust's libraries (safetensors, tokenizers) put the number into their text.
_RUST = re.compile(r"\(os error (\d+)\)")
# torch.save loses the number: its C++ writer only notices that fewer bytes arrived than it wrote.
_TORCH = ("PytorchStreamWriter", "inline_container", "iostream error")


def why_unwritable(error: BaseException | None) -> str | None:
    """Tells from an error, or its cause, why no more could be written: full disk, quota, file size. None for others.

    >>> why_unwritable(OSError(28, "No space left on device"))
    'No space left on device'
    >>> why_unwritable(ValueError("28"))
    """
    reason = None
    while error is not None:
        text = str(error)
        number = error.errno if isinstance(error, OSError) else None
        if found := _RUST.search(text):
            number = int(found[1])
        if number in _NO_SPACE:
            return os.strerror(number)
        if isinstance(error, RuntimeError) and any(mark in text for mark in _TORCH):
            reason = "torch.save could not write it all"
        error = error.__cause__ or error.__context__
    return reason


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all: a draft beside it, on the disk, and then it takes the name.

    Readable by whom the user's umask says, and by nobody who might not read the file that was there before. A link is
    written through, and a device, such as a terminal, is written to. Raises `InputError` where there is no space, and
    leaves no draft; a killed write does leave one, which the next write of the same file replaces.
    """
    if is_device(path):
        with explained_if_full(path), path.open("wb") as device:
            device.write(content)
        return
    place = Path(os.path.realpath(path))
    draft = draft_of(place)
    with explained_if_full(path, len(content)):
        try:
            draft.unlink(missing_ok=True)  # a file that is written over would keep its permissions
            with draft.open("wb") as file:
                if (former := _permissions(place)) is not None:
                    os.chmod(draft, former & stat.S_IMODE(os.fstat(file.fileno()).st_mode))
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, place)
        except BaseException as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.filename == str(draft):  # whose name tells the user nothing
                error.filename = str(path)
            raise


def is_device(path: Path) -> bool:
    """Whether a path leads to what takes bytes and keeps none: a device, a pipe or a socket, and not a file."""
    try:
        return path.exists() and not path.is_file() and not path.is_dir()
    except OSError:
        return False


def _permissions(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def write_text(path: Path, text: str) -> None:
    r"""Writes text as `write_whole` does, in UTF-8; surrogates, not in it, are spelled out (``\udcff``), as in JSON."""
    write_whole(path, text.encode("utf-8", errors="backslashreplace"))


def draft_of(path: Path) -> Path:
    """Path of the draft that `write_whole` writes first, beside ``path``."""
    return path.with_name(f".{path.name}{_DRAFT}")


def holds_only_drafts(folder: Path) -> bool:
    """Whether a folder is empty, or holds nothing but the drafts that killed writes have left.

    Others may leave drafts by such names too: nothing is lost where the folder counts as empty.
    """
    return all(path.name.startswith(".") and path.suffix == _DRAFT and path.is_file() for path in folder.iterdir())


def remove_drafts(folder: Path) -> None:
    """Removes from a folder the drafts of records and pages that killed writes have left."""
    for draft in folder.glob(f".*{_DRAFT}"):
        if Path(draft.stem).suffix in _DRAFTED and draft.is_file():
            draft.unlink(missing_ok=True)


def free_space(folder: Path) -> str:
    """Says how much space a folder's disk has, ``12.3 MB are free in FOLDER``, for a message."""
    return f"{megabytes(shutil.disk_usage(folder).free)} are free in {folder.absolute()}"


def megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB"


@contextlib.contextmanager
def explained_if_full(path: Path, num_bytes: int | None = None) -> Iterator[None]:
    """Raises `InputError` where ``path``, a file or folder of ``num_bytes``, cannot be written as the disk is full."""
    try:
        yield
    except Exception as error:
        reason = why_unwritable(error)
        if reason is None:
            raise
        raise InputError(unwritten(path, reason, num_bytes)) from None


def unwritten(path: Path, reason: str, num_bytes: int | None = None) -> str:
    """Says that a file or folder, of ``num_bytes`` if they are known, could not be written, and what to do."""
    place = next(place for place in path.absolute().parents if place.is_dir())
    needed = "" if num_bytes is None else f", and it takes {megabytes(num_bytes)}"
    return (
        f"{path} could not be written: {reason}; {free_space(place)}{needed}. Free space, then give the "
        "same command again, a training with --resume_from_checkpoint true."
    )
