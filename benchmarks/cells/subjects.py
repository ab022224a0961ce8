"""Tiny models with a head for each kind of task, without dropout, and four labelled rows for each."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from transformers import (
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    GPT2LMHeadModel,
    PreTrainedModel,
)

from benchmarks.tiny_configs import tiny_bert, tiny_gpt2

Row = dict[str, Tensor]

LENGTHS_TOKENS = (10, 7, 9, 10)
"""Of the rows without padding; all are padded to the longest."""
_PAD, _FIRST, _LAST, _MASK, _VOCAB_SIZE = 0, 1, 2, 3, 40
_NUM_CLASSES, _NUM_CHOICES, _IGNORED = 3, 2, -100
_SEED = 5


def model_for(kind: str) -> PreTrainedModel:
    """Always the same random weights, with the same most likely outputs in bf16 as in fp32.

    Else a direction at the model's own label would be another one there: a near tie, not an error of the method.
    """
    with torch.random.fork_rng():
        torch.manual_seed(_SEED)
        model = _MODELS[kind]()
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                torch.nn.init.normal_(parameter, std=0.3)
    model.train()
    return model


def rows_for(kind: str) -> list[Row]:
    return [_ROWS[kind](index, *_tokens(index)) for index in range(len(LENGTHS_TOKENS))]


# -- models ------------------------------------------------------------------------------------------------------------


_bert = partial(tiny_bert, _VOCAB_SIZE, 1)
_gpt2 = partial(tiny_gpt2, _VOCAB_SIZE, 1, pad_token_id=_PAD, bos_token_id=_FIRST, eos_token_id=_LAST)

_MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "sequence_classification": lambda: BertForSequenceClassification(_bert(num_labels=_NUM_CLASSES)),
    "regression": lambda: BertForSequenceClassification(_bert(num_labels=1, problem_type="regression")),
    "multi_label_classification": lambda: BertForSequenceClassification(
        _bert(num_labels=_NUM_CLASSES, problem_type="multi_label_classification")
    ),
    "multiple_choice": lambda: BertForMultipleChoice(_bert()),
    "question_answering": lambda: BertForQuestionAnswering(_bert(num_labels=2)),
    "token_classification": lambda: BertForTokenClassification(_bert(num_labels=_NUM_CLASSES)),
    "masked_lm": lambda: BertForMaskedLM(_bert()),
    "causal_lm": lambda: GPT2LMHeadModel(_gpt2()),
}


# -- rows --------------------------------------------------------------------------------------------------------------


def _tokens(index: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random words between two special tokens, and where they are."""
    length, longest = LENGTHS_TOKENS[index], max(LENGTHS_TOKENS)
    generator = torch.Generator().manual_seed(1000 * seed + index)
    words = torch.randint(_MASK + 1, _VOCAB_SIZE, (length - 2,), generator=generator)
    ids = torch.cat((torch.tensor([_FIRST]), words, torch.tensor([_LAST]), torch.full((longest - length,), _PAD)))
    return ids, (torch.arange(longest) < length).long()


def _row(ids: Tensor, attention_mask: Tensor, **labels: Tensor) -> Row:
    return {"input_ids": ids, "attention_mask": attention_mask, **labels}


def _classified(index: int, ids: Tensor, mask: Tensor) -> Row:
    """The third row has no label, and trains by the divergence alone."""
    return _row(ids, mask, labels=torch.tensor((0, 2, _IGNORED, 1)[index]))


def _rated(index: int, ids: Tensor, mask: Tensor) -> Row:
    return _row(ids, mask, labels=torch.tensor((0.5, -1.0, 2.0, 0.0)[index]))


def _with_several_labels(index: int, ids: Tensor, mask: Tensor) -> Row:
    return _row(
        ids, mask, labels=torch.tensor(((1.0, 0.0, 1.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.0, 1.0, 0.0))[index])
    )


def _with_choices(index: int, ids: Tensor, mask: Tensor) -> Row:
    others = [_tokens(index, seed=choice) for choice in range(1, _NUM_CHOICES)]
    ids, mask = (torch.stack(parts) for parts in zip((ids, mask), *others, strict=True))
    return _row(ids, mask, labels=torch.tensor(index % _NUM_CHOICES))


def _answered(index: int, ids: Tensor, mask: Tensor) -> Row:
    """The span of the third row lies behind its end, as where a window was cut before the answer: it has no loss."""
    start, end = ((1, 2), (3, 3), (len(ids), len(ids)), (2, 5))[index]
    return _row(ids, mask, start_positions=torch.tensor(start), end_positions=torch.tensor(end))


def _tagged(index: int, ids: Tensor, mask: Tensor) -> Row:
    """One to four words have labels."""
    labels = torch.full_like(ids, _IGNORED)
    labels[1 : 2 + index] = ids[1 : 2 + index] % _NUM_CLASSES
    return _row(ids, mask, labels=labels)


def _masked(index: int, ids: Tensor, mask: Tensor) -> Row:
    """One to four words are masked."""
    labels = torch.full_like(ids, _IGNORED)
    labels[1 : 2 + index] = ids[1 : 2 + index]
    return _row(ids.masked_fill(labels != _IGNORED, _MASK), mask, labels=labels)


def _continued(index: int, ids: Tensor, mask: Tensor) -> Row:
    return _row(ids, mask, labels=ids.masked_fill(mask == 0, _IGNORED))


_ROWS: dict[str, Callable[[int, Tensor, Tensor], Row]] = {
    "sequence_classification": _classified,
    "regression": _rated,
    "multi_label_classification": _with_several_labels,
    "multiple_choice": _with_choices,
    "question_answering": _answered,
    "token_classification": _tagged,
    "masked_lm": _masked,
    "causal_lm": _continued,
}
