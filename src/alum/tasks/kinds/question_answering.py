"""Extractive question answering, with or without unanswerable questions, as in SQuAD 1.1 and 2.0."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets
from torch import Tensor
from transformers import AutoModelForQuestionAnswering, PreTrainedTokenizerBase

from alum.core.divergences import symmetric_kl
from alum.core.errors import InputError
from alum.core.outputs.likelihoods import CATEGORICAL
from alum.core.outputs.log_odds import log_odds_against, log_odds_against_all
from alum.models.inputs import Inputs
from alum.models.tokenization import Tokenization
from alum.tasks.base import GatheredOutputs, Supervision, TaskKind
from alum.tasks.kinds.answer_text import answer_scores
from alum.tasks.layout import Layout
from alum.tasks.rows import TaskRows

LONGEST_STRIDE_TOKENS = 128
LONGEST_ANSWER_TOKENS = 30
SHORTEST_WINDOW_TOKENS = 32
_ROWS_AT_ONCE = 1000
_MASKED_LOGIT = -1e4  # finite, also in half precision: its probability is 0 and its gradient not NaN

# What predictions need of a window and no model takes: its row, the position of "no answer", and for each token the
# characters of the context that it covers (-1 outside the context).
ROW, NULL_POSITION, CHARACTER_STARTS, CHARACTER_ENDS = "row", "null_position", "character_starts", "character_ends"
_OWN_COLUMNS = (ROW, NULL_POSITION, CHARACTER_STARTS, CHARACTER_ENDS)


@dataclass(frozen=True)
class Answer:
    """Answer to a question: its text, which is the characters ``start`` to ``end`` (exclusive) of the context."""

    text: str
    start: int
    end: int


def _compared(outputs: Any, inputs: Inputs) -> Tensor:
    """Start and end logits over the tokens that are not padding, ``[batch, 2, length]``."""
    return _span_logits(outputs, inputs, _MASKED_LOGIT)


def _span_logits(outputs: Any, inputs: Inputs, masked_logit: float) -> Tensor:
    if not isinstance(outputs, dict) or "start_logits" not in outputs or "end_logits" not in outputs:
        raise InputError(
            f"expected a model that returns start_logits and end_logits in a transformers ModelOutput, but it "
            f"returned {type(outputs).__name__}. Use a model for question answering, and leave return_dict on."
        )
    logits = torch.stack((outputs["start_logits"], outputs["end_logits"]), dim=1)
    mask: Tensor | None = inputs.get("attention_mask")
    return logits if mask is None else logits.masked_fill(~mask.bool().unsqueeze(1), masked_logit)


def _example_losses(outputs: Any, inputs: Inputs) -> Tensor:
    """Log odds against start and end being right together.

    Not the mean of the two log odds: they would order perturbations otherwise than the models' loss does, the mean of
    the two cross-entropies, and would go on raising the one of them that is wrong already.
    Differs from the models' own loss, where padding takes part: an example's loss does not depend on its batch.
    """
    logits = _span_logits(outputs, inputs, -torch.inf)  # padding is below every logit, however large these are
    positions = torch.stack((inputs["start_positions"], inputs["end_positions"]), dim=1)
    return log_odds_against_all(log_odds_against(logits, positions).unbind(-1))


def _distance(outputs_p: Tensor, outputs_q: Tensor) -> Tensor:
    """The mean of the start's and the end's divergence, ``[batch]``, as the task loss is the mean of the two."""
    return symmetric_kl(outputs_p, outputs_q).mean(-1)


QUESTION_ANSWERING = TaskKind(
    name="question_answering",
    compared=_compared,
    distance=_distance,
    likelihood=CATEGORICAL,
    example_losses=_example_losses,
)


class QuestionAnsweringSupervision(Supervision):
    """Extractive question answering as a task: text columns are question and context, labels are spans of the context.

    The label column holds ``{"text": [...], "answer_start": [...]}``. Empty lists mean that the context does not answer
    the question. A context that is too long for the model is read in overlapping windows, each of them one feature.
    """

    kind = QUESTION_ANSWERING
    auto_class = AutoModelForQuestionAnswering
    user_kinds = MappingProxyType({"question_answering": 2})
    main_metric = "f1"
    pipeline_tag = "question-answering"
    known_layouts = (Layout(text=("question", "context"), label="answers"),)

    def usage(self, model: str, num_texts: int) -> str:
        return f"""
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({model})
model = AutoModelForQuestionAnswering.from_pretrained({model})
question, context = "Who wrote it?", "Mary Shelley wrote it in 1818."
inputs = tokenizer(question, context, return_tensors="pt")
with torch.no_grad():
    outputs = model(**inputs)
in_context = torch.tensor([part == 1 for part in inputs.sequence_ids(0)])
start = outputs.start_logits[0].masked_fill(~in_context, -float("inf")).argmax()
end = start + outputs.end_logits[0, start:].masked_fill(~in_context[start:], -float("inf")).argmax()
print(tokenizer.decode(inputs["input_ids"][0, start : end + 1]))
"""

    def head(self, label_names: tuple[str, ...]) -> dict[str, Any]:
        return {"num_labels": 2}  # start and end; a checkpoint may come with the labels of another task

    def encode(self, rows: TaskRows, tokenization: Tokenization) -> Dataset:
        questions, contexts = questions_and_contexts(rows)
        _check_window(tokenization)
        answers = answers_in(rows) if rows.has_labels else None
        parts = []
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            some = range(first, min(first + _ROWS_AT_ONCE, len(rows)))
            windows = _windows(questions, contexts, some, tokenization)
            if answers is not None:
                positions = [token_span(answers[window.row], window) for window in _windows_in(windows)]
                windows["start_positions"] = [start for start, _ in positions]
                windows["end_positions"] = [end for _, end in positions]
            parts.append(Dataset.from_dict(windows))
        return concatenate_datasets(parts)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
        return PaddedWindows(tokenizer)

    def gathered(self, logits: Any, labels: Any) -> Any:
        return tuple(logits[:2])

    def predict(self, outputs: GatheredOutputs, features: Dataset, rows: TaskRows) -> list[Any]:
        """Text of each best span; "" where "no answer" scores higher, unless the rows have an answer each."""
        _, contexts = questions_and_contexts(rows)
        may_abstain = not (rows.has_labels and all(answers_in(rows)))
        return predicted_texts(zip(windows_of(features), outputs[0], outputs[1], strict=True), contexts, may_abstain)

    def score(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, float]:
        """Exact match and F1, means over the rows, as in SQuAD's evaluation script (version 2.0)."""
        scores = self.row_scores(predictions, rows)
        return {name: float(np.mean(values)) for name, values in scores.items()}

    def row_scores(self, predictions: Sequence[Any], rows: TaskRows) -> dict[str, list[float]]:
        """Exact match and F1 of each row, the best over its right answers."""
        exact, f1 = [], []
        for predicted, answers in zip(predictions, answers_in(rows), strict=True):
            exact_match, overlap = answer_scores(predicted, [answer.text for answer in answers])
            exact.append(exact_match)
            f1.append(overlap)
        return {"exact_match": exact, "f1": f1}


@dataclass(frozen=True)
class PaddedWindows:
    """Pads windows of contexts to a model's inputs, ``[batch, length]``, without the columns that no model takes.

    Padding is always at the end, whatever the tokenizer does: start and end are positions from the beginning.
    """

    tokenizer: PreTrainedTokenizerBase

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        names = [name for name in features[0] if name not in _OWN_COLUMNS]
        tokens = [name for name in names if name in self.tokenizer.model_input_names]
        padded = self.tokenizer.pad(
            {name: [feature[name] for feature in features] for name in tokens},
            padding_side="right",
            return_tensors="pt",
            verbose=False,
        )
        positions = {name: torch.tensor([f[name] for f in features]) for name in names if name not in tokens}
        return {**padded, **positions}


def predicted_texts(
    windows: Iterable[tuple["Window", np.ndarray, np.ndarray]], contexts: Sequence[str], may_abstain: bool
) -> list[str]:
    """Text of the best span in each context, over all windows with their start and end logits, ``[tokens]`` each.

    With ``may_abstain`` it is "" where no answer, at its least likely in any window, scores higher than the span.
    """
    best = [(-np.inf, "")] * len(contexts)
    null_scores = np.full(len(contexts), np.inf)
    for window, start_logits, end_logits in windows:
        row, null = window.row, window.null_position
        null_scores[row] = min(null_scores[row], start_logits[null] + end_logits[null])
        inside = np.flatnonzero(window.starts >= 0)
        score, first, last = best_span(start_logits[inside], end_logits[inside])
        if score > best[row][0]:
            start, end = window.starts[inside[first]], window.ends[inside[last]]
            best[row] = (score, contexts[row][start:end].strip())
    return ["" if may_abstain and null > score else text for null, (score, text) in zip(null_scores, best, strict=True)]


def best_span(start_logits: np.ndarray, end_logits: np.ndarray) -> tuple[float, int, int]:
    """Score, first and last token of the best span of at most 30 tokens; a score of -inf if there is none.

    Differs from the scripts of BERT and transformers, which look at the 20 best starts and ends only: all pairs.

    >>> best_span(np.array([0.0, 2.0, 0.0]), np.array([3.0, 0.0, 1.0]))
    (3.0, 0, 0)
    """
    best = (-np.inf, 0, 0)
    for further in range(min(LONGEST_ANSWER_TOKENS, len(start_logits))):
        scores = start_logits[: len(start_logits) - further] + end_logits[further:]
        first = int(scores.argmax())
        if scores[first] > best[0]:
            best = (float(scores[first]), first, first + further)
    return best


def questions_and_contexts(rows: TaskRows) -> tuple[list[str], list[str]]:
    """Questions, stripped, and contexts of rows; raises `InputError` unless these are the two text columns."""
    if len(rows.layout.text) != 2:
        raise InputError(
            f"question answering takes two text columns, question and context, not {len(rows.layout.text)}: "
            f"{', '.join(rows.layout.text)}."
        )
    questions, contexts = rows.texts()
    return [question.strip() for question in questions], contexts


def answers_in(rows: TaskRows) -> list[list[Answer]]:
    """Right answers of each row, none where it is unanswerable.

    Raises `InputError`, with the row, where they are not ``{"text": [...], "answer_start": [...]}`` or not at their
    places in the context.
    """
    column = rows.layout.label
    contexts = rows.table.texts(rows.layout.text[1])
    found = []
    for index, (value, context) in enumerate(zip(rows.labels(), contexts, strict=True)):
        texts, starts = (value.get(name) if isinstance(value, dict) else None for name in ("text", "answer_start"))
        if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
            raise rows.error(
                index,
                f'column {column!r} must be {{"text": [...], "answer_start": [...]}} with lists of the same '
                f"length, not {value!r}",
            )
        for text, start in zip(texts, starts, strict=True):
            if not isinstance(text, str) or not text.strip() or not isinstance(start, int):
                raise rows.error(
                    index,
                    f"an answer in column {column!r} must be a text and the number of its first character, not "
                    f"{text!r} and {start!r}; where the context has no answer both lists are empty",
                )
            there = context[start : start + len(text)] if start >= 0 else ""
            if there != text:
                raise rows.error(
                    index, f"answer {text!r} should begin at character {start} of the context, but there is {there!r}"
                )
        found.append([Answer(text, start, start + len(text)) for text, start in zip(texts, starts, strict=True)])
    return found


def _check_window(tokenization: Tokenization) -> None:
    tokenizer, max_length_tokens = tokenization.tokenizer, tokenization.max_length_tokens
    if not tokenizer.is_fast:
        raise InputError(
            f"question answering needs a fast tokenizer, which says where its tokens are in the text, but "
            f"{type(tokenizer).__name__} is a slow one."
        )
    if max_length_tokens < SHORTEST_WINDOW_TOKENS:
        raise InputError(
            f"question answering needs inputs of at least {SHORTEST_WINDOW_TOKENS} tokens for the question and a "
            f"part of the context, not {max_length_tokens}: choose a larger max_seq_length."
        )


def _windows(
    questions: list[str], contexts: list[str], rows: Sequence[int], tokenization: Tokenization
) -> dict[str, list[Any]]:
    """The features of ``rows`` without their labels. Question and overlap each have at most a third of a window."""
    tokenizer = tokenization.tokenizer
    encoded = tokenizer(
        shortened_questions([questions[row] for row in rows], tokenization),
        [contexts[row] for row in rows],
        truncation="only_second",
        max_length=tokenization.max_length_tokens,
        stride=min(LONGEST_STRIDE_TOKENS, tokenization.max_length_tokens // 3),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    windows = {name: encoded[name] for name in tokenizer.model_input_names if name in encoded}
    windows[ROW] = [rows[row] for row in encoded["overflow_to_sample_mapping"]]
    windows[NULL_POSITION] = [_null_position(ids, tokenizer) for ids in encoded["input_ids"]]
    windows[CHARACTER_STARTS], windows[CHARACTER_ENDS] = [], []
    for index, offsets in enumerate(encoded["offset_mapping"]):
        of_context = [sequence == 1 for sequence in encoded.sequence_ids(index)]
        for name, side in ((CHARACTER_STARTS, 0), (CHARACTER_ENDS, 1)):
            windows[name].append(
                [pair[side] if inside else -1 for pair, inside in zip(offsets, of_context, strict=True)]
            )
    return windows


def shortened_questions(questions: Sequence[str], tokenization: Tokenization) -> list[str]:
    """Cuts questions to what is read of them, a third of a window, so that there is always room for the context."""
    most_tokens = tokenization.max_length_tokens // 3
    encoded = tokenization.tokenizer(
        list(questions), add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    offsets = encoded["offset_mapping"]
    return [
        question if len(tokens) <= most_tokens else question[: tokens[most_tokens - 1][1]]
        for question, tokens in zip(questions, offsets, strict=True)
    ]


def _null_position(ids: list[int], tokenizer: PreTrainedTokenizerBase) -> int:
    """Where "no answer" is: at [CLS], else at the first token."""
    return ids.index(tokenizer.cls_token_id) if tokenizer.cls_token_id in ids else 0


class Window(NamedTuple):
    """Window of a row's context: the position of "no answer", and the characters that each token covers, ``[tokens]``.

    ``starts`` and ``ends`` are -1 at tokens outside the context.
    """

    row: int
    null_position: int
    starts: np.ndarray
    ends: np.ndarray


def windows_of(features: Dataset) -> Iterator[Window]:
    """Reads the windows of contexts off features, where `QuestionAnsweringSupervision.encode` keeps them."""
    parts = features.select_columns(list(_OWN_COLUMNS)).iter(_ROWS_AT_ONCE)
    return itertools.chain.from_iterable(map(_windows_in, parts))


def _windows_in(features: dict[str, list[Any]]) -> Iterator[Window]:
    for row, null_position, starts, ends in zip(*(features[name] for name in _OWN_COLUMNS), strict=True):
        yield Window(row, null_position, np.array(starts), np.array(ends))


def token_span(answers: list[Answer], window: Window) -> tuple[int, int]:
    """First and last token of the first answer in a window, or its position of "no answer" twice if it is not there."""
    nowhere = window.null_position, window.null_position
    inside = window.starts >= 0
    if not answers or not inside.any():
        return nowhere
    answer = answers[0]
    start = answer.end - len(answer.text.lstrip())  # no token covers the spaces around it
    end = answer.start + len(answer.text.rstrip())
    tokens = np.flatnonzero(inside & (window.ends > start) & (window.starts < end))
    if window.starts[inside].min() > start or window.ends[inside].max() < end or not len(tokens):
        return nowhere
    return int(tokens[0]), int(tokens[-1])
