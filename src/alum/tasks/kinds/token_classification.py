"""Token classification: a label for each word, as in named-entity recognition and part-of-speech tagging."""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from datasets import Dataset
from sklearn.metrics import precision_recall_fscore_support
from torch import Tensor
from transformers import AutoModelForTokenClassification, PreTrainedTokenizerBase

from alum.core.divergences import IGNORED_LABEL, labelled, symmetric_kl
from alum.core.errors import InputError
from alum.core.outputs.likelihoods import TOKENS
from alum.data.padding import PaddedTokens
from alum.models.inputs import Inputs
from alum.models.tokenization import Tokenization
from alum.tasks.base import GatheredOutputs, Supervision, TaskKind, first_output, logits_of
from alum.tasks.entities import entity_scores, is_outside, mark_entities
from alum.tasks.labels import classes, label_ids_of_lists, names_of
from alum.tasks.rows import TaskRows

WORD_STARTS = "word_starts"


def _compared(outputs: Any, inputs: Inputs) -> Tensor:
    return logits_of(outputs)[labelled(inputs["labels"])]


TOKEN_CLASSIFICATION = TaskKind(
    name="token_classification",
    compared=_compared,
    distance=symmetric_kl,
    likelihood=TOKENS,
    compares_labelled_only=True,
)


class TokenClassificationSupervision(Supervision):
    """Token classification as a task: a row is a list of words with a list of their labels.

    A word's first sub-word carries its label and predicts it. Names that mark entities (``O``, ``B-person``,
    ``I-person``, or by another scheme of `alum.tasks.entities`) are scored by these, others by words.
    """

    kind = TOKEN_CLASSIFICATION
    auto_class = AutoModelForTokenClassification
    user_kinds = MappingProxyType({"token_classification": 1})
    main_metric = "f1"
    pipeline_tag = "token-classification"
    needs_padding_token = False

    def usage(self, model: str, num_texts: int) -> str:
        return f"""
from transformers import pipeline

tag = pipeline("token-classification", {model}, aggregation_strategy="first")
print(tag("Ada Lovelace lived in London."))
"""

    def label_names(self, rows: TaskRows) -> tuple[str, ...]:
        column = rows.layout.label
        rows.table.require([column])
        feature = rows.table.rows.features[column]
        values = [value for row in _lists(rows, column) for value in row]
        return names_of(getattr(feature, "feature", feature), values)

    def head(self, label_names: tuple[str, ...]) -> dict[str, Any]:
        if len(label_names) < 2:
            raise InputError(f"token classification needs at least two labels, but the data has {list(label_names)}.")
        return classes(label_names)

    def encode(self, rows: TaskRows, tokenization: Tokenization) -> Dataset:
        """Encodes words as model inputs, with a column of where each starts, -1 for words beyond the longest input."""
        tokenizer = tokenization.tokenizer
        if not tokenizer.is_fast:
            raise InputError(
                f"{type(tokenizer).__name__} does not say which word a token is from: token classification needs a "
                "fast tokenizer, one with a tokenizer.json."
            )
        words = _words(rows)
        encoded = tokenizer(
            _as_in_text(words, tokenizer),
            is_split_into_words=True,
            truncation=True,
            max_length=tokenization.max_length_tokens,
        )
        for index, ids in enumerate(encoded["input_ids"]):
            if not ids:
                raise rows.error(index, f"column {rows.layout.text[0]!r} holds nothing that becomes a token")
        starts = [_word_starts(encoded.word_ids(i), len(row)) for i, row in enumerate(words)]
        features = {**encoded, WORD_STARTS: starts}
        if rows.has_labels:
            features["labels"] = [
                _at_starts(tags, row_starts, len(ids))
                for tags, row_starts, ids in zip(_tags(rows), starts, encoded["input_ids"], strict=True)
            ]
        return Dataset.from_dict(features)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
        # On the right, so that a token's place in its row is also its place in the outputs.
        return PaddedTokens(tokenizer, side="right")

    def predict(self, outputs: GatheredOutputs, features: Dataset, rows: TaskRows) -> list[Any]:
        """Label names of each row's words; words beyond the longest input are outside, or of the first label."""
        names = rows.label_names
        cut_off = next(filter(is_outside, names), names[0])
        return [
            [names[row[start]] if start >= 0 else cut_off for start in starts]
            for row, starts in zip(first_output(outputs).argmax(-1), features[WORD_STARTS], strict=True)
        ]

    def score(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, float]:
        """Precision, recall and F1 of entities where labels mark them, else means over labels, and words' accuracy."""
        gold = tag_names(rows)
        flat_gold, flat_found = (np.array([tag for row in tags for tag in row]) for tags in (gold, predictions))
        accuracy = float(np.mean(flat_gold == flat_found)) if len(flat_gold) else 0.0
        if mark_entities(rows.label_names):
            return {**entity_scores(gold, predictions), "accuracy": accuracy}
        means = precision_recall_fscore_support(flat_gold, flat_found, average="macro", zero_division=0.0)
        return {**{name: float(mean) for name, mean in zip(_SCORES, means, strict=False)}, "accuracy": accuracy}


def tag_names(rows: TaskRows) -> list[list[str]]:
    """Right tags of each row's words, by name."""
    return [[rows.label_names[tag] for tag in tags] for tags in _tags(rows)]


_SCORES = ("precision", "recall", "f1")


def _lists(rows: TaskRows, column: str) -> list[list[Any]]:
    lists = rows.table.column(column)
    for index, row in enumerate(lists):
        if not isinstance(row, list):
            raise rows.error(index, f"column {column!r} must be a list with an entry for each word, not {row!r}")
    return lists


def _words(rows: TaskRows) -> list[list[str]]:
    columns = rows.layout.text
    if len(columns) != 1:
        raise InputError(f"expected one column of words, not {len(columns)}: {', '.join(columns)}.")
    rows.table.require(columns)
    words = _lists(rows, columns[0])
    for index, row in enumerate(words):
        for word in row:
            if not isinstance(word, str):
                raise rows.error(index, f"column {columns[0]!r} must be a list of words, but {word!r} is no text")
    return words


def _tags(rows: TaskRows) -> list[list[int]]:
    layout, lists = rows.layout, _lists(rows, rows.layout.label)
    for index, (words, tags) in enumerate(zip(_words(rows), lists, strict=True)):
        if len(words) != len(tags):
            raise rows.error(
                index,
                f"{len(words)} words in column {layout.text[0]!r}, but {len(tags)} labels in column {layout.label!r}: "
                "there must be one for each word",
            )
    return label_ids_of_lists(rows, lists)


def _as_in_text(words: list[list[str]], tokenizer: PreTrainedTokenizerBase) -> list[list[str]]:
    """With a space before each word but the first, for tokenizers to which it belongs to the word (RoBERTa, GPT-2).

    Differs from ``add_prefix_space=True``, which these otherwise need, in the first word alone; the tokenizer that is
    saved with the model stays as it is.
    """
    if "ByteLevel(" not in str(tokenizer.backend_tokenizer.pre_tokenizer):
        return words
    return [[f" {word}" if index and word else word for index, word in enumerate(row)] for row in words]


def _word_starts(word_ids: list[int | None], num_words: int) -> list[int]:
    starts = [-1] * num_words
    for position, word in reversed(list(enumerate(word_ids))):
        if word is not None:
            starts[word] = position
    return starts


def _at_starts(tags: list[int], starts: list[int], length: int) -> list[int]:
    labels = [IGNORED_LABEL] * length
    for tag, start in zip(tags, starts, strict=True):
        if start >= 0:
            labels[start] = tag
    return labels
