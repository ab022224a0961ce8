"""Joining of studies: arms, tasks and seeds of all, where they agree on what they share, and their finished cells."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alum.core.errors import InputError
from alum.stages.study.cells.ledger import CELL, CELLS
from alum.stages.study.inputs import DATA, StudyInputs, known_inputs
from alum.stages.study.settings import PLACES, PRETRAIN, Settings, Study


def same_everywhere(studies: Sequence[Study], names: Sequence[str]) -> Study:
    """Joins studies to one that has the arms, tasks and seeds of all; places of data and models are the last's.

    ``names`` are for messages. Raises `InputError` where an arm, a task or a search of one name has other settings in
    another of the studies: what is called alike must be alike.
    """
    first = studies[0]
    for other, name in zip(studies[1:], names[1:], strict=True):
        for what, mine, theirs in (
            ("task", first.tasks, other.tasks),
            ("arm", first.arms, other.arms),
            ("search", first.search, other.search),
            ("pretraining", {"": first.pretraining}, {"": other.pretraining}),
            ("evaluation", {"": first.evaluation}, {"": other.evaluation}),
        ):
            _check_alike(what, mine, theirs, (names[0], name))
        if first.search and other.search and first.search_seeds != other.search_seeds:
            raise InputError(f"search_seeds differ between {names[0]} and {name}: a choice needs one set of them.")
    return Study(
        tasks={task: settings for study in studies for task, settings in study.tasks.items()},
        arms={arm: settings for study in studies for arm, settings in study.arms.items()},
        pretraining=studies[-1].pretraining,
        seeds=tuple(sorted({seed for study in studies for seed in study.seeds})),
        search={arm: grid for study in studies for arm, grid in study.search.items()},
        search_seeds=next((study.search_seeds for study in studies if study.search), first.search_seeds),
        evaluation=first.evaluation,
        keep_models=any(study.keep_models for study in studies),
    )


def joined(studies: Sequence[Study], parts: Sequence[Path], folder: Path) -> tuple[Study, StudyInputs]:
    """Joins studies and copies their data and finished cells to ``folder``; raises `InputError` where they differ."""
    whole = same_everywhere(studies, list(map(str, parts)))
    inputs = _same_inputs([known_inputs(part) for part in parts], folder)
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts:
        for place in sorted((part / DATA).glob("*")):
            if not place.name.startswith("."):
                shutil.copytree(place, folder / DATA / place.name, dirs_exist_ok=True)
        for record in sorted((part / CELLS).glob(f"*/{CELL}")):
            target = folder / CELLS / record.parent.name
            if not (target / CELL).is_file():
                shutil.copytree(record.parent, target, ignore=shutil.ignore_patterns(CELL), dirs_exist_ok=True)
                shutil.copy2(record, target / CELL)  # last, as when it was finished
    inputs.write()
    return whole, inputs


def _same_inputs(all_known: Sequence[StudyInputs], folder: Path) -> StudyInputs:
    tasks: dict[str, Mapping[str, str]] = {}
    models: dict[str, str] = {}
    metrics: dict[str, str] = {}
    texts: dict[str, str] = {}
    held_out: dict[str, str] = {}
    for known in all_known:
        for task, digests in known.tasks.items():
            if tasks.setdefault(task, digests) != digests:
                raise InputError(f"the rows of task {task} are not the same in {known.folder}: rename the task.")
        for path, digest in known.models.items():
            if models.setdefault(path, digest) != digest:
                raise InputError(f"the model {path} is not the same in {known.folder}: give it another place.")
        for whole, part in ((texts, known.texts), (held_out, known.held_out)):
            for name, digest in part.items():
                if whole.setdefault(name, digest) != digest:
                    raise InputError(f"the text {name} is not the same in {known.folder}: one study has one.")
        metrics |= known.main_metrics
    return StudyInputs(folder, tasks, models, metrics, texts, held_out)


def _check_alike(what: str, mine: Mapping[str, Any], theirs: Mapping[str, Any], names: tuple[str, str]) -> None:
    for name in mine.keys() & theirs.keys():
        first, second = _without_places(mine[name]), _without_places(theirs[name])
        shown = f"{what} {name}".strip()
        for key in sorted(first.keys() | second.keys()):
            if first.get(key) != second.get(key):
                raise InputError(
                    f"{shown}: {key} is {first.get(key)!r} in {names[0]} and {second.get(key)!r} in {names[1]}. Give "
                    "one of them another name, or the study another folder."
                )


def _without_places(settings: Settings) -> dict[str, Any]:
    """Settings without the paths, which may be others on another machine: what lies there is known by digests."""
    found = {name: value for name, value in settings.items() if name not in PLACES}
    before = settings.get(PRETRAIN)
    return found if not isinstance(before, Mapping) else {**found, PRETRAIN: _without_places(before)}
