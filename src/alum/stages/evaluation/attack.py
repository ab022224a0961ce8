"""Attacks on a classifier with single texts: change words of a text so that the answer changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from alum.attacks.text.protocol import AttackResult
from alum.attacks.text.worded import Example
from alum.core.errors import InputError, unknown_name
from alum.data.visible_text import counted
from alum.evaluation.measured_model import ModelSource
from alum.evaluation.scores.row_records import ROW
from alum.reports.attacked_text import attack_html, show_attack
from alum.reports.exports import AttackedTexts, entries_of
from alum.reports.pages.notebook import show
from alum.stages.evaluation.arguments import AttackArguments
from alum.stages.evaluation.attacking.attacker import AskedAttack, Attacker
from alum.stages.runs.given import Given, made, models_in

if TYPE_CHECKING:
    from pandas import DataFrame

TEXTS = "texts"


@dataclass(frozen=True)
class AttackOutcome:
    """Outcome of the attack on a text or pair."""

    attack: str
    """Name of the attack."""
    model: str
    """The model that was attacked, as it was named."""
    label: str
    """Name of the label that the attack was to turn."""
    label_names: tuple[str, ...]
    """Names of the model's outputs, in their order."""
    num_unread_words: int
    """Words of the attacked texts beyond the model's length, which were left alone."""
    result: AttackResult
    """Texts before and after, the model's outputs, changes and queries."""

    def to_pandas(self) -> "DataFrame":
        """Makes a data frame of one row; see `AttackedTexts`."""
        return AttackOutcomes((self,)).to_pandas()

    def show(self) -> None:
        """Shows the texts with their changed words, in a notebook or the terminal."""
        AttackOutcomes((self,)).show()

    def _repr_html_(self) -> str:
        return attack_html(self.result, self.label, self.label_names, self.num_unread_words)


@dataclass(frozen=True)
class AttackOutcomes:
    """Outcomes of an attack on several texts, in their order."""

    outcomes: tuple[AttackOutcome, ...]

    def __len__(self) -> int:
        return len(self.outcomes)

    def __iter__(self) -> Iterator[AttackOutcome]:
        return iter(self.outcomes)

    def __getitem__(self, index: int) -> AttackOutcome:
        return self.outcomes[index]

    @property
    def attacked_texts(self) -> AttackedTexts:
        """Texts for export, numbered from 1."""
        return AttackedTexts([_record(number, one) for number, one in enumerate(self.outcomes, start=1)])

    def to_pandas(self) -> "DataFrame":
        """Makes a data frame with a row for each text; see `AttackedTexts`."""
        return self.attacked_texts.to_pandas()

    def show(self) -> None:
        """Shows the texts with their changed words, in a notebook or the terminal."""
        show(self, self._print)

    def _print(self) -> None:
        for one in self.outcomes:
            show_attack(one.result, one.label, one.label_names, one.num_unread_words)

    def _repr_html_(self) -> str:
        return "<hr>".join(one._repr_html_() for one in self.outcomes)


@overload
def attack(model: AttackArguments) -> AttackOutcome: ...


@overload
def attack(
    model: Any, tokenizer: Any = None, text: str = ..., *, label_names: Sequence[str] | None = None, **settings: Any
) -> AttackOutcome: ...


@overload
def attack(
    model: Any,
    tokenizer: Any = None,
    text: list[str] = ...,
    *,
    label_names: Sequence[str] | None = None,
    **settings: Any,
) -> AttackOutcomes: ...


def attack(
    model: Any, tokenizer: Any = None, text: Any = None, *, label_names: Sequence[str] | None = None, **settings: Any
) -> AttackOutcome | AttackOutcomes:
    """Attacks a classifier by changing words of a text or pair, so that it gives another label than before.

    ``model``, ``tokenizer`` and ``label_names`` are as in `evaluate`, but one model. ``text`` is a text, for which an
    `AttackOutcome` is returned, or several, for which `AttackOutcomes` are; ``settings`` are the fields of
    `AttackArguments`, such as ``attack``, ``label`` and ``text_pair`` (as many as there are texts). Or ``model`` is an
    `AttackArguments`, and nothing else is given.

    Where a right label is named, the attack is on that instead of the model's own answer. Raises `InputError` for
    texts, labels, models and settings that cannot be used.
    """
    if isinstance(model, AttackArguments):
        if settings or not tokenizer is text is label_names is None:
            raise InputError("AttackArguments have all settings of an attack: give nothing beside them.")
        checkpoint = model.checkpoint(model.model_name_or_path)
        return _attacked(model, checkpoint, [_example(model.text, model.text_pair)])[0]
    examples = _examples(text, settings.pop("text_pair", None))
    models = models_in(model, tokenizer, label_names)
    if len(models) != 1:
        raise InputError(f"expected one model to attack, not {', '.join(models) or 'none'}.")
    ((name, given),) = models.items()
    path = given if isinstance(given, str) else given.name_or_path
    arguments = made(AttackArguments, {"model_name_or_path": path, "text": examples[0][0], **settings})
    if isinstance(given, str):
        outcomes = _attacked(arguments, arguments.checkpoint(path), examples)
    else:
        with Given({name: given}).left_as_they_were():
            outcomes = _attacked(arguments, given, examples)
    return outcomes[0] if isinstance(text, str) else AttackOutcomes(tuple(outcomes))


def _examples(text: Any, text_pair: Any) -> list[Example]:
    """Texts or pairs that a call gives, in lists or alone."""
    texts, others = ([one] if isinstance(one, str) else one for one in (text, text_pair))
    for what, found in (("text", texts), ("text_pair", others)):
        if found is not None and not (isinstance(found, Sequence) and all(isinstance(one, str) for one in found)):
            raise InputError(f"{what} must be a text or a list of texts, not {type(found).__name__}.")
    if not texts:
        raise InputError("no text: expected a text, or a list of them, to attack.")
    if others is not None and len(others) != len(texts):
        raise InputError(
            f"expected a text_pair for each text, but there are {counted(len(texts), 'text')} and {len(others)} of "
            "text_pair."
        )
    return [_example(*pair) for pair in zip(texts, others or [None] * len(texts), strict=True)]


def _example(text: str, text_pair: str | None) -> Example:
    return (text,) if text_pair is None else (text, text_pair)


def _attacked(arguments: AttackArguments, source: ModelSource, examples: Sequence[Example]) -> list[AttackOutcome]:
    """Attacks texts side by side; raises `InputError`."""
    columns = ("text",) if arguments.text_pair is None else ("text", "text_pair")
    asked = AskedAttack(arguments.attack, arguments.attacked_text, columns, arguments.max_seq_length)
    for index, example in enumerate(examples):
        if not asked.has_words(example):
            which = "the text" if len(examples) == 1 else f"text {index} of {len(examples)}, counted from 0,"
            raise InputError(f"{which} has no words: expected letters or digits, which can be changed, not {example}.")
    attacker = Attacker.of(asked, arguments, source, examples[0])
    clean = attacker.victim(examples)
    names = attacker.label_names(clean.shape[1])
    given = None if arguments.label is None else _label_index(arguments.label, names)
    labels = [int(outputs.argmax()) if given is None else given for outputs in clean]
    results = dict(attacker.results(zip(examples, labels, strict=True)))
    return [
        AttackOutcome(
            attack=attacker.text_attack.name,
            model=source.name_or_path,
            label=names[label],
            label_names=names,
            num_unread_words=attacker.num_unread_words(examples[index]),
            result=results[index][0],
        )
        for index, label in enumerate(labels)
    ]


def _record(number: int, outcome: AttackOutcome) -> dict[str, Any]:
    """Entry of an attacked text, with the fields of an example in an evaluation's ``results.json``."""
    result, names = outcome.result, outcome.label_names
    answers: dict[str, Any] = {}
    for when, outputs in (("before", result.clean_outputs), ("after", result.adversarial_outputs)):
        answers[when] = names[max(range(len(outputs)), key=outputs.__getitem__)]
        answers[f"{when}_probabilities"] = dict(zip(names, outputs, strict=True))
    return {
        "model": outcome.model,
        "suite": TEXTS,
        "attack": outcome.attack,
        ROW: number,
        "label": outcome.label,
        "outcome": result.outcome,
        "num_queries": result.num_queries,
        "original": list(result.original),
        "perturbed": list(result.perturbed),
        "changes": entries_of(result.changes),
        **answers,
    }


def _label_index(label: str, names: tuple[str, ...]) -> int:
    if label not in names:
        raise unknown_name("label", label, names)
    return names.index(label)
