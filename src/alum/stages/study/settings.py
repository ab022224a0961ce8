"""Settings of a study: its arms, tasks and seeds, importable without torch."""

import dataclasses
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from alum.core.errors import InputError
from alum.stages.runs.settings import require_one_or_more

Settings = Mapping[str, Any]

STANDARD, STANDARD_PLUS = "standard", "standard_plus"
DIVERGENCE_OF, COST_OF_DEAREST = "divergence_of", "cost_of_dearest"
PRETRAIN = "pretrain"
SEARCH_SEEDS = (1000, 1001)
PLACES = frozenset({
    "data_dir", "train_file", "validation_file", "test_file", "model_name_or_path", "tokenizer_name", "cache_dir",
    "masked_lm", "similarity_model", "wordnet_dir", "word_vectors", "misspellings", "suites",
})  # fmt: skip
"""Settings that name files and folders."""


@dataclass
class StudyArguments:
    """Settings of a call of ``alum study``: which study, where, and by how many workers."""

    study_file: str = field(metadata={"help": "YAML file of the study: its arms, tasks and seeds."})
    output_dir: str = field(metadata={"help": "Folder of the study; one that holds it already is gone on with."})
    workers: int = field(default=1, metadata={"help": "Processes that train side by side."})
    seeds: str | None = field(
        default=None,
        metadata={"help": "Seeds to train with, 0:5 or 1,4,7, added to those of the folder; default: the file's."},
    )

    def __post_init__(self) -> None:
        require_one_or_more(self, "workers")


@dataclass(frozen=True)
class Study:
    """Arms, tasks and seeds of a study, in the form in which its folder keeps them.

    ``tasks`` and ``arms`` have settings of fine-tuning by name; an arm's go before a task's. ``pretraining`` has those
    of the pre-training that comes before it, an arm's own stand under its `PRETRAIN`; without tasks it is all there is.
    In either an arm may have `DIVERGENCE_OF`, the arm whose divergence it is to have, and in its own
    `COST_OF_DEAREST`, which makes it as long a training as the dearest other arm is, in FLOPs or seconds. ``search``
    has values to choose among, by arm and setting, those of pre-training under `PRETRAIN` too.
    """

    tasks: Mapping[str, Settings]
    arms: Mapping[str, Settings]
    seeds: tuple[int, ...]
    pretraining: Settings = field(default_factory=dict)
    search: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    search_seeds: tuple[int, ...] = SEARCH_SEEDS
    """Seeds with which the values of ``search`` are compared, apart from ``seeds``."""
    evaluation: Settings = field(default_factory=dict)
    """Settings of `alum.evaluate` for what was trained; empty: validation scores alone."""
    keep_models: bool = False
    """Whether models stay in the folder when they have been measured."""

    @property
    def texts(self) -> dict[str, str]:
        """Files of the texts that pre-trained models are measured on, by name; none where there are none."""
        return texts_in(self.pretraining)

    def pretrains(self, arm: str) -> bool:
        """Whether an arm is pre-trained by the study, as all are that do not name a model of their own."""
        return bool(self.pretraining) and "model_name_or_path" not in self.arms[arm]

    def pretraining_of(self, arm: str) -> dict[str, Any]:
        """Settings of an arm's pre-training, before anything is chosen or matched."""
        return {**self.pretraining, **self.arms[arm].get(PRETRAIN, {})}

    def finetuning_of(self, task: str, arm: str) -> dict[str, Any]:
        """Settings of an arm's fine-tuning on a task, before anything is chosen or matched."""
        settings = {**self.tasks[task], **self.arms[arm]}
        return {name: value for name, value in settings.items() if name != PRETRAIN}

    def is_searched(self, arm: str) -> bool:
        """Whether values are chosen for an arm's fine-tuning."""
        return bool(self.search.get(arm, {}).keys() - {PRETRAIN})

    def is_pretraining_searched(self, arm: str) -> bool:
        """Whether values are chosen for an arm's pre-training."""
        return bool(self.search.get(arm, {}).get(PRETRAIN))

    def searched(self, arm: str) -> Iterator[dict[str, Any]]:
        """Yields each combination of the values that are searched for an arm's fine-tuning; one where none are."""
        grid = self.search.get(arm, {})
        return _combinations({name: values for name, values in grid.items() if name != PRETRAIN})

    def searched_pretraining(self, arm: str) -> Iterator[dict[str, Any]]:
        """Yields each combination of the values that are searched for an arm's pre-training; one where none are."""
        return _combinations(self.search.get(arm, {}).get(PRETRAIN, {}))

    def written(self) -> str:
        """Text of the study's YAML file, from which `read_study` makes the same study."""
        return yaml.safe_dump(_plain(dataclasses.asdict(self)), sort_keys=False, allow_unicode=True)


def texts_in(pretraining: Settings) -> dict[str, str]:
    """Files of the texts to measure on that settings of pre-training name, by their own names or those of the files."""
    files = pretraining.get("test_file", [])
    if isinstance(files, Mapping):
        return dict(files)
    return {Path(file).stem: file for file in ([files] if isinstance(files, str) else files)}


def placed(settings: Settings) -> dict[str, Any]:
    """Settings with environment variables in paths filled in, as in ``$ALUM_DATA/sst2``.

    Raises `InputError` for a variable that is not set.
    """
    return {name: _filled_in(name, value) if name in PLACES else value for name, value in settings.items()}


def _filled_in(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_filled_in(name, one) for one in value]
    if isinstance(value, Mapping):
        return {key: _filled_in(name, one) for key, one in value.items()}
    if not isinstance(value, str):
        return value
    filled = os.path.expandvars(value)
    if left := re.match(r"\$\{?(\w+)", filled[filled.find("$") :] if "$" in filled else ""):
        raise InputError(f"{name}: {value} names the environment variable {left[1]}, which is not set. Set it.")
    return filled


def _combinations(grid: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
