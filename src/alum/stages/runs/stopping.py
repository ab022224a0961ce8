"""Exceptions for a stop by the user, by SIGTERM or by a time limit, after which finished work is kept."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


class Interrupted(Exception):
    """Raised where a signal or the time limit stopped a run; the message says what is kept, and how to resume."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM, a `KeyboardInterrupt`: code that lets Ctrl-C through lets it through too."""


def exit_code_of(stop: KeyboardInterrupt) -> int:
    """Exit code of a command that Ctrl-C or SIGTERM stopped: 128 plus the signal's number."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


@contextmanager
def terminated_by_exception() -> Iterator[None]:
    """Makes SIGTERM raise `Terminated` within the context, once; a second one ends the process.

    Changes nothing outside of the main thread, or where SIGTERM has a handler already.
    """
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
