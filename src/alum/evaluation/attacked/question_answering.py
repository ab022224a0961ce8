"""An extractive question answering model as the victim of attacks on texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from scipy.special import logsumexp
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from alum.attacks.text.output_cache import OutputCache
from alum.attacks.text.protocol import VictimOutputs
from alum.attacks.text.worded import Example
from alum.data.table import Table
from alum.evaluation.attacked import batching
from alum.tasks.base import Layout
from alum.tasks.kinds.answer_text import answer_scores
from alum.tasks.kinds.question_answering import (
    QUESTION_ANSWERING,
    Answer,
    PaddedWindows,
    Window,
    predicted_texts,
    shortened_questions,
    token_span,
    windows_of,
)

_LAYOUT = Layout(text=("question", "context"), label="answers")
# Of right answers that no window holds whole: finite, so that losses can be compared.
_NO_SPAN_LOG_PROB = -1e4

_Logits = tuple[Window, NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class QuestionVictim:
    """What a model answers to examples ``(question, context, right answer, right answer, …)``.

    The right answers, none of them where no answer is right, are read by the scores and not by the model. Answers are
    made as those of `QuestionAnsweringSupervision`, long contexts in windows; ``may_abstain`` is for data where some
    questions have no answer. As `ClassifierVictim` in everything else; ``batch_size`` counts windows.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    max_length_tokens: int
    batch_size: int = 64
    may_abstain: bool = False
    cache: OutputCache = field(default_factory=OutputCache)

    def __call__(self, examples: Sequence[Example]) -> VictimOutputs:
        """Outputs ``[examples, 3]``: loss, exact match and F1.

        The loss is -log p of the likeliest span of a right answer, wherever it stands in the context, with the start
        and the end in all windows together as two distributions. Raises as `ClassifierVictim`.
        """
        for example in examples:
            batching.check_unicode(example)
        questions = [repr(example).encode() for example in examples]
        return self.cache.of(questions, lambda indices: self._outputs([examples[index] for index in indices]))

    def characters_read(self, example: Example) -> tuple[int, ...]:
        """The question is cut at a third of a window, as `QuestionAnsweringSupervision` does it; nothing else is."""
        batching.check_unicode(example)
        question, *others = example
        stripped = question.strip()
        (kept,) = shortened_questions([stripped], self.tokenizer, self.max_length_tokens)
        num_read = len(question) if kept == stripped else question.index(stripped) + len(kept)
        return (num_read, *map(len, others))

    def _outputs(self, examples: Sequence[Example]) -> VictimOutputs:
        columns = {"question": [e[0] for e in examples], "context": [e[1] for e in examples]}
        contexts, golds = columns["context"], [list(example[2:]) for example in examples]
        table = Table.of(Dataset.from_dict(columns), "the attacked questions")
        supervision = QUESTION_ANSWERING.supervision
        assert supervision is not None
        features = supervision.encode(table, _LAYOUT, self.tokenizer, self.max_length_tokens)
        logits = list(self._logits(features))
        predictions = predicted_texts(logits, contexts, self.may_abstain)
        log_probs = answer_log_probs(logits, contexts, golds)
        scores = [answer_scores(text, gold) for text, gold in zip(predictions, golds, strict=True)]
        return np.column_stack([-log_probs, np.array(scores, dtype=np.float64)])

    def _logits(self, features: Dataset) -> Iterator[_Logits]:
        rows = features.to_list()
        lengths = [len(row["input_ids"]) for row in rows]
        size = batching.largest_batch(self.model, self.batch_size)
        found = batching.in_batches(rows, lengths, size, self._of_batch)
        for window, (starts, ends) in zip(windows_of(features), found, strict=True):
            yield window, starts, ends

    def _of_batch(self, rows: list[dict[str, Any]]) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        self.model.eval()
        batch = {name: values.to(self.model.device) for name, values in PaddedWindows(self.tokenizer)(rows).items()}
        with torch.inference_mode():
            outputs = self.model(**batch)
        found = []
        for row, *both in zip(rows, outputs.start_logits, outputs.end_logits, strict=True):
            cut = [logits[: len(row["input_ids"])] for logits in both]
            for logits in cut:
                batching.check_finite(logits)
            starts, ends = map(batching.as_outputs, cut)
            found.append((starts, ends))
        return found


def answer_log_probs(
    logits: Sequence[_Logits], contexts: Sequence[str], golds: Sequence[Sequence[str]]
) -> NDArray[np.float64]:
    """For each context the log probability of the likeliest span of a right answer, of all windows with their logits.

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
