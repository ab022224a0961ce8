"""Divergence and accuracy of a model over radii, and how far its words are apart in the same unit."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
from datasets import Dataset
from scipy.optimize import brentq

from alum.core.methods import method_named
from alum.evaluation.measured_model import LoadedModel, Reading
from alum.evaluation.model_on_task import ModelOnTask
from alum.models.model_parts import word_embeddings
from alum.reports.choosing.radius import draw_radius
from alum.stages.evaluation.progress import EvaluationProgress
from alum.stages.evaluation.suite_data import SuiteData, SuiteSpec, load_suite
from alum.stages.radius.arguments import RadiusArguments
from alum.stages.record_folder import opened_for_record
from alum.stages.runs.folder import write_json

DIRECTIONS = ("noise", "alum", "alum_one_pass", "alum_virtual")
"""Methods whose perturbations are tried."""
VIRTUAL = "alum_virtual"
RECORD = "radius.json"
BATCH_SIZE = 32
MOST_TRIED = 10
"""Radii that the search for one takes at most: halves of a bracket of a factor of 10 come to a hundredth in eight."""
TINY = 1e-9
NUM_WORDS = 1000
"""Number of words whose nearest neighbours are looked for, of those in the rows."""


@dataclass(frozen=True)
class Effect:
    """Mean divergence in nats, and accuracy, at perturbations of a radius; None where single answers are not right."""

    epsilon: float
    divergence: float
    accuracy: float | None


@dataclass(frozen=True)
class RadiusResult:
    """Effects of the perturbations of some methods over the radii.

    ``nearest_words`` has the 10th, 50th and 90th percentile of the distance from a word's vector to the nearest other
    one, in the unit of the radius; ``recommended_epsilon`` is where the virtual adversary has the wanted divergence, to
    a hundredth, None if that lies outside of the radii.
    """

    model: str
    num_rows: int
    clean_accuracy: float | None
    effects: dict[str, list[Effect]]
    nearest_words: tuple[float, float, float]
    target_divergence: float
    recommended_epsilon: float | None


def radius(arguments: RadiusArguments) -> RadiusResult:
    """Measures what radii do to a fine-tuned model, and trains nothing.

    Raises `InputError` for a model without a fine-tuned head, and for rows, settings and a folder that cannot be used.
    """
    with opened_for_record(arguments, "radius", RECORD) as folder:
        result = _measured(arguments)
        if folder is not None:
            write_json(folder / RECORD, asdict(result))
            draw_radius(asdict(result), folder / "radius.png")
    return result


def _measured(arguments: RadiusArguments) -> RadiusResult:
    spec = SuiteSpec.of_file(arguments.train_file, arguments.task)
    suite = load_suite(spec, arguments)
    model = _model_on(suite, arguments)
    model.check_first_pass(suite.rows, arguments.model_name_or_path)
    features = model.features(suite.rows)
    epsilons = sorted(set(arguments.epsilons))
    effects = {}
    with EvaluationProgress().shown("perturbing", len(DIRECTIONS), "directions") as done:
        for name in DIRECTIONS:
            found = model.effects_of(features, method_named(name), epsilons, arguments.seed)
            effects[name] = [Effect(epsilon, *effect) for epsilon, effect in zip(epsilons, found, strict=True)]
            done(1)
    ((_, clean_accuracy),) = model.effects_of(features, method_named("noise"), [TINY], arguments.seed)
    return RadiusResult(
        model=arguments.model_name_or_path,
        num_rows=len(suite.rows),
        clean_accuracy=clean_accuracy,
        effects=effects,
        nearest_words=nearest_words(model, features, arguments.seed),
        target_divergence=arguments.target_divergence,
        recommended_epsilon=_recommended(model, features, effects[VIRTUAL], arguments),
    )


def _recommended(
    model: ModelOnTask, features: Dataset, effects: Sequence[Effect], arguments: RadiusArguments
) -> float | None:
    between = around(arguments.target_divergence, effects)
    if between is None:
        return None
    with EvaluationProgress().shown("looking for the radius", MOST_TRIED, "tried") as done:

        def divergence_at(epsilon: float) -> float:
            ((divergence, _),) = model.effects_of(features, method_named(VIRTUAL), [epsilon], arguments.seed)
            done(1)
            return divergence

        return radius_of(arguments.target_divergence, between, divergence_at)


def _model_on(suite: SuiteData, arguments: RadiusArguments) -> ModelOnTask:
    name = arguments.model_name_or_path
    model = LoadedModel.of(name, arguments.checkpoint(name), suite.evaluated)
    data, mapping = suite.in_labels_of(model.source.label_names)
    return model.on_task(
        data.evaluated, mapping, Reading(arguments.max_seq_length, suite.max_length_tokens, BATCH_SIZE)
    )


def around(divergence: float, effects: Sequence[Effect]) -> tuple[Effect, Effect] | None:
    """First two neighbours of the measured effects between whose divergences one lies, None if it does so nowhere."""
    return next((pair for pair in pairwise(effects) if pair[0].divergence <= divergence <= pair[1].divergence), None)


def radius_of(divergence: float, between: tuple[Effect, Effect], divergence_at: Callable[[float], float]) -> float:
    """Radius of a divergence in nats, to a hundredth, between two measured ones, by Brent's method.

    Where D is a power of ε, straight lines on logarithmic scales meet it at once; at a large radius it often is not.
    """
    measured = {math.log(one.epsilon): one.divergence for one in between}

    def excess(log_epsilon: float) -> float:
        found = measured[log_epsilon] if log_epsilon in measured else divergence_at(math.exp(log_epsilon))
        return math.log(max(found, sys.float_info.min) / divergence)

    return math.exp(brentq(excess, *measured, xtol=0.01))


@torch.no_grad()
def nearest_words(model: ModelOnTask, features: Dataset, seed: int) -> tuple[float, float, float]:
    """Percentiles of the distance from words of the rows to the nearest other one, in units of the mean length."""
    vectors = word_embeddings(model.model).get_parameter("weight").float()
    ids = torch.tensor(list(_flat(features["input_ids"])))
    unit = vectors[ids.to(vectors.device)].norm(dim=-1).mean()
    words = ids.unique()
    generator = torch.Generator().manual_seed(seed)
    words = words[torch.randperm(len(words), generator=generator)[:NUM_WORDS]].to(vectors.device)
    nearest = []
    for some in words.split(100):
        distances = torch.cdist(vectors[some], vectors)
        distances[torch.arange(len(some)), some] = torch.inf
        nearest.append(distances.amin(-1))
    shares = torch.cat(nearest) / unit
    low, median, high = torch.quantile(shares, shares.new_tensor([0.1, 0.5, 0.9])).tolist()
    return low, median, high


def _flat(ids: Iterable[Any]) -> Iterator[int]:
    """Tokens of rows, or of the choices of rows."""
    for part in ids:
        if isinstance(part, int):
            yield part
        else:
            yield from _flat(part)
