"""What a process does to files, as Python's audit hooks tell it, and a kill of its own at one of these moments.

Writes by native code (safetensors, torch.save, Arrow) are no events: they lie between two, where blows fall too.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Event:
    """A write that begins, a rename, a removal or a new folder: the number in its process, and since its start."""

    number: int
    what: str
    path: str
    seconds: float


def watch(folder: Path, happens: Callable[[Event], None]) -> None:
    """Calls ``happens`` before each event below a folder, in this process, from now on and for good."""
    root, start, count = os.path.abspath(folder), time.perf_counter(), 0
    is_busy = False

    def hook(name: str, given: tuple[Any, ...]) -> None:
        nonlocal count, is_busy
        if is_busy or not (name in _CHANGES or (name == "open" and given[2] & _WRITING)):
            return
        is_busy = True
        try:
            if isinstance(given[0], int):  # a file that is open already
                return
            path = os.path.abspath(
                os.fsdecode(given[0])
            )  # of one in a folder's descriptor the last part alone is right
            if path == root or path.startswith(root + os.sep):
                count += 1  # whatever it raises
                happens(Event(count - 1, name, path[len(root) + 1 :], time.perf_counter() - start))
        finally:
            is_busy = False

    sys.addaudithook(hook)
