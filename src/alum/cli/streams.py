"""Ctrl-C, and output that nobody reads or that has no space: each ends a command without a traceback."""

import _thread
import contextlib
import errno
import io
import os
import select
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn, TextIO

_SECONDS_TO_LEAVE_A_CALLBACK = 0.05
_COMPILED = ("numpy", "pyarrow", "pandas", "torch", "datasets", "transformers")
"""Libraries with compiled parts, or that import such, which commands import before they begin anything."""


@contextlib.contextmanager
def interruptible_once(to_the_end: bool) -> Iterator[None]:
    """Makes Ctrl-C raise `KeyboardInterrupt` within the context, once; a second one ends the process at once.

    With ``to_the_end`` the process ends after the context, and Ctrl-C ends it at once then too. Changes nothing outside
    of the main thread, or where SIGINT is ignored or has a handler of somebody else's.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) != signal.default_int_handler:
        yield
        return
    unraisable = sys.unraisablehook

    def hook(raised: Any) -> None:
        """Raises an interrupt again that came while the interpreter ran a callback, which lets no error through."""
        if issubclass(raised.exc_type, KeyboardInterrupt):
            signal.signal(signal.SIGINT, _interrupt)
            again = threading.Timer(_SECONDS_TO_LEAVE_A_CALLBACK, _thread.interrupt_main)
            again.daemon = True
            again.start()
        else:
            unraisable(raised)

    sys.unraisablehook = hook
    signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        signal.signal(signal.SIGINT, signal.SIG_DFL if to_the_end else signal.default_int_handler)


def _interrupt(number: int, _: object) -> NoReturn:
    signal.signal(number, signal.SIG_DFL)
    if any(map(_is_being_imported, _COMPILED)):  # nothing has begun, and C++ may abort at an error in its midst
        with contextlib.suppress(OSError):
            os.write(2, b"alum: stopped.\n")
        os._exit(128 + number)
    raise KeyboardInterrupt


def _is_being_imported(name: str) -> bool:
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return bool(getattr(spec, "_initializing", False))


def show_lines_at_once() -> None:
    """Writes each line of standard output when it is printed, to a file or pipe too, whose reader waits for it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def give_up_unread_output() -> bool:
    """Throws away all further output of the streams that nobody reads any more; says whether there is such a one."""
    unread = [stream for stream in (sys.stdout, sys.stderr) if stream is not None and _is_unread(stream)]
    for stream in unread:
        give_up(stream)
    return bool(unread)


def has_no_space(stream: TextIO | None) -> bool:
    """Whether a stream is a file that takes no more. One that does gets an empty line, as nothing else would tell."""
    try:
        if stream is None or stream.isatty() or stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
            return False
        os.write(stream.fileno(), b"\n")
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    except ValueError:  # closed
        pass
    return False


def give_up(stream: TextIO | None) -> None:
    """Throws away what a stream still holds, and all that is written to it from now on."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
        os.close(nowhere)


def _is_unread(stream: TextIO) -> bool:
    """Whether a stream is a pipe or socket whose other end is closed."""
    poll = select.poll()
    try:
        poll.register(stream.fileno(), select.POLLOUT)
    except (OSError, ValueError):
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
