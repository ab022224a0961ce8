"""Attacking a classifier on one text: what has to change until it says something else."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from alum.attacks.text.protocol import AttackResult, Misclassified
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.table import text_attack_named
from alum.attacks.text.worded import WordedExample
from alum.core.errors import InputError, unknown_name
from alum.evaluation.attacked.classification import ClassifierVictim
from alum.models.loading import input_length_tokens, load_tokenizer, load_trained_model
from alum.stages.evaluation.arguments import AttackArguments
from alum.stages.evaluation.attack_resources import attack_resources, attack_similarity

_ATTACKED = {"first": (0,), "last": (-1,), "both": (0, -1)}
_LENGTH_TOKENS = 512


@dataclass(frozen=True)
class AttackOutcome:
    """The attack's result on the text or pair, and the names of the model's labels, in the order of its outputs.

    ``num_unread_words`` of the attacked texts stand beyond the model's length and were left alone.
    """

    attack: str
    model: str
    label: str
    label_names: tuple[str, ...]
    num_unread_words: int
    result: AttackResult


def attack(arguments: AttackArguments) -> AttackOutcome:
    """Attacks the model's answer for the text, or the label that is given; raises `InputError` for bad input."""
    example = tuple(text for text in (arguments.text, arguments.text_pair) if text is not None)
    attacked = _ATTACKED[arguments.attacked_text]
    worded = WordedExample.of(example)
    places = worded.places(attacked)
    if not places:
        raise InputError("the text has no words: expected letters or digits, which an attack could change.")
    text_attack = text_attack_named(arguments.attack)
    name_or_path, trust_remote_code = arguments.model_name_or_path, arguments.trust_remote_code
    tokenizer = load_tokenizer(name_or_path, trust_remote_code)
    model = load_trained_model(AutoModelForSequenceClassification, name_or_path, trust_remote_code)
    names = _label_names(model)
    length = input_length_tokens(name_or_path, arguments.max_seq_length, _LENGTH_TOKENS, trust_remote_code)
    model.to("cuda" if torch.cuda.is_available() else "cpu")  # type: ignore[arg-type]
    victim = ClassifierVictim(model, tokenizer, length)
    label = int(victim([example])[0].argmax()) if arguments.label is None else _label_index(arguments.label, names)
    settings = arguments.search_settings(attacked, tokenizer.unk_token, attack_similarity(arguments))
    search = text_attack.search(settings, attack_resources(arguments, [text_attack], model, tokenizer, length))
    read = victim.characters_read(example)
    ((_, result),) = run_searches(victim, [search(example, Misclassified(label), read)])
    starts = [text.starts() for text in worded.texts]
    return AttackOutcome(
        attack=text_attack.name,
        model=name_or_path,
        label=names[label],
        label_names=names,
        num_unread_words=sum(starts[place.text][place.word] >= read[place.text] for place in places),
        result=result,
    )


def _label_names(model: PreTrainedModel) -> tuple[str, ...]:
    """Raises `InputError` for a model whose outputs are not the probabilities of one label out of several."""
    id2label: dict[Any, str] = model.config.id2label or {}
    kind = getattr(model.config, "problem_type", None)
    if len(id2label) < 2 or kind in ("regression", "multi_label_classification"):
        what = "a number" if len(id2label) < 2 or kind == "regression" else "several labels at once"
        raise InputError(f"expected a model that chooses one of two or more labels, but this one predicts {what}.")
    return tuple(id2label[index] for index in sorted(id2label))


def _label_index(label: str, names: tuple[str, ...]) -> int:
    if label not in names:
        raise unknown_name("label", label, names)
    return names.index(label)
