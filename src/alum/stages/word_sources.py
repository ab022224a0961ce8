"""Sources of the words that texts are changed by: WordNet, a list of misspellings, a masked language model."""

import logging
import time
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Protocol

import torch
from transformers import AutoModelForMaskedLM, PreTrainedModel

from alum.attacks.text.base import NAMED_BY, Need, Resources
from alum.attacks.text.candidates.masked_lm import ProposedWords, WordQuestion
from alum.attacks.text.candidates.misspellings import Misspellings
from alum.attacks.text.candidates.wordnet import WordNet
from alum.attacks.text.random_changes import CHANGES, check_sources
from alum.core.errors import InputError
from alum.data.padding import PaddedTokens
from alum.models.checkpoint import Checkpoint
from alum.models.text_model import TextModel
from alum.models.tokenization import Tokenization
from alum.models.trial import tried

logger = logging.getLogger(__name__)

TEXT_LENGTH_TOKENS = 512
"""Longest input of models that read texts of no suite, which would say how long its texts are."""

_ANY_TEXT = "a"


class SourceArguments(Protocol):
    """Settings that name sources of words, as `alum.stages.evaluation.arguments.TextAttackArguments` has them."""

    masked_lm: str | None
    wordnet_dir: str | None
    misspellings: str | None

    def checkpoint(self, name_or_path: str) -> Checkpoint: ...


def check_word_sources(arguments: SourceArguments, changes: Sequence[str]) -> None:
    """Raises `InputError` for a source that kinds of random changes need and none is named, and the other way round."""
    check_sources(changes, {need for need, given in _named(arguments).items() if given is not None})
    needs = {CHANGES[name].need for name in changes}
    for need, given in _named(arguments).items():
        if given is not None and need not in needs:
            (kind,) = (name for name, one in CHANGES.items() if one.need == need)
            raise InputError(
                f"{NAMED_BY[need]} {given} has no effect: it is for the changes {kind}, and these are "
                f"{', '.join(changes)}."
            )


def _named(arguments: SourceArguments) -> dict[Need, str | None]:
    return {
        "masked_lm": arguments.masked_lm,
        "wordnet": arguments.wordnet_dir,
        "misspellings": arguments.misspellings,
    }


def word_sources(arguments: SourceArguments, changes: Sequence[str], texts: Iterable[str]) -> Resources:
    """Loads what kinds of random changes need, and has a masked language model propose words for all the texts.

    Raises `InputError` for a source that cannot be loaded, and as `check_word_sources`.
    """
    check_word_sources(arguments, changes)
    masked_lm, wordnet_dir, misspellings = arguments.masked_lm, arguments.wordnet_dir, arguments.misspellings
    return Resources(
        masked_lm=None
        if masked_lm is None
        else _ProposedOnce(masked_language_model(arguments.checkpoint(masked_lm)), texts),
        wordnet=None if wordnet_dir is None else cache(WordNet(Path(wordnet_dir))),
        misspellings=None if misspellings is None else Misspellings(Path(misspellings)),
    )


class _ProposedOnce:
    """Words proposed for all texts together, when the first of them is changed: a finished run needs none.

    Model and texts are kept until then, so that a step that is tried again, as after one without memory, has them.
    """

    def __init__(self, model: TextModel, texts: Iterable[str]) -> None:
        self._model: TextModel | None = model
        self._texts = tuple(dict.fromkeys(texts))

    def __call__(self, questions: Sequence[WordQuestion]) -> list[tuple[str, ...]]:
        return self._proposed(questions)

    @cached_property
    def _proposed(self) -> ProposedWords:
        assert self._model is not None
        start, name = time.perf_counter(), self._model.tokenizer.name_or_path
        proposed = ProposedWords.of(self._model, self._texts)
        self._model, self._texts = None, ()
        logger.info(
            "%s proposed words for %d texts in %.1f s", name, len(proposed.proposals), time.perf_counter() - start
        )
        return proposed


def masked_language_model(checkpoint: Checkpoint) -> TextModel:
    """Loads a masked language model, on a GPU if there is one; raises `InputError` for a model that is none."""
    model, new_weights = checkpoint.model_and_new_weights(AutoModelForMaskedLM)
    if new_weights:
        raise InputError(
            f"{checkpoint.name_or_path} is no masked language model: it lacks {', '.join(sorted(new_weights))}. Name "
            "one that predicts masked words, as alum pretrain makes them."
        )
    return reading_texts(checkpoint, model)


def reading_texts(checkpoint: Checkpoint, model: PreTrainedModel) -> TextModel:
    """Puts a model on a GPU, if there is one, and tries it on a text."""
    model.to("cuda" if torch.cuda.is_available() else "cpu")  # type: ignore[arg-type]
    length = checkpoint.input_length_tokens(None, TEXT_LENGTH_TOKENS)
    text_model = TextModel(model, Tokenization(checkpoint.tokenizer, length))
    inputs = PaddedTokens(checkpoint.tokenizer)([dict(text_model.tokenization(_ANY_TEXT))])
    tried(checkpoint.name_or_path, lambda: text_model.outputs(inputs))
    return text_model
