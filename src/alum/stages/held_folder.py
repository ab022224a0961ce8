"""Folders and files that one process at a time writes to: a lock of the system's beside each, which ends with it."""

import contextlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from alum.core.errors import InputError
from alum.data.writing import is_device
from alum.stages.first_process import is_first_process


@contextlib.contextmanager
def held(folder: Path | str | None, instead: str = "name another folder") -> Iterator[None]:
    """Holds a folder or file that is to be written to, so that no other process writes there; does nothing for None.

    The lock is a file beside the folder, ``.NAME.lock``, with the process that holds it: the folder itself may be
    moved, or not be there yet. A killed process leaves the file and not the lock. Of the processes of one training the
    first holds it. A folder that was not there before, and holds nothing in the end, is taken away.
    Raises `InputError` where another process does, which names it and what to do ``instead``. Where no such file can be
    made, nothing is held.
    """
    refusal: list[str | None] = [None]
    lock = None
    if folder is not None and is_first_process():
        lock, holder = _taken(folder)
        if holder is not None:
            refusal[0] = (
                f"{folder} is being written to by {holder}, and nothing was changed. Wait until that has ended, stop "
                f"it, or {instead}."
            )
    if torch.distributed.is_initialized():
        torch.distributed.broadcast_object_list(refusal)
    if refusal[0] is not None:
        raise InputError(refusal[0])
    try:
        yield
    finally:
        if lock is not None:
            lock.give_back()


class _Lock:
    """A lock that is held, and the folders that were made for its file."""

    def __init__(self, file: Path, folder: Path) -> None:
        """Raises `Timeout` where another process holds it, and OSError where its file cannot be made."""
        self._file = file
        self._made = [place for place in file.parents if not place.exists()]
        self._lock = FileLock(file, timeout=0)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire()
        except BaseException:
            self._remove_made()
            raise
        self._new = None if folder.exists() else folder  # asked where no other process makes it
        with contextlib.suppress(OSError):
            file.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}))

    def give_back(self) -> None:
        if self._new is not None:  # the Trainer makes a run's folder before it is known to be one
            with contextlib.suppress(OSError):
                self._new.rmdir()
        with contextlib.suppress(OSError):  # while it is held: who opened the file before finds that it has no name
            self._file.unlink()
        self._lock.release()
        self._remove_made()

    def _remove_made(self) -> None:
        for place in self._made:
            with contextlib.suppress(OSError):
                place.rmdir()


def _taken(name: Path | str) -> tuple[_Lock | None, str | None]:
    """Lock of a folder, or who else holds it; neither where no lock can be made."""
    try:
        folder = Path(os.path.realpath(name))
        if is_device(folder):  # which any number of processes may write to
            return None, None
        file = folder.with_name(f".{folder.name}.lock")
        return _Lock(file, folder), None
    except Timeout:
        return None, _holder(file) if _takes_files(file.parent) else None
    except (OSError, ValueError, NotImplementedError):  # what is wrong with the folder is told by who opens it
        return None, None


def _takes_files(folder: Path) -> bool:
    """Whether files can be made in a folder: of one where none can, a lock is never had either."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _holder(file: Path) -> str:
    try:
        found = json.loads(file.read_text())
        return f"process {found['pid']} on {found['host']} since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
