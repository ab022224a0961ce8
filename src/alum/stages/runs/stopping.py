"""A stop by the user, by SIGTERM or by the clock, as an exception: what was done is kept."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class Interrupted(Exception):
    """A signal or the end of its time stopped the run; the message says where its checkpoint is and how to go on."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Terminated(KeyboardInterrupt):
    """SIGTERM came. What lets Ctrl-C through lets this through."""


@contextmanager
def terminated_by_exception() -> Iterator[None]:
    """SIGTERM raises `Terminated`, once; a second one ends the process. Outside of the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def terminate(number: int, _: object) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
