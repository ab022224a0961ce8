"""Attack on a classifier with a single text: changes words of the text so that the answer changes."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, PretrainedConfig

from alum.attacks.text.protocol import AttackResult, Misclassified
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.table import text_attack_named
from alum.attacks.text.worded import WordedExample
from alum.core.errors import InputError, unknown_name
from alum.evaluation.kinds.base import AttackedKind
from alum.evaluation.kinds.lookup import attacked_kind, evaluated_kind
from alum.evaluation.kinds.sequence_classification import ClassifierVictim
from alum.models.text_model import TextModel
from alum.models.tokenization import Tokenization
from alum.models.tokenizer_fit import check_tokenizer_fits, take_padding_of
from alum.stages.evaluation.arguments import AttackArguments
from alum.stages.evaluation.attack_resources import TEXT_LENGTH_TOKENS, attack_resources, attack_similarity
from alum.tasks.lookup import SUPERVISED, kind_of_sequence_head

_ATTACKED = {"first": (0,), "last": (-1,), "both": (0, -1)}


@dataclass(frozen=True)
class AttackOutcome:
    """Outcome of the attack on a text or pair, with the model's label names in the order of its outputs.

    ``num_unread_words`` of the attacked texts stand beyond the model's length and were left alone.
    """

    attack: str
    model: str
    label: str
    label_names: tuple[str, ...]
    num_unread_words: int
    result: AttackResult


def attack(arguments: AttackArguments) -> AttackOutcome:
    """Attacks a classifier by changing words of a text or pair, so that it gives another label than before.

    Where the arguments name the right label, the attack is on that instead of the model's own answer. Raises
    `InputError` for texts, labels, models and settings that cannot be used.
    """
    example = tuple(text for text in (arguments.text, arguments.text_pair) if text is not None)
    attacked = _ATTACKED[arguments.attacked_text]
    worded = WordedExample.of(example)
    places = worded.places(attacked)
    if not places:
        raise InputError("the text has no words: expected letters or digits, which an attack could change.")
    text_attack = text_attack_named(arguments.attack)
    checkpoint = arguments.checkpoint(arguments.model_name_or_path)
    tokenizer, model = checkpoint.tokenizer, checkpoint.trained_model(AutoModelForSequenceClassification)
    check_tokenizer_fits(tokenizer, model.config)
    take_padding_of(tokenizer, model.config)
    kind = _kind_of_classifier(model.config)
    names = _label_names(model.config)
    length = checkpoint.input_length_tokens(arguments.max_seq_length, TEXT_LENGTH_TOKENS)
    model.to("cuda" if torch.cuda.is_available() else "cpu")  # type: ignore[arg-type]
    text_model = TextModel(model, Tokenization(tokenizer, length))
    victim = ClassifierVictim(text_model)
    label = int(victim([example])[0].argmax()) if arguments.label is None else _label_index(arguments.label, names)
    settings = arguments.search_settings(attacked, tokenizer.unk_token, attack_similarity(arguments))
    search = text_attack.search(settings, attack_resources(arguments, [text_attack], kind, text_model))
    read = victim.characters_read(example)
    ((_, result),) = run_searches(victim, [search(example, Misclassified(label), read)])
    starts = [text.starts() for text in worded.texts]
    return AttackOutcome(
        attack=text_attack.name,
        model=checkpoint.name_or_path,
        label=names[label],
        label_names=names,
        num_unread_words=sum(starts[place.text][place.word] >= read[place.text] for place in places),
        result=result,
    )


def _kind_of_classifier(config: PretrainedConfig) -> AttackedKind:
    """Kind of task of a classifier; raises `InputError` where a model does not choose one label of several."""
    kind, num_labels = kind_of_sequence_head(config), len(_label_names(config))
    supervision = SUPERVISED.get(kind.name)
    if supervision is None or not evaluated_kind(supervision).chooses_label or num_labels < 2:
        raise InputError(
            "expected a model that chooses one of two or more labels, but this one is made for "
            f"{kind.name.replace('_', ' ')}, with {num_labels} of them."
        )
    return attacked_kind(supervision)


def _label_names(config: PretrainedConfig) -> tuple[str, ...]:
    """Label names in the order of a model's outputs."""
    id2label: dict[Any, str] = config.id2label or {}
    return tuple(id2label[index] for index in sorted(id2label))


def _label_index(label: str, names: tuple[str, ...]) -> int:
    if label not in names:
        raise unknown_name("label", label, names)
    return names.index(label)
