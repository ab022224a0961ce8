"""A study's YAML file: its parts, and the arms that stand for its controls."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from alum.core.errors import InputError, unknown_name
from alum.core.methods import METHODS
from alum.data.yaml_files import read_yaml
from alum.stages.study.reading.checks import check_seeds, check_study, has_divergence, in_words
from alum.stages.study.settings import (
    COST_OF_DEAREST,
    DIVERGENCE_OF,
    PRETRAIN,
    SEARCH_SEEDS,
    STANDARD,
    STANDARD_PLUS,
    Settings,
    Study,
)

CONTROLS = (STANDARD_PLUS, "noise", "r_drop")
_PARTS = (
    "pretraining", "base", "tasks", "arms", "controls", "seeds", "search", "search_seeds", "evaluation", "keep_models",
)  # fmt: skip


def read_study(file: str | Path, seeds: str | None = None) -> Study:
    """Reads a study from a YAML file, with other ``seeds`` where given; raises `InputError` for what it cannot use."""
    found = read_yaml(file)
    try:
        return with_seeds(study_in(found), seeds)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def with_seeds(study: Study, seeds: str | list[int] | None) -> Study:
    """Study with other seeds, or the same one where these are None; raises `InputError` for seeds it cannot have."""
    if seeds is None:
        return study
    changed = dataclasses.replace(study, seeds=seeds_in(seeds, "seeds"))
    check_seeds(changed)
    return changed


def study_in(found: Any) -> Study:
    """Makes a study of what a YAML file says; raises `InputError` for keys and values that it cannot use."""
    parts = _mapping("the study", found)
    for name in parts:
        if name not in _PARTS:
            raise unknown_name("key", name, _PARTS)
    pretraining = _mapping("pretraining", parts.get("pretraining"))
    for name in ("arms",) if pretraining else ("tasks", "arms"):
        if not _mapping(name, parts.get(name)):
            raise InputError(f"{name}: expected one or more by name, but there are none.")
    base = _mapping("base", parts.get("base"))
    tasks = _mapping("tasks", parts.get("tasks"))
    if base and not tasks:
        raise InputError("base has settings of fine-tuning, but there are no tasks: those of pre-training are its own.")
    own = {name: _mapping(f"arms, {name}", settings) for name, settings in parts["arms"].items()}
    search = {name: _mapping(f"search, {name}", grid) for name, grid in _mapping("search", parts.get("search")).items()}
    if not tasks:  # then all settings of an arm are of pre-training
        own, search = ({name: _of_pretraining(name, one) for name, one in of.items()} for of in (own, search))
    study = Study(
        pretraining=in_words(pretraining, PRETRAIN),
        tasks={name: in_words({**base, **_mapping(f"tasks, {name}", task)}) for name, task in tasks.items()},
        arms={
            name: _arm_in_words(settings)
            for name, settings in _arms(own, _mapping("controls", parts.get("controls")), pretraining, tasks).items()
        },
        seeds=seeds_in(parts.get("seeds", "0:3"), "seeds"),
        search={arm: dict(_grid(f"search, {arm}", grid)) for arm, grid in search.items()},
        search_seeds=seeds_in(parts.get("search_seeds", list(SEARCH_SEEDS)), "search_seeds"),
        evaluation={"attacks": ["none"], **_mapping("evaluation", parts.get("evaluation"))} if tasks else {},
        keep_models=_truth("keep_models", parts.get("keep_models", False)),
    )
    check_study(study)
    return study


def seeds_in(value: Any, name: str) -> tuple[int, ...]:
    """Seeds that a setting names: ``0:5`` (without the last), ``1,4,7``, a number or a list of numbers.

    >>> seeds_in("0:3", "seeds"), seeds_in([4, 2], "seeds"), seeds_in("1,7", "seeds")
    ((0, 1, 2), (2, 4), (1, 7))
    """
    problem = InputError(f"{name} must be a range as 0:5, or numbers as 1,4,7, of 0 or more, not {value!r}.")
    if isinstance(value, str) and re.fullmatch(r"\d+:\d+", value):
        first, last = map(int, value.split(":"))
        found = list(range(first, last))
    elif isinstance(value, str) and re.fullmatch(r"\d+(,\d+)*", value):
        found = list(map(int, value.split(",")))
    else:
        found = [value] if isinstance(value, int) else value
    if not isinstance(found, list) or not found or not all(type(seed) is int and 0 <= seed < 2**32 for seed in found):
        raise problem
    return tuple(sorted(set(found)))


# -- arms --------------------------------------------------------------------------------------------------------------


def _arms(own: Mapping[str, Settings], controls: Settings, pretraining: Settings, tasks: Settings) -> dict[str, Any]:
    """Arms by name: standard training first, then those of the file, then the controls that it asks for."""
    arms: dict[str, dict[str, Any]] = {STANDARD: _by_default(STANDARD, {}, pretraining, tasks)}
    for name, settings in own.items():
        arms[name] = _by_default(name, settings, pretraining, tasks)
    for name, value in controls.items():
        if name not in CONTROLS:
            raise unknown_name("control", name, CONTROLS)
        if name in own:
            raise InputError(f"{name} is among the arms and among the controls: leave one of them out.")
        if name == STANDARD_PLUS:
            arms[name] = {**arms[STANDARD], COST_OF_DEAREST: "flops" if value is True else value}
        elif name == "noise":
            arms[name] = _noise_like(value, arms, pretraining, tasks)
        elif value is True:
            arms[name] = _by_default(name, {PRETRAIN: {"adv_method": name}} if pretraining else {}, pretraining, tasks)
        else:
            raise InputError(f"controls, {name} must be true, or left out, not {value!r}.")
    return arms


def _by_default(name: str, settings: Settings, pretraining: Settings, tasks: Settings) -> dict[str, Any]:
    """Settings of an arm with the methods that it does not name: its own name, or standard training."""
    named = {"adv_method": name} if name in METHODS else {}
    found = dict(settings)
    if pretraining and "model_name_or_path" not in settings:
        before = _mapping(f"arms, {name}, {PRETRAIN}", settings.get(PRETRAIN))
        found[PRETRAIN] = {**({"adv_method": STANDARD} if tasks else named), **before}
        if tasks and before:  # an arm that pre-trains in a way of its own
            named = named or {"adv_method": STANDARD}
    return {**named, **found} if tasks else found


def _noise_like(other: Any, arms: Mapping[str, Settings], pretraining: Settings, tasks: Settings) -> dict[str, Any]:
    """Arm that has noise of another arm's divergence wherever this has one, and trains as it does elsewhere."""
    noise = {"adv_method": "noise", DIVERGENCE_OF: other}
    theirs = arms.get(other, {})
    found: dict[str, Any] = {}
    if tasks:
        own = {name: value for name, value in theirs.items() if name != PRETRAIN}
        found |= own if has_divergence(theirs.get(PRETRAIN, {})) and not has_divergence(own) else noise
    if pretraining and (PRETRAIN in theirs or not tasks):
        before = theirs.get(PRETRAIN, {})
        found[PRETRAIN] = noise if has_divergence(before) or not tasks else before
    return found


def _of_pretraining(name: str, settings: Settings) -> dict[str, Any]:
    """What is said of an arm in a study of pre-training alone, as it stands in one with tasks."""
    before = _mapping(f"{name}, {PRETRAIN}", settings.get(PRETRAIN))
    study = {COST_OF_DEAREST: settings[COST_OF_DEAREST]} if COST_OF_DEAREST in settings else {}
    rest = {key: value for key, value in settings.items() if key not in (PRETRAIN, COST_OF_DEAREST)}
    return {PRETRAIN: {**before, **rest}, **study}


def _arm_in_words(settings: Settings) -> dict[str, Any]:
    found = in_words({name: value for name, value in settings.items() if name != PRETRAIN})
    return found | ({PRETRAIN: in_words(settings[PRETRAIN], PRETRAIN)} if PRETRAIN in settings else {})


# -- values ------------------------------------------------------------------------------------------------------------


def _grid(where: str, grid: Settings) -> Iterator[tuple[str, Any]]:
    for name, values in grid.items():
        if name == PRETRAIN:
            yield name, dict(_grid(f"{where}, {name}", _mapping(f"{where}, {name}", values)))
        elif not isinstance(values, list) or not values:
            raise InputError(f"{where}, {name}: expected a list of values to choose among, not {values!r}.")
        else:
            yield name, values


def _mapping(where: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise InputError(f"{where}: expected lines of the form 'name: value', not {value!r}.")
    return value


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, not {value!r}.")
    return value
