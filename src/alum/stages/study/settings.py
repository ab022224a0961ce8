"""Settings of a study: its arms, tasks and seeds, read from YAML, importable without torch."""

import dataclasses
import itertools
import re
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import yaml

from alum.core.errors import InputError, unknown_name
from alum.core.methods import METHODS, method_named
from alum.data.files import read_text
from alum.stages.runs.settings import require_one_or_more

Settings = Mapping[str, Any]
CostUnit = Literal["flops", "seconds"]

STANDARD, STANDARD_PLUS = "standard", "standard_plus"
DIVERGENCE_OF, COST_OF_DEAREST = "divergence_of", "cost_of_dearest"
CONTROLS = (STANDARD_PLUS, "noise", "r_drop")
SEARCH_SEEDS = (1000, 1001)

_PARTS = ("base", "tasks", "arms", "controls", "seeds", "search", "search_seeds", "evaluation", "keep_models")
_OF_STUDY = {"output_dir", "overwrite_output_dir", "resume_from_checkpoint", "seed", "data_seed", "do_predict"}
_OF_DATA = {"task", "data_dir", "train_file", "validation_file", "test_file", "validation_share"}
_OF_EVALUATION = {"model_name_or_path", "suites", "output_dir", "overwrite_output_dir", "data_dir", "validation_file"}
_OF_EVALUATION |= {"kind", "text_columns", "label_column", "choice_columns", "attacked_suites", "adversarial_gain"}
_OF_EVALUATION |= {"check_gradient_masking", "num_examples", "max_seq_length", "trust_remote_code"}


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

    ``tasks`` and ``arms`` have settings of fine-tuning by name; an arm's go before a task's. An arm may have
    `DIVERGENCE_OF`, the arm whose divergence it is to have, or `COST_OF_DEAREST`, which makes it as long a training as
    the dearest other arm is, in FLOPs or seconds. ``search`` has values to choose among, by arm and setting.
    """

    tasks: Mapping[str, Settings]
    arms: Mapping[str, Settings]
    seeds: tuple[int, ...]
    search: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)
    search_seeds: tuple[int, ...] = SEARCH_SEEDS
    evaluation: Settings = field(default_factory=dict)
    keep_models: bool = False

    def written(self) -> str:
        """Text of the study's YAML file, from which `study_in` makes the same study."""
        return yaml.safe_dump(_plain(dataclasses.asdict(self)), sort_keys=False, allow_unicode=True)

    def searched(self, arm: str) -> Iterator[dict[str, Any]]:
        """Yields each combination of the values that are searched for an arm; one without any where none are."""
        grid = self.search.get(arm, {})
        for values in itertools.product(*grid.values()):
            yield dict(zip(grid, values, strict=True))


def read_study(file: str | Path, seeds: str | None = None) -> Study:
    """Reads a study from a YAML file, with other ``seeds`` where given; raises `InputError` for what it cannot use."""
    try:
        found = yaml.load(read_text(file), Loader=_Yaml)
    except yaml.YAMLError as error:
        raise InputError(f"{file} is not YAML: {' '.join(str(error).split())}") from None
    try:
        return with_seeds(study_in(found), seeds)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def with_seeds(study: Study, seeds: str | list[int] | None) -> Study:
    """Study with other seeds, or the same one where these are None; raises `InputError` for seeds it cannot have."""
    return study if seeds is None else dataclasses.replace(study, seeds=_checked_seeds(study, seeds))


def study_in(found: Any) -> Study:
    """Makes a study of what a YAML file says; raises `InputError` for keys and values that it cannot use."""
    parts = _mapping("the study", found)
    for name in parts:
        if name not in _PARTS:
            raise unknown_name("key", name, _PARTS)
    for name in ("tasks", "arms"):
        if not _mapping(name, parts.get(name)):
            raise InputError(f"{name}: expected one or more by name, but there are none.")
    base = _mapping("base", parts.get("base"))
    tasks = {name: {**base, **_mapping(f"tasks, {name}", own)} for name, own in parts["tasks"].items()}
    arms = _arms(_mapping("arms", parts["arms"]), _mapping("controls", parts.get("controls")))
    study = Study(
        tasks={name: _words(settings) for name, settings in tasks.items()},
        arms={name: _words(settings) for name, settings in arms.items()},
        seeds=seeds_in(parts.get("seeds", "0:3"), "seeds"),
        search={
            arm: {name: _values(arm, name, values) for name, values in _mapping(f"search, {arm}", grid).items()}
            for arm, grid in _mapping("search", parts.get("search")).items()
        },
        search_seeds=seeds_in(parts.get("search_seeds", list(SEARCH_SEEDS)), "search_seeds"),
        evaluation={"attacks": ["none"], **_mapping("evaluation", parts.get("evaluation"))},
        keep_models=_truth("keep_models", parts.get("keep_models", False)),
    )
    _check(study)
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


def _arms(own: Settings, controls: Settings) -> dict[str, dict[str, Any]]:
    """Arms by name: standard training first, then those of the file, then the controls that it asks for."""
    arms = {STANDARD: {"adv_method": STANDARD}}
    for name, settings in own.items():
        settings = _mapping(f"arms, {name}", settings)
        named = {"adv_method": name} if name in METHODS else {}
        arms[name] = {**named, **settings}
    for name, value in controls.items():
        if name not in CONTROLS:
            raise unknown_name("control", name, CONTROLS)
        if name in own:
            raise InputError(f"{name} is among the arms and among the controls: leave one of them out.")
        if name == STANDARD_PLUS:
            arms[name] = {**arms[STANDARD], COST_OF_DEAREST: "flops" if value is True else value}
        elif name == "noise":
            arms[name] = {"adv_method": "noise", DIVERGENCE_OF: value}
        elif value is True:
            arms[name] = {"adv_method": name}
        else:
            raise InputError(f"controls, {name} must be true, or left out, not {value!r}.")
    return arms


def _check(study: Study) -> None:
    """Checks a study's names and values against each other; raises `InputError`."""
    known = _finetune_settings()
    for task, settings in study.tasks.items():
        _check_names(f"tasks, {task}", settings, {**known, "validation_share": float}, _OF_STUDY)
        if "model_name_or_path" not in settings and not all("model_name_or_path" in a for a in study.arms.values()):
            raise InputError(f"tasks, {task}: say which model is trained: base, model_name_or_path.")
    for arm, settings in study.arms.items():
        _check_names(
            f"arms, {arm}", settings, {**known, DIVERGENCE_OF: str, COST_OF_DEAREST: Any}, _OF_STUDY | _OF_DATA
        )
        _check_arm(study, arm)
    for arm in study.search:
        if arm not in study.arms:
            raise unknown_name("arm in search", arm, study.arms)
        for values in study.searched(arm):
            _check_names(f"search, {arm}", values, known, _OF_STUDY | _OF_DATA)
        if COST_OF_DEAREST in study.arms[arm]:
            raise InputError(f"search, {arm}: it has what was chosen for {STANDARD}, made longer. Search that one.")
    _checked_seeds(study, list(study.seeds))
    _check_names("evaluation", study.evaluation, _evaluation_settings(), _OF_EVALUATION)


def _check_arm(study: Study, arm: str) -> None:
    settings = study.arms[arm]
    if arm == STANDARD and settings.get("adv_method") != STANDARD:
        raise InputError(f"arms, {STANDARD} must train by the method {STANDARD}, which the others are held against.")
    if COST_OF_DEAREST in settings and settings[COST_OF_DEAREST] not in ("flops", "seconds"):
        raise InputError(
            f"controls, {arm} must be flops or seconds, in which the dearest arm's cost is taken, not "
            f"{settings[COST_OF_DEAREST]!r}."
        )
    method = settings.get("adv_method")
    if method is None:
        raise InputError(f"arms, {arm}: give its adv_method, one of {', '.join(METHODS)}, or name it as one of them.")
    method_named(str(method))
    if DIVERGENCE_OF not in settings:
        return
    other = settings[DIVERGENCE_OF]
    if other not in study.arms or other == arm:
        raise unknown_name(f"arm that {arm} is to have the divergence of", str(other), set(study.arms) - {arm})
    theirs = method_named(study.arms[other]["adv_method"])
    if DIVERGENCE_OF in study.arms[other] or theirs.alpha == 0 or theirs.term != "divergence":
        raise InputError(f"arms, {arm}: {other} has no divergence of its own to match. Name an arm such as alum.")


def _checked_seeds(study: Study, seeds: str | list[int]) -> tuple[int, ...]:
    found = seeds_in(seeds, "seeds")
    if both := sorted(set(found) & set(study.search_seeds)) if study.search else []:
        raise InputError(
            f"seeds and search_seeds share {both[0]}: what is chosen by a seed must not be measured by it."
        )
    return found


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


def _finetune_settings() -> dict[str, Any]:
    """Declared types of the settings of fine-tuning by name."""
    from alum.stages.finetuning.arguments import FinetuneArguments
    from alum.stages.finetuning.config import FinetuneConfig  # imports torch, which reading help does without

    return {
        one.name: one.type for of in (FinetuneConfig, FinetuneArguments) for one in dataclasses.fields(of) if one.init
    }


def _evaluation_settings() -> dict[str, Any]:
    from alum.stages.evaluation.arguments import EvaluateArguments

    return {one.name: one.type for one in dataclasses.fields(EvaluateArguments)}


def _mapping(where: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise InputError(f"{where}: expected lines of the form 'name: value', not {value!r}.")
    return value


def _words(settings: Settings) -> dict[str, Any]:
    """Settings with numbers as text where they stand for words, such as the number of a block."""
    known = _finetune_settings()
    return {
        name: str(value)
        if type(value) is int and not _fits(value, known.get(name)) and _fits("", known[name])
        else value
        for name, value in settings.items()
    }


def _values(arm: str, name: str, values: Any) -> list[Any]:
    if not isinstance(values, list) or not values:
        raise InputError(f"search, {arm}, {name}: expected a list of values to choose among, not {values!r}.")
    return values


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, not {value!r}.")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


class _Yaml(yaml.SafeLoader):
    """YAML 1.2's words for values: 5:10 is no number in base 60, off no boolean, and 1e-4 a number."""


_Yaml.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag.rpartition(":")[2] not in ("bool", "float", "int", "timestamp")]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$", re.IGNORECASE), list("tTfF"))
_Yaml.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)
