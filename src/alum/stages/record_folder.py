"""Folders of stages whose outcome is one record: held by one process, and opened only when that loses nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from alum.stages.held_folder import held
from alum.stages.runs.folder import opened_or_resumed


class RecordArguments(Protocol):
    """Settings of a stage that may write to a folder."""

    output_dir: str | None
    overwrite_output_dir: bool


@contextmanager
def opened_for_record(arguments: RecordArguments, command: str, record: str) -> Iterator[Path | None]:
    """Opens and holds the folder that a command's file ``record`` is to be written to; gives None where none is named.

    A folder of the same command with the same settings is taken again, so that a run that was stopped can be repeated.
    Raises `InputError` for a folder that holds anything else, unless it may be moved aside, and for one that another
    process writes to. Where the work fails before the record is there, a new folder is removed again.
    """
    if arguments.output_dir is None:
        yield None
        return
    has_begun = (Path(arguments.output_dir) / record).exists
    opened = opened_or_resumed(
        arguments.output_dir, arguments.overwrite_output_dir, command, has_begun, arguments=arguments
    )
    with held(arguments.output_dir), opened as folder:
        yield folder
