"""``python -m alum`` is ``alum``."""

import os
import signal
import sys
from typing import NoReturn


def start() -> int:
    """Runs the command of ``sys.argv``, and returns its exit code; from the first line on Ctrl-C ends it in a line."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)
    from alum.cli.main import main as run

    try:
        if signal.getsignal(signal.SIGINT) == _stop:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # in the place of which the command has its own
        return run()
    except KeyboardInterrupt:
        _stop(signal.SIGINT, None)


def _stop(number: int, _: object) -> NoReturn:
    os.write(2, b"alum: stopped.\n")
    os._exit(128 + number)


if __name__ == "__main__":
    sys.exit(start())
