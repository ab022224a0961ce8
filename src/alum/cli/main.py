"""Entry point of ``alum COMMAND``: runs the command, and turns errors into one line and an exit code.

0: done. 1: the work failed. 2: what was given cannot be used, or the disk is full. 3: stopped since ``--max_minutes``
are over. 130: stopped by Ctrl-C (SIGINT). 143: stopped by SIGTERM. After 3, 130 and 143 training has left a checkpoint
that ``--resume_from_checkpoint true`` resumes from, and an evaluation has left records that the same command resumes
from; a second signal ends the process at once, without a checkpoint.
"""

import errno
import logging
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence

from alum.cli import commands
from alum.cli.names import COMMANDS
from alum.core.errors import InputError
from alum.data.visible_text import visible
from alum.stages.runs.stopping import Interrupted
from alum.version import __version__

_HELP = "\n".join(
    [
        "usage: alum COMMAND [--config FILE.yaml] [--FLAG VALUE ...]",
        "",
        "Adversarial training for language models (ALUM, arXiv:2004.08994).",
        "",
        *(f"  {name:<10} {what}" for name, what in COMMANDS.items()),
        "",
        "alum COMMAND --help lists the flags of a command.",
        "",
        "Exit codes:",
        "  0          done",
        "  1          the work failed",
        "  2          input that cannot be used, or a full disk",
        "  3          --max_minutes are over",
        "  130, 143   stopped by Ctrl-C, by SIGTERM",
        "",
        "After 3, 130 and 143 --resume_from_checkpoint true goes on with a training, and",
        "the same command with an evaluation.",
    ]
)

_OF_NAMES = {
    errno.EACCES, errno.EINVAL, errno.EIO, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENODEV, errno.ENOENT,
    errno.ENOTDIR, errno.ENXIO, errno.EPERM,
}  # fmt: skip
"""Errors of files that were named, which the user can mend; those of the machine are a failure of the work."""

_MOST_CHARACTERS = 1500
"""Characters of an error that are shown, which may quote what a file holds."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command, by default that of ``sys.argv``, and returns its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(_HELP)
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"alum {__version__}")
        return 0
    try:
        return _run(argv[0], argv[1:])
    except KeyboardInterrupt:
        return _say("alum: stopped.", 130)


def _run(command: str, argv: Sequence[str]) -> int:
    _set_up()
    try:
        commands.run(command, argv)
    except InputError as error:
        return _say(f"alum: error: {error}", 2)
    except Interrupted as stopped:
        return _say(f"alum: {stopped}", stopped.exit_code)
    except BrokenPipeError:
        return 1
    except ImportError as error:  # of a package that a setting asks for
        return _say(f"alum: error: {error}", 2)
    except OSError as error:
        if error.errno in _OF_NAMES:
            return _say(f"alum: error: {error.filename!r} cannot be used: {error.strerror}.", 2)
        return _failed(error)
    except Exception as error:
        return _failed(error)
    return 0


def _failed(error: Exception) -> int:
    return _say(f"alum: failed: {_one_line(error)} (details in {_traceback_file()})", 1)


def _set_up() -> None:
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # Threads of torch that wait for each other sleep. Spinning, they take ten times as long where a core is shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore", message=".*pin_memory.*")


def _say(message: str, code: int) -> int:
    _end_bars()
    line = visible(" ".join(message.split()))
    print(line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]} …", file=sys.stderr)
    return code


def _end_bars() -> None:
    """Ends the lines of progress bars that an error left open."""
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        for bar in list(getattr(tqdm, "_instances", ())):
            bar.close()


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def _traceback_file() -> str:
    with tempfile.NamedTemporaryFile("w", prefix="alum-", suffix=".log", delete=False) as file:
        traceback.print_exc(file=file)
    return file.name
