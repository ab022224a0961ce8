"""Named tasks: published data sets with the splits to train, validate and test on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from alum.core.errors import unknown_name
from alum.tasks.sources import SOURCES, Source


@dataclass(frozen=True)
class NamedTask:
    """Published data set as a task, with the splits to train, validate and test on.

    ``splits`` maps our names (train, validation, test, and further ones that are measured too) to the data set's own,
    joined by ``+`` where several make one, wherever they are not the same.
    """

    name: str
    source: Source
    splits: Mapping[str, str] = field(default_factory=dict)


def _anli(name: str, rounds: str) -> NamedTask:
    def joined(split: str) -> str:
        return "+".join(f"{split}_r{number}" for number in rounds)

    splits = {"train": joined("train"), "validation": joined("dev"), "test": joined("test")}
    return NamedTask(name, SOURCES["anli"], splits)


_MNLI = {"validation": "validation_matched", "test": "test_matched"}

TASKS: Mapping[str, NamedTask] = {
    task.name: task
    for task in (
        *(NamedTask(name, SOURCES[name]) for name in ("cola", "sst2", "mrpc", "stsb", "qqp")),
        NamedTask("mnli", SOURCES["mnli"], _MNLI),
        *(NamedTask(name, SOURCES[name]) for name in ("qnli", "rte", "wnli", "snli", "scitail")),
        _anli("anli_r1", "1"),
        _anli("anli_r2", "2"),
        _anli("anli_r3", "3"),
        _anli("anli", "123"),
        NamedTask("sick", SOURCES["sick"]),
        NamedTask("imdb", SOURCES["imdb"], {"validation": "test"}),
        *(NamedTask(name, SOURCES[name]) for name in ("squad", "squad_v2", "swag", "hellaswag", "codah", "copa")),
        *(NamedTask(name, SOURCES[name]) for name in ("conll2003", "wnut_17")),
    )
}


def task_named(name: str) -> NamedTask:
    """Looks up a named task in `TASKS`; raises `InputError`, with the nearest name, for an unknown one."""
    if name not in TASKS:
        raise unknown_name("task", name, TASKS)
    return TASKS[name]
