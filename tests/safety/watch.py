"""What a command does that it must not: connections, pickles that are read, and what it writes to the terminal."""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

_INTERNET = (socket.AF_INET, socket.AF_INET6)


@dataclass
class Seen:
    """What was seen of a command: addresses that it asked for, names that pickles asked for, files read by torch."""

    addresses: list[str] = field(default_factory=list)
    unpickled: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)


class Watch:
    """Audit hook of a process, which stays to its end; what it sees goes to `seen`, if that is set."""

    def __init__(self) -> None:
        self.seen: Seen | None = None
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.seen is None:
            return
        if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto"):
            self._refuse(f"{event} {arguments[0]!r}")
        elif event == "socket.connect" and arguments[0].family in _INTERNET:
            self._refuse(f"{event} {arguments[1]!r}")
        elif event == "socket.__new__" and arguments[1] in _INTERNET and not _is_urllib3s_own_test():
            self._refuse(event)
        elif event == "pickle.find_class" and arguments[0] in ("pathlib", "pathlib._local", "posix", "os"):
            self.seen.unpickled.append(".".join(map(str, arguments)))

    def _refuse(self, what: str) -> None:
        assert self.seen is not None
        self.seen.addresses.append(what)
        raise PermissionError(f"no connections here: {what}")


def _is_urllib3s_own_test() -> bool:
    """Whether it is the look, when urllib3 is imported, whether this machine can bind a socket to its own ``::1``."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(3):
        if frame is not None and frame.f_code.co_name == "_has_ipv6":
            return True
        frame = frame.f_back if frame is not None else None
    return False


def watch_torch(watch: Watch) -> None:
    """Makes `torch.load`, which PyTorch and all libraries call, note what it reads."""
    import torch

    load = torch.load

    def noted(file: Any, *args: Any, **kwargs: Any) -> Any:
        if watch.seen is not None:
            watch.seen.loaded.append(str(file))
        return load(file, *args, **kwargs)

    torch.load = noted


@contextlib.contextmanager
def captured(out: Path, err: Path) -> Iterator[None]:
    """Sends all that this process writes, also libraries without Python's streams, to two files."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    try:
        for number, file in ((1, out), (2, err)):
            opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(opened, number)
            os.close(opened)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, former in zip((1, 2), kept, strict=True):
            os.dup2(former, number)
            os.close(former)
