"""Entry point of ``alum COMMAND``: runs the command, and turns errors into one line and an exit code.

0: done. 1: the work failed. 2: what was given cannot be used, or the disk is full. 3: stopped since ``--max_minutes``
are over. 130: stopped by Ctrl-C (SIGINT). 143: stopped by SIGTERM. After 3, 130 and 143 training has left a checkpoint
that ``--resume_from_checkpoint auto`` resumes from, and an evaluation has left records that the same command resumes
from; a second signal ends the process at once, without a checkpoint. 141: nobody reads the output any more (SIGPIPE).
"""

import errno
import logging
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

from alum.cli import commands
from alum.cli.names import COMMANDS
from alum.cli.streams import (
    give_up,
    give_up_unread_output,
    has_no_space,
    interruptible_once,
    show_lines_at_once,
)
from alum.core.errors import InputError
from alum.data.visible_text import fit_logs, print_visible, show_logs_visibly, visible
from alum.data.writing import unwritten, why_unwritable
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
        "  141        nobody reads what it prints any more",
        "",
        "After 3, 130 and 143 --resume_from_checkpoint auto goes on with a training, and",
        "the same command with an evaluation.",
    ]
)

_OF_NAMES = {
    errno.EACCES, errno.EEXIST, errno.EINVAL, errno.EIO, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENODEV,
    errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.EPERM,
}  # fmt: skip
"""Errors of files that were named, which the user can mend; those of the machine are a failure of the work."""

_MOST_CHARACTERS = 1500
"""Characters of an error that are shown, which may quote what a file holds."""

_OUTPUT_UNREAD = 141  # 128 + SIGPIPE, as of other programs


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command, by default that of ``sys.argv``, and returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        show_lines_at_once()
    with interruptible_once(to_the_end=argv is None):
        try:
            code = _run(words)
        except KeyboardInterrupt:
            return _say("alum: stopped.", 130)
        if argv is None and code not in (1, 2):  # where one process fails, others wait for it in what they share
            _leave_process_group()
        return code


def _leave_process_group() -> None:
    """Ends what the processes of a training share: its threads may abort the process when Python ends them."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _run(words: Sequence[str]) -> int:
    try:
        try:
            return _outcome(words)
        finally:  # or what cannot be written is told by Python when it ends; helps end by `SystemExit`
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        if isinstance(error, BrokenPipeError) and give_up_unread_output():
            return _OUTPUT_UNREAD
        if why_unwritable(error) is not None and has_no_space(sys.stdout):
            give_up(sys.stdout)
            return _say(f"alum: error: standard output cannot be written: {error.strerror}. Write it elsewhere.", 2)
        return _failed(error)


def _outcome(words: Sequence[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_HELP)
        return 0 if words else 2
    if words[0] == "--version":
        print(f"alum {__version__}")
        return 0
    _set_up()
    try:
        commands.run(words[0], words[1:])
    except InputError as error:
        return _say(f"alum: error: {error}", 2)
    except Interrupted as stopped:
        return _say(f"alum: {stopped}", stopped.exit_code)
    except ImportError as error:  # of a package that a setting asks for
        return _say(f"alum: error: {error}", 2)
    except OSError as error:
        if error.filename is None and (isinstance(error, BrokenPipeError) or why_unwritable(error) is not None):
            raise  # perhaps of the output
        if error.errno in _OF_NAMES and error.filename is not None:
            return _say(f"alum: error: {error.filename!r} cannot be used: {error.strerror}.", 2)
        return _failed(error)
    except Exception as error:
        return _failed(error)
    return 0


def _failed(error: Exception) -> int:
    if (reason := why_unwritable(error)) is not None:
        name = error.filename if isinstance(error, OSError) else None
        return _say(f"alum: error: {unwritten(Path(os.fsdecode(name or 'a file')), reason)}", 2)
    return _say(f"alum: failed: {_one_line(error)} (details in {_traceback_file()})", 1)


def _set_up() -> None:
    logging.basicConfig(level=logging.WARNING)
    fit_logs("", "%(levelname)s %(message)s")
    show_logs_visibly()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # Threads of torch that wait for each other sleep. Spinning, they take ten times as long where a core is shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    warnings.filterwarnings("ignore", message=".*pin_memory.*")


def _say(message: str, code: int) -> int:
    line = " ".join(message.split())
    try:
        _end_bars()
        print_visible(line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]} …", sys.stderr)
    except OSError:  # nobody reads it, or its disk is full: the exit code says it
        give_up(sys.stderr)
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
        file.write(visible(traceback.format_exc()))
    return file.name
