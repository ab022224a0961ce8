"""Extractive question answering in evaluation: answers as spans of a context."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from scipy.special import logsumexp

from alum.attacks.text.output_cache import OutputCache
from alum.attacks.text.protocol import AnswerLost, Goal, VictimOutputs
from alum.attacks.text.worded import Example
from alum.data.table import Table
from alum.evaluation import text_reading
from alum.evaluation.kinds.base import AttackableRow, AttackedKind
from alum.evaluation.label_names import LabelMapping
from alum.models.text_model import TextModel, in_batches
from alum.tasks.kinds.answer_text import answer_scores
from alum.tasks.kinds.question_answering import (
    Answer,
    PaddedWindows,
    QuestionAnsweringSupervision,
    Window,
    answers_in,
    predicted_texts,
    questions_and_contexts,
    shortened_questions,
    token_span,
    windows_of,
)
from alum.tasks.layout import Layout
from alum.tasks.rows import TaskRows

_LAYOUT = Layout(text=("question", "context"), label="answers")
# Of right answers that no window holds whole: finite, so that losses can be compared.
_NO_SPAN_LOG_PROB = -1e4

_Logits = tuple[Window, NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class QuestionVictim:
    """Question-answering model as the victim of attacks, on examples ``(question, context, right answer, …)``.

    The right answers, none of them where no answer is right, are read by the scores and not by the model. Answers are
    made as those of `QuestionAnsweringSupervision`, long contexts in windows; ``may_abstain`` is for data where some
    questions have no answer. As `ClassifierVictim` in everything else; the model's batch size counts windows.
    """

    text_model: TextModel
    may_abstain: bool = False
    cache: OutputCache = field(default_factory=OutputCache)

    def __call__(self, examples: Sequence[Example]) -> VictimOutputs:
        """Loss, exact match and F1 of the model's answers, ``[examples, 3]``.

        The loss is -log p of the likeliest span of a right answer, wherever it stands in the context, with the start
        and the end in all windows together as two distributions. Raises as `ClassifierVictim`.
        """
        for example in examples:
            text_reading.check_unicode(example)
        questions = [repr(example).encode() for example in examples]
        return self.cache.of(questions, lambda indices: self._outputs([examples[index] for index in indices]))

    def characters_read(self, example: Example) -> tuple[int, ...]:
        """Number of characters read of each text: of a question what fits a third of a window, of others all.

        `QuestionAnsweringSupervision` cuts questions there.
        """
        text_reading.check_unicode(example)
        question, *others = example
        stripped = question.strip()
        (kept,) = shortened_questions([stripped], self.text_model.tokenization)
        num_read = len(question) if kept == stripped else question.index(stripped) + len(kept)
        return (num_read, *map(len, others))

    def _outputs(self, examples: Sequence[Example]) -> VictimOutputs:
        columns = {"question": [e[0] for e in examples], "context": [e[1] for e in examples]}
        contexts, golds = columns["context"], [list(example[2:]) for example in examples]
        rows = TaskRows(Table.of(Dataset.from_dict(columns), "the attacked questions"), _LAYOUT)
        features = QuestionAnsweringSupervision().encode(rows, self.text_model.tokenization)
        logits = list(self._logits(features))
        predictions = predicted_texts(logits, contexts, self.may_abstain)
        log_probs = answer_log_probs(logits, contexts, golds)
        scores = [answer_scores(text, gold) for text, gold in zip(predictions, golds, strict=True)]
        return np.column_stack([-log_probs, np.array(scores, dtype=np.float64)])

    def _logits(self, features: Dataset) -> Iterator[_Logits]:
        rows = features.to_list()
        lengths = [len(row["input_ids"]) for row in rows]
        found = in_batches(rows, lengths, self.text_model.largest_batch, self._of_batch)
        for window, (starts, ends) in zip(windows_of(features), found, strict=True):
            yield window, starts, ends

    def _of_batch(self, rows: list[dict[str, Any]]) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        outputs = self.text_model.outputs(PaddedWindows(self.text_model.tokenizer)(rows))
        found = []
        for row, *both in zip(rows, outputs.start_logits, outputs.end_logits, strict=True):
            cut = [logits[: len(row["input_ids"])] for logits in both]
            for logits in cut:
                text_reading.check_finite(logits)
            starts, ends = map(text_reading.as_outputs, cut)
            found.append((starts, ends))
        return found


class EvaluatedQuestionAnswering(AttackedKind):
    """Question answering in evaluation: attacks change the question until the model's answer is not a right one.

    Its context stays, since it holds the answer.
    """

    needs_all_rows = True  # whether there may be no answer is told from all rows

    def noisy_columns(self, layout: Layout) -> tuple[str, ...]:
        return layout.text[:1]

    def victim(self, model: TextModel, rows: TaskRows, mapping: LabelMapping | None = None) -> QuestionVictim:
        return QuestionVictim(model, may_abstain=not all(answers_in(rows)))

    def attackable_rows(self, rows: TaskRows, tolerance: float) -> list[AttackableRow]:
        questions, contexts = questions_and_contexts(rows)
        return [
            AttackableRow((question, context, *(answer.text for answer in right)), AnswerLost(), (0,))
            for question, context, right in zip(questions, contexts, answers_in(rows), strict=True)
        ]

    def attack_scores(self, outputs: Sequence[float] | VictimOutputs, goal: Goal) -> dict[str, float]:
        return {"exact_match": float(outputs[1]), "f1": float(outputs[2])}

    def right_answers(self, rows: TaskRows) -> list[str]:
        return [" | ".join(dict.fromkeys(answer["text"])) or "no answer" for answer in rows.labels()]

    def answer(self, outputs: Sequence[float], label_names: Sequence[str]) -> tuple[str, dict[str, float] | None]:
        return f"an answer of F1 {outputs[2]:.2f}", None


def answer_log_probs(
    logits: Sequence[_Logits], contexts: Sequence[str], golds: Sequence[Sequence[str]]
) -> NDArray[np.float64]:
    """Log probability of the likeliest right answer in each context, over all of its windows with their logits.

    Without right answers it is that of no answer, at its least likely in any window.
    """
    totals = np.full((len(contexts), 2), -np.inf)
    best = np.full(len(contexts), -np.inf)
    nulls = np.full(len(contexts), np.inf)
    spans = [
        [answer for gold in set(golds_of_row) for answer in _places(gold, context)]
        for golds_of_row, context in zip(golds, contexts, strict=True)
    ]
    for window, starts, ends in logits:
        row, null = window.row, window.null_position
        totals[row] = np.logaddexp(totals[row], [logsumexp(starts), logsumexp(ends)])
        nulls[row] = min(nulls[row], starts[null] + ends[null])
        for answer in spans[row]:
            first, last = token_span([answer], window)
            if (first, last) != (null, null):
                best[row] = max(best[row], starts[first] + ends[last])
    scores = np.where([bool(gold) for gold in golds], best, nulls)
    return np.asarray(np.maximum(scores - totals.sum(-1), _NO_SPAN_LOG_PROB), dtype=np.float64)


def _places(text: str, context: str) -> Iterator[Answer]:
    start = context.find(text)
    while start >= 0:
        yield Answer(text, start, start + len(text))
        start = context.find(text, start + 1)
