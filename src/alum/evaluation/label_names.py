"""Matching of a model's outputs with a suite's labels, by their names, and logits in terms of these labels."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from alum.core.errors import InputError
from alum.data.values import whole_number

logger = logging.getLogger(__name__)

# Words for one label, after case and separators are gone; the first is the one that the others are read as.
_SYNONYMS = (
    ("entailment", "entails", "entail", "entailed"),
    ("contradiction", "contradicts", "contradict", "contradictory"),
    ("positive", "pos"),
    ("negative", "neg"),
    ("paraphrase", "duplicate", "equivalent"),
)
_READ_AS = {word: words[0] for words in _SYNONYMS for word in words}

# What a finer label is in a suite that does not have it: McCoy et al. 2019 (arXiv:1902.01007) count neutral and
# contradiction as non-entailment.
_JOINED = {"neutral": "not entailment", "contradiction": "not entailment"}

_UNNAMED = re.compile(r"label\d+|\d+")


@dataclass(frozen=True)
class LabelMapping:
    """Label of a suite that each output of a model stands for, or -1 where an output is no label.

    Raises `InputError` if a label has no output.
    """

    labels: tuple[int, ...]
    num_labels: int

    def __post_init__(self) -> None:
        unanswered = set(range(self.num_labels)) - set(self.labels)
        if unanswered or max(self.labels) >= self.num_labels or min(self.labels) < -1:
            raise InputError(
                f"expected the labels of the outputs to be -1 or below {self.num_labels}, and each of them to have an "
                f"output, but they are {list(self.labels)}: evaluate a model that can give every label of the suite."
            )

    def joined(self, logits: Tensor) -> Tensor:
        """Turns logits ``[..., outputs]`` of a model into logits ``[..., num_labels]`` of coarser or reordered labels.

        A label's logit is the largest of its outputs', so that the likeliest label is the one of the likeliest output
        that is a label, which is how McCoy et al. 2019 (arXiv:1902.01007) score three-way models on HANS.

        Raises `InputError` if the model has another number of outputs.

        >>> LabelMapping((0, 1, 1), num_labels=2).joined(torch.tensor([0.1, 2.0, 3.0]))
        tensor([0.1000, 3.0000])
        """
        if len(self.labels) != logits.shape[-1]:
            raise InputError(
                f"expected a label for each of the model's {logits.shape[-1]} outputs, but there are "
                f"{len(self.labels)}: map every output to a label, or to -1 if it is none."
            )
        if self.labels == tuple(range(self.num_labels)):
            return logits
        outputs = [[i for i, own in enumerate(self.labels) if own == label] for label in range(self.num_labels)]
        return torch.stack([logits[..., own].amax(-1) for own in outputs], dim=-1)


def label_mapping(model_names: Sequence[str], label_names: Sequence[str], suite: str) -> LabelMapping:
    """Matches the outputs of a model with the labels of a suite, by their names.

    Names count without case and separators, with common synonyms; two-way entailment takes the neutral and the
    contradiction of three-way models as one. A model that does not name its outputs (``LABEL_0``) is taken to have
    them in the order of the labels if they are as many, which is logged. ``suite`` is named in messages.

    Raises `InputError`, with both lists, where the model cannot give every label.

    >>> label_mapping(("CONTRADICTION", "NEUTRAL", "ENTAILMENT"), ("entailment", "non-entailment"), "hans").labels
    (1, 1, 0)
    """
    own, wanted = _compared(model_names, label_names)
    places = {name: index for index, name in enumerate(wanted)}
    labels = tuple(places.get(name, places.get(_JOINED.get(name, ""), -1)) for name in own)
    if set(labels) >= set(range(len(label_names))):
        others = [name for name, label in zip(model_names, labels, strict=True) if label < 0]
        if others:
            logger.warning("outputs of the model that are no label of %s are left out: %s", suite, ", ".join(others))
        return LabelMapping(labels, len(label_names))
    if _are_unnamed(model_names) and len(model_names) == len(label_names):
        logger.warning(
            "the model does not name its outputs: for %s they are taken to be %s, in this order",
            suite,
            ", ".join(label_names),
        )
        return LabelMapping(tuple(range(len(label_names))), len(label_names))
    hint = ""
    if _are_unnamed(model_names):
        hint = " If these are the same under other names, write them to id2label in the model's config.json."
    raise InputError(
        f"the model's outputs are {_listed(model_names)}, but the labels of {suite} are {_listed(label_names)}: "
        f"evaluate a model that was fine-tuned on such a task.{hint}"
    )


def label_names_for(model_names: Sequence[str], label_names: Sequence[str]) -> tuple[str, ...]:
    """Label names for a user's own rows: the model's, if their file shows some of these or only numbers, or the file's.

    A file may show fewer labels than the model knows, or only their numbers: then the names are the model's, in the
    order of its outputs, and what it says beyond the file's labels counts as wrong rather than not at all. Otherwise
    they are the file's.

    >>> label_names_for(("bad", "fair", "good"), ("good", "bad")), label_names_for(("bad", "good"), ("0", "1"))
    (('bad', 'fair', 'good'), ('bad', 'good'))
    """
    numbers = [whole_number(name) for name in label_names]
    if all(number is not None and number < len(model_names) for number in numbers):
        return tuple(model_names)
    own, wanted = _compared(model_names, label_names)
    if set(wanted) <= set(own):
        in_file = dict(zip(wanted, label_names, strict=True))
        return tuple(in_file.get(plain, name) for plain, name in zip(own, model_names, strict=True))
    return tuple(label_names)


def check_one_output(model_names: Sequence[str], suite: str) -> None:
    """Raises `InputError` unless a model predicts a single number."""
    if len(model_names) != 1:
        raise InputError(
            f"the model's outputs are {_listed(model_names)}, but the labels of {suite} are numbers: evaluate a model "
            "that was fine-tuned to predict one number."
        )


def _compared(model_names: Sequence[str], label_names: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Both as they are compared: without case and separators, unless labels differ in these alone."""
    own, wanted = [[_plain(name) for name in names] for names in (model_names, label_names)]
    if len(set(own)) < len(own) or len(set(wanted)) < len(wanted):
        return model_names, label_names
    return own, wanted


def _plain(name: str) -> str:
    """The label without case and separators, synonyms as one; ``not`` before it stays apart."""
    words = re.sub(r"[\W_]+", " ", name.lower()).split()
    joined = "".join(words)
    for prefix in ("non", "not"):
        rest = joined.removeprefix(prefix)
        if rest != joined and rest in _READ_AS:
            return f"not {_READ_AS[rest]}"
    return _READ_AS.get(joined, joined)


def _are_unnamed(names: Sequence[str]) -> bool:
    return all(_UNNAMED.fullmatch(_plain(name)) for name in names)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
