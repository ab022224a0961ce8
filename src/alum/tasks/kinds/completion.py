"""Completion of prompts, or modelling of whole texts, by a causal language model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from alum.core.divergences import IGNORED_LABEL
from alum.data.padding import PaddedTokens
from alum.models.tokenization import Tokenization
from alum.tasks.base import GatheredOutputs, Supervision, first_output
from alum.tasks.kinds.conversation import is_conversation, parts_of_conversation
from alum.tasks.kinds.language_modeling import CAUSAL_LM
from alum.tasks.layout import Layout
from alum.tasks.prompts import separator
from alum.tasks.rows import TaskRows


class CompletionSupervision(Supervision):
    """Completion of prompts as a task: text columns together are the prompt, the label column is the completion.

    Without text columns there is no prompt, and all of the label column's text is learned. A newline goes between two
    parts where neither brings white space of its own. Where the label column holds messages, the tokenizer's chat
    template writes them, and what the assistant says is learned. A prediction counts, with the true tokens before each
    one, how many of a completion's tokens the model puts first.
    """

    kind = CAUSAL_LM
    auto_class = AutoModelForCausalLM
    user_kinds = MappingProxyType({"causal_lm": 0})
    main_metric = "token_accuracy"
    pipeline_tag = "text-generation"
    needs_text = False
    label_is_text = True
    needs_padding_token = False
    known_layouts = (
        Layout(text=(), label="messages"),
        Layout(text=("prompt",), label="completion"),
        Layout(text=("instruction", "input"), label="output"),
        Layout(text=("instruction",), label="output"),
    )

    def usage(self, model: str, num_texts: int) -> str:
        return f"""
from transformers import pipeline

complete = pipeline("text-generation", {model})
print(complete("The film is", max_new_tokens=20))
"""

    def encode(self, rows: TaskRows, tokenization: Tokenization) -> Dataset:
        """Encodes ``[bos] prompt completion [eos]``, with labels on the completion and the end-of-sequence token alone.

        What is too long loses the start of its prompt, then the end of its completion. Prompt and completion are
        tokenized apart, as the prompt is when a model generates.
        """
        features: dict[str, list[Any]] = {"input_ids": [], "attention_mask": [], "labels": []}
        is_labelled = rows.has_labels
        for index, row in enumerate(_encoded_rows(rows, tokenization.tokenizer)):
            room = tokenization.max_length_tokens - len(row.start)
            learned, labels = row.rest[:room], row.labels[:room]
            given = [*row.start, *row.prompt[max(len(row.prompt) - (room - len(learned)), 0) :]]
            if not given + learned:
                raise rows.error(index, "neither prompt nor completion has a token")
            features["input_ids"].append([*given, *learned])
            features["attention_mask"].append([1] * len(given + learned))
            features["labels"].append([*[IGNORED_LABEL] * len(given), *labels])
        if not is_labelled:
            del features["labels"]
        return Dataset.from_dict(features)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
        return PaddedTokens(tokenizer)

    def gathered(self, logits: Any, labels: Any) -> Any:
        """Right next tokens, ``[batch, length - 1]``: 1 where the likeliest is the label, 0 if not, -100 without label.

        It does not matter which side is padded, and no logits of the size of the vocabulary are kept.
        """
        likeliest = (logits[0] if isinstance(logits, tuple) else logits).argmax(-1)[:, :-1]
        if labels is None:
            return likeliest.new_full(likeliest.shape, IGNORED_LABEL)
        labels = labels[:, 1:]
        return (likeliest == labels).long().masked_fill(labels == IGNORED_LABEL, IGNORED_LABEL)

    def predict(self, outputs: GatheredOutputs, features: Dataset, rows: TaskRows) -> list[Any]:
        """Numbers of right and of all tokens in each row's completion; None for a row without one."""
        right = first_output(outputs)
        counts = zip(np.sum(right == 1, axis=1), np.sum(right != IGNORED_LABEL, axis=1), strict=True)
        return [{"right_tokens": int(some), "completion_tokens": int(all_)} if all_ else None for some, all_ in counts]

    def score(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, float]:
        """Token accuracy, over the tokens of all completions: long ones weigh more than short ones."""
        counted = [prediction for prediction in predictions if prediction is not None]
        right = sum(prediction["right_tokens"] for prediction in counted)
        return {"token_accuracy": right / max(sum(prediction["completion_tokens"] for prediction in counted), 1)}


@dataclass(frozen=True)
class _EncodedRow:
    """Tokens of a row: what is always there, what may lose its start, and what may lose its end, with its labels."""

    start: list[int]
    prompt: list[int]
    rest: list[int]
    labels: list[int]


def _encoded_rows(rows: TaskRows, tokenizer: PreTrainedTokenizerBase) -> Iterator[_EncodedRow]:
    if rows.has_labels and all(map(is_conversation, rows.labels())):
        return _encoded_conversations(rows, tokenizer)
    return _encoded_texts(rows, tokenizer)


def _encoded_texts(rows: TaskRows, tokenizer: PreTrainedTokenizerBase) -> Iterator[_EncodedRow]:
    columns, labelled = rows.texts(), rows.has_labels
    completions = rows.table.texts(rows.layout.label) if labelled else [""] * len(rows)
    prompts = [_prompt(row) for row in zip(*columns, completions, strict=True)]
    start = [i for i in tokenizer("")["input_ids"][:1] if i == tokenizer.bos_token_id]
    end = [tokenizer.eos_token_id] if labelled and tokenizer.eos_token_id is not None else []
    for prompt, completion in zip(_tokens(prompts, tokenizer), _tokens(completions, tokenizer), strict=True):
        learned = [*completion, *end]
        yield _EncodedRow(start, prompt, learned, learned)


def _encoded_conversations(rows: TaskRows, tokenizer: PreTrainedTokenizerBase) -> Iterator[_EncodedRow]:
    rows.table.require(rows.layout.text)
    columns = [rows.table.column(name) for name in rows.layout.text]
    for index, (*given, answered) in enumerate(zip(*columns, rows.labels(), strict=True)):
        if not all(map(is_conversation, given)):
            raise rows.error(index, f"column {rows.layout.label!r} holds messages, but the prompt does not")
        before = [message for messages in given for message in messages]
        parts = parts_of_conversation([*before, *answered], tokenizer, len(before), error=partial(rows.error, index))
        tokens = _tokens([text for text, _ in parts], tokenizer)
        labels = [
            ids if is_learned else [IGNORED_LABEL] * len(ids)
            for ids, (_, is_learned) in zip(tokens, parts, strict=True)
        ]
        yield _EncodedRow([], tokens[0], list(chain(*tokens[1:])), list(chain(*labels[1:])))


def _prompt(parts_and_completion: Sequence[str]) -> str:
    """The parts of the prompt, and what separates them from the completion."""
    prompt = ""
    *parts, completion = parts_and_completion
    for part in parts:
        prompt += separator(prompt, part) + part
    return prompt + separator(prompt, completion)


def _tokens(texts: list[str], tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    tokens: list[list[int]] = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return tokens
