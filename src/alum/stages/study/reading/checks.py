"""Checks of a study: its names and values against those of the stages, and its arms against each other."""

import dataclasses
import re
import types
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from alum.core.errors import InputError, unknown_name
from alum.core.methods import METHODS, method_named
from alum.stages.study.settings import (
    COST_OF_DEAREST,
    DIVERGENCE_OF,
    PRETRAIN,
    STANDARD,
    Settings,
    Study,
)

_OF_STUDY = {"output_dir", "overwrite_output_dir", "resume_from_checkpoint", "seed", "data_seed", "do_predict"}
_OF_DATA = {"task", "data_dir", "train_file", "validation_file", "test_file", "validation_share"}
# A study keeps rows by their content, and a cell's key knows no files.
_OF_FILES = {"train_weights", "masked_lm", "wordnet_dir", "misspellings"}
# Of other tokens a loss per token is another thing.
_OF_TEXT = {"train_file", "validation_file", "test_file", "dataset_name", "dataset_config_name", "dataset_split"}
_OF_TEXT |= {"document_unit", "text_column", "tokenizer_name", "tokenizer_type", "vocab_size", "max_seq_length"}
_OF_TEXT |= {"objective", "max_eval_samples"}
_OF_EVALUATION = {"model_name_or_path", "suites", "output_dir", "overwrite_output_dir", "data_dir", "validation_file"}
_OF_EVALUATION |= {"kind", "text_columns", "label_column", "choice_columns", "attacked_suites", "adversarial_gain"}
_OF_EVALUATION |= {"check_gradient_masking", "num_examples", "max_seq_length", "trust_remote_code"}


def check_study(study: Study) -> None:
    """Checks a study's names and values against each other; raises `InputError`."""
    _check_tasks(study)
    _check_pretraining(study)
    known = {DIVERGENCE_OF: str, COST_OF_DEAREST: Any}
    for arm, settings in study.arms.items():
        own = {name: value for name, value in settings.items() if name != PRETRAIN}
        finetuning = finetune_settings() if study.tasks else {}
        _check_names(f"arms, {arm}", own, {**finetuning, **known}, _OF_STUDY | _OF_DATA | _OF_FILES)
        before = settings.get(PRETRAIN)
        if before is not None:
            where = _place_of_pretraining(study, f"arms, {arm}")
            _check_names(where, before, {**pretrain_settings(), DIVERGENCE_OF: str}, _OF_STUDY | _OF_TEXT)
            if not study.pretraining:
                raise InputError(f"arms, {arm}: {PRETRAIN} needs a part pretraining, which says on what.")
            if not study.pretrains(arm):
                raise InputError(f"arms, {arm}: a model of its own, model_name_or_path, is not pre-trained. Say one.")
        _check_arm(study, arm)
    _check_search(study)
    check_seeds(study)
    _check_names("evaluation", study.evaluation, _evaluation_settings(), _OF_EVALUATION)


def check_seeds(study: Study) -> None:
    """Checks that no seed both chooses and is measured by; raises `InputError`."""
    if both := sorted(set(study.seeds) & set(study.search_seeds)) if study.search else []:
        raise InputError(
            f"seeds and search_seeds share {both[0]}: what is chosen by a seed must not be measured by it."
        )


def has_divergence(settings: Settings) -> bool:
    """Whether a training by these settings has a divergence, which noise can be made to have."""
    name = settings.get("adv_method")
    if name not in METHODS or DIVERGENCE_OF in settings:
        return False
    method = method_named(str(name))
    return method.alpha != 0 and method.term == "divergence"


def in_words(settings: Settings, stage: str | None = None) -> dict[str, Any]:
    """Settings with numbers as text where they stand for words, such as the number of a block, and lists of one."""
    known = pretrain_settings() if stage == PRETRAIN else finetune_settings()
    found = {}
    for name, value in settings.items():
        if type(value) is int and not _fits(value, known.get(name)) and _fits("", known[name]):
            value = str(value)
        elif isinstance(value, str) and get_origin(known.get(name)) is list:
            value = [value]
        found[name] = value
    return found


# -- parts of a study --------------------------------------------------------------------------------------------------


def _check_tasks(study: Study) -> None:
    known = {**finetune_settings(), "validation_share": float, "suites": Mapping}
    for task, settings in study.tasks.items():
        _check_names(f"tasks, {task}", settings, known, _OF_STUDY | _OF_FILES)
        if study.pretraining and "model_name_or_path" in settings:
            raise InputError(
                f"tasks, {task}: models are those of pretraining. What it goes on from is pretraining, "
                "model_name_or_path; an arm may have a model of its own."
            )
        has_models = study.pretraining or all("model_name_or_path" in arm for arm in study.arms.values())
        if "model_name_or_path" not in settings and not has_models:
            raise InputError(f"tasks, {task}: say which model is trained: base, model_name_or_path.")


def _check_pretraining(study: Study) -> None:
    if not study.pretraining:
        return
    known = {**pretrain_settings(), "test_file": Any}
    _check_names("pretraining", study.pretraining, known, _OF_STUDY)
    files = study.pretraining.get("test_file", [])
    files = [files] if isinstance(files, str) else files
    paths = list(files.values()) if isinstance(files, Mapping) else files
    if not isinstance(paths, list) or not all(isinstance(file, str) for file in paths):
        raise InputError(f"pretraining: test_file must be a file, or several as a list or by name, not {files!r}.")
    if not files and not study.tasks:
        raise InputError("pretraining: give test_file, one or more texts to measure on, or tasks to fine-tune on.")
    names = list(files) if isinstance(files, Mapping) else [Path(file).stem for file in paths]
    for name in names:
        if names.count(name) > 1 or name in study.tasks:
            raise InputError(f"pretraining: test_file: {name} is there twice, as a text or a task. Rename one.")


def _check_arm(study: Study, arm: str) -> None:
    settings = study.arms[arm]
    if COST_OF_DEAREST in settings and settings[COST_OF_DEAREST] not in ("flops", "seconds"):
        raise InputError(
            f"controls, {arm} must be flops or seconds, in which the dearest arm's cost is taken, not "
            f"{settings[COST_OF_DEAREST]!r}."
        )
    for stage in (None, PRETRAIN):
        if (stage is None and study.tasks) or (stage == PRETRAIN and study.pretrains(arm)):
            _check_method(study, arm, stage)


def _check_method(study: Study, arm: str, stage: str | None) -> None:
    """Checks how an arm trains in a stage, and which divergence it is to have there."""
    of_stage = {name: own if stage is None else own.get(stage, {}) for name, own in study.arms.items()}
    where = f"arms, {arm}" if stage is None else _place_of_pretraining(study, f"arms, {arm}")
    method = of_stage[arm].get("adv_method")
    if arm == STANDARD and method != STANDARD:
        raise InputError(f"{where} must train by the method {STANDARD}, which the others are held against.")
    if method is None:
        raise InputError(f"{where}: give its adv_method, one of {', '.join(METHODS)}, or name it as one of them.")
    method_named(str(method))
    if DIVERGENCE_OF not in of_stage[arm]:
        return
    other = of_stage[arm][DIVERGENCE_OF]
    if other not in study.arms or other == arm:
        raise unknown_name(f"arm that {arm} is to have the divergence of", str(other), set(study.arms) - {arm})
    if not has_divergence(of_stage[other]):
        raise InputError(f"{where}: {other} has no divergence of its own to match. Name an arm such as alum.")


def _check_search(study: Study) -> None:
    for arm, grid in study.search.items():
        if arm not in study.arms:
            raise unknown_name("arm in search", arm, study.arms)
        if grid.get(PRETRAIN) and not study.pretrains(arm):
            raise InputError(f"search, {arm}: it is not pre-trained, so that nothing can be chosen there.")
        for values in study.searched(arm):
            _check_names(f"search, {arm}", values, finetune_settings(), _OF_STUDY | _OF_DATA)
        for values in study.searched_pretraining(arm):
            where = _place_of_pretraining(study, f"search, {arm}")
            _check_names(where, values, pretrain_settings(), _OF_STUDY | _OF_TEXT)
        if COST_OF_DEAREST in study.arms[arm]:
            raise InputError(f"search, {arm}: it has what was chosen for {STANDARD}, made longer. Search that one.")
        for settings in (study.arms[arm], study.arms[arm].get(PRETRAIN, {})):
            if DIVERGENCE_OF in settings:
                raise InputError(f"search, {arm}: it has the divergence of {settings[DIVERGENCE_OF]}. Search that one.")


def _place_of_pretraining(study: Study, where: str) -> str:
    return f"{where}, {PRETRAIN}" if study.tasks else where


# -- names and values --------------------------------------------------------------------------------------------------


def _check_names(where: str, settings: Settings, known: Mapping[str, Any], refused: Collection[str]) -> None:
    for name, value in settings.items():
        if name in refused:
            raise InputError(f"{where}: {name} cannot be set there.")
        if name not in known:
            error = unknown_name("setting", str(name), sorted(known))
            raise InputError(f"{where}: {_short(str(error))}")
        if not _fits(value, known[name]):
            raise InputError(f"{where}: {name} cannot be {value!r}.")


def _fits(value: Any, declared: Any) -> bool:
    """Whether a value is of a declared type, of those that YAML has words for; others are not looked at."""
    if get_origin(declared) in (Union, types.UnionType):
        return any(_fits(value, one) for one in get_args(declared))
    if get_origin(declared) is Literal:
        return value in get_args(declared)
    if declared in (int, float):
        return isinstance(value, int if declared is int else (int, float)) and not isinstance(value, bool)
    if declared in (str, bool, types.NoneType):
        return isinstance(value, declared)
    return True


def _short(message: str) -> str:
    """Leaves out the list of all names that are known, of which there are hundreds."""
    return re.sub(r": expected one of .*?\.(?= Did|$)", ".", message)


@cache
def finetune_settings() -> dict[str, Any]:
    """Declared types of the settings of fine-tuning by name."""
    from alum.stages.finetuning.arguments import FinetuneArguments
    from alum.stages.finetuning.config import FinetuneConfig  # imports torch, which reading help does without

    return _types_of(FinetuneConfig, FinetuneArguments)


@cache
def pretrain_settings() -> dict[str, Any]:
    """Declared types of the settings of pre-training by name."""
    from alum.stages.pretraining.arguments import PretrainArguments
    from alum.stages.pretraining.config import PretrainConfig

    return _types_of(PretrainConfig, PretrainArguments)


def _types_of(*dataclasses_of_stage: type) -> dict[str, Any]:
    return {one.name: one.type for of in dataclasses_of_stage for one in dataclasses.fields(of) if one.init}


def _evaluation_settings() -> dict[str, Any]:
    from alum.stages.evaluation.arguments import EvaluateArguments

    return {one.name: one.type for one in dataclasses.fields(EvaluateArguments)}
