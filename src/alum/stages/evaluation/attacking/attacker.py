"""Attack on a classifier, loaded once with all that the attack needs, for any number of texts."""

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from transformers import PretrainedConfig

from alum.attacks.text.base import BOUNDED_BY, Resources, TextAttack
from alum.attacks.text.protocol import AttackResult, Misclassified, Search
from alum.attacks.text.searches.gradients import Gradients
from alum.attacks.text.searches.settings import SearchSettings
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.table import text_attack_named
from alum.attacks.text.worded import Example, WordedExample
from alum.core.errors import InputError
from alum.evaluation.function_on_task import FunctionOnTask, FunctionVictim
from alum.evaluation.kinds.answer_likelihood import AnswerVictim, EvaluatedAnswers, answered
from alum.evaluation.kinds.base import EvaluatedKind, TextVictim
from alum.evaluation.kinds.lookup import attacked_kind, evaluated_kind
from alum.evaluation.kinds.sequence_classification import ClassifierVictim
from alum.evaluation.measured_model import LoadedModel, ModelSource, Reading, loaded
from alum.evaluation.model_on_task import ModelOnTask
from alum.models.text_function import TextFunction
from alum.models.trial import tried
from alum.stages.evaluation.arguments import TextAttackArguments
from alum.stages.evaluation.attacking.attack_resources import AttackResources
from alum.stages.word_sources import TEXT_LENGTH_TOKENS
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.tasks.layout import Layout
from alum.tasks.lookup import SUPERVISED, kind_of_sequence_head
from alum.tasks.prompts import AskedAnswers

logger = logging.getLogger(__name__)

_BATCH_SIZE = 64
_AT_ONCE = 64
"""Texts whose own answers are asked for together, as searches come to them."""
_ATTACKED = {"first": (0,), "last": (-1,), "both": (0, -1)}


@dataclass(frozen=True)
class AskedAttack:
    """Attack that is asked for, on a text or pair: its name, what it may change, and the longest input.

    ``columns`` are what the texts are called in a prompt.
    """

    name: str
    attacked_text: Literal["first", "last", "both"]
    columns: tuple[str, ...]
    max_seq_length: int | None

    @property
    def attacked_texts(self) -> tuple[int, ...]:
        """Indices of the texts that may be changed."""
        return _ATTACKED[self.attacked_text]

    def has_words(self, example: Example) -> bool:
        """Whether there is a word in the texts that may be changed."""
        return bool(WordedExample.of(example).places(self.attacked_texts))


@dataclass(frozen=True)
class Attacker:
    """Attack with the model that it attacks, as its victim, and the resources that it needs.

    ``own_label_names`` are those of the model's outputs, None of a function whose columns have no names. The seed of
    ``settings`` is that of the arguments.
    """

    asked: AskedAttack
    text_attack: TextAttack
    model: ModelOnTask | FunctionOnTask
    victim: TextVictim
    own_label_names: tuple[str, ...] | None
    settings: SearchSettings
    resources: Resources

    @classmethod
    def of(cls, asked: AskedAttack, arguments: TextAttackArguments, source: ModelSource, first: Example) -> "Attacker":
        """Loads the model, tries it on the ``first`` text, and loads what the attack needs.

        Raises `InputError` where one of them cannot be loaded, or does not choose one label of several.
        """
        text_attack, answers = text_attack_named(asked.name), arguments.asked_answers
        if text_attack.may_change_label(arguments.bounds):
            logger.warning("%s", _not_bounded(text_attack))
        model = _classifier(asked, arguments, source)
        victim = _victim(model)
        if isinstance(model, ModelOnTask):
            tried(source.name_or_path, lambda: victim([first]))
        names = source.label_names if answers is None else tuple(answer.name for answer in answers.answers)
        resources = AttackResources(arguments, [text_attack])
        return cls(
            asked=asked,
            text_attack=text_attack,
            model=model,
            victim=victim,
            own_label_names=names or None,
            settings=arguments.search_settings(asked.attacked_texts, model.unknown_word, resources.similarity),
            resources=resources.of_model(lambda: _gradients(model)),
        )

    def label_names(self, num_labels: int) -> tuple[str, ...]:
        """Names of the model's outputs, their numbers where they have none."""
        return self.own_label_names or tuple(map(str, range(num_labels)))

    def num_unread_words(self, example: Example) -> int:
        """Number of words of the attacked texts beyond the model's length, which are left alone."""
        worded, read = WordedExample.of(example), self.victim.characters_read(example)
        starts = [text.starts() for text in worded.texts]
        places = worded.places(self.asked.attacked_texts)
        return sum(starts[place.text][place.word] >= read[place.text] for place in places)

    def with_own_labels(self, examples: Iterable[Example]) -> Iterator[tuple[Example, int]]:
        """Pairs examples with the model's own answers, as they are taken."""
        waiting = iter(examples)
        while some := list(itertools.islice(waiting, _AT_ONCE)):
            yield from zip(some, self.victim(some).argmax(-1).tolist(), strict=True)

    def results(
        self, labelled: Iterable[tuple[Example, int]], seeds: Sequence[int] | None = None
    ) -> Iterator[tuple[int, list[AttackResult]]]:
        """Attacks examples, each to turn the answer away from its label, once with each of the seeds.

        Yields the number of each example, as soon as it is done, with a result a seed; the seed is that of the
        arguments where none is given. Examples are taken as they are needed.
        """
        seeds = [self.settings.seed] if seeds is None else seeds
        searches = [self.text_attack.search(replace(self.settings, seed=seed), self.resources) for seed in seeds]

        def begun() -> Iterator[Search]:
            for example, label in labelled:
                read = self.victim.characters_read(example)
                yield from (search(example, Misclassified(label), read) for search in searches)

        found: dict[int, dict[int, AttackResult]] = {}
        for number, result in run_searches(self.victim, begun()):
            index, copy = divmod(number, len(seeds))
            found.setdefault(index, {})[copy] = result
            if len(found[index]) == len(seeds):
                copies = found.pop(index)
                yield index, [copies[copy] for copy in range(len(seeds))]


def _classifier(
    asked: AskedAttack, arguments: TextAttackArguments, source: ModelSource
) -> ModelOnTask | FunctionOnTask:
    """Loads what is attacked; raises `InputError` where it does not choose one label of several."""
    evaluated, answers = evaluated_kind(SUPERVISED[SEQUENCE_CLASSIFICATION.name]), arguments.asked_answers
    if answers is not None:
        if isinstance(source, TextFunction):
            raise InputError(f"answers are chosen by a causal language model, but {source.name_or_path} is a function.")
        evaluated = _answering(evaluated, answers, asked.columns, source.name_or_path)
    model = loaded(source.name_or_path, source, evaluated)
    if isinstance(model, LoadedModel) and answers is None:
        _check_head(model.model.config, len(model.source.label_names))
    length = evaluated.default_length_tokens or TEXT_LENGTH_TOKENS
    on_task = model.on_task(evaluated, None, Reading(asked.max_seq_length, length, _BATCH_SIZE))
    if isinstance(on_task, ModelOnTask) and answers is None:
        on_task.text_model.tokenization.require_room(len(asked.columns))
    return on_task


def _answering(evaluated: EvaluatedKind, answers: AskedAnswers, columns: tuple[str, ...], name: str) -> EvaluatedKind:
    found = answered(evaluated, answers, Layout(columns), name)
    missing = [column for column in columns if column not in found.answering.template.columns]
    if missing:
        raise InputError(
            f"the prompt has no {{{missing[0]}}}: expected each text that is given in it, or leave it out."
        )
    return found


def _not_bounded(attack: TextAttack) -> str:
    ways = " or ".join(BOUNDED_BY[bound] for bound in sorted(attack.bounded_by or ()))
    return (
        f"a reader would often give another label to texts that {attack.name} changes: nothing keeps its words near in "
        f"meaning. Give {ways}"
    )


def _victim(model: ModelOnTask | FunctionOnTask) -> TextVictim:
    if isinstance(model, FunctionOnTask):
        return FunctionVictim(model.function)
    if isinstance(model.evaluated, EvaluatedAnswers):
        return AnswerVictim(model.text_model, model.evaluated.answering)
    return ClassifierVictim(model.text_model)


def _check_head(config: PretrainedConfig, num_labels: int) -> None:
    kind = kind_of_sequence_head(config)
    supervision = SUPERVISED.get(kind.name)
    if supervision is None or not evaluated_kind(supervision).chooses_label or num_labels < 2:
        raise InputError(
            "expected a model that chooses one of two or more labels, but this one is made for "
            f"{kind.name.replace('_', ' ')}, with {num_labels} of them."
        )


def _gradients(model: ModelOnTask | FunctionOnTask) -> Gradients:
    if isinstance(model, ModelOnTask):
        return attacked_kind(model.evaluated.supervision).gradients(model.text_model)
    raise InputError(
        "expected a model, whose gradients this attack follows, but a function from texts to probabilities gives none. "
        "Choose another attack, or give the model itself."
    )
