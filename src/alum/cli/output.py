"""Where a command's words go: to standard output, with ``--json`` beside it, with ``--quiet`` nowhere."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

from alum.core.errors import InputError
from alum.data.values import as_json
from alum.data.visible_text import print_visible


@dataclass(kw_only=True)
class JsonSettings:
    """Setting of commands that can answer by a JSON document."""

    json: bool = field(
        default=False, metadata={"help": "Print one JSON document on standard output, and nothing else there."}
    )


@dataclass(kw_only=True)
class QuietSettings:
    """Setting of commands that take long."""

    quiet: bool = field(
        default=False, metadata={"help": "Print warnings, errors, and the last lines, which name the files, alone."}
    )


@contextmanager
def work_shown(*settings: JsonSettings | QuietSettings) -> Iterator[None]:
    """Within it, what is printed goes to standard error with ``json``, and nowhere with ``quiet``.

    Warnings of Python become lines of the log in ``quiet``; the log's own stream is standard error in any case.
    """
    if any(isinstance(one, QuietSettings) and one.quiet for one in settings):
        logging.captureWarnings(True)
        try:
            with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                yield
        finally:
            logging.captureWarnings(False)
    elif any(isinstance(one, JsonSettings) and one.json for one in settings):
        with redirect_stdout(sys.stderr):
            yield
    else:
        yield


def require_files(quiet: QuietSettings, output_dir: str | None) -> None:
    """Raises `InputError` where numbers would be neither printed nor kept."""
    if quiet.quiet and output_dir is None:
        raise InputError(
            "quiet prints no numbers, and without output_dir they are not kept: leave quiet out, or give output_dir."
        )


def print_last(line: str, as_json: JsonSettings | None = None) -> None:
    """Prints a command's last line, which names its files; on standard error where standard output has a document."""
    print_visible(line, sys.stderr if as_json is not None and as_json.json else sys.stdout)


def print_json(document: Any) -> None:
    """Prints a JSON document; characters beyond ASCII are escaped, which a terminal might obey."""
    print(json.dumps(as_json(document), indent=2, allow_nan=False), flush=True)
