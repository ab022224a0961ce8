"""Labels by the likelihood of answers: a causal language model chooses the answer that it gives a prompt most likely.

It is what lm-evaluation-harness calls ``acc`` of its multiple choice: log-likelihoods of an answer's tokens are summed,
and not divided by its length. They stand where a classifier has its logits.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase
from transformers.modeling_outputs import SequenceClassifierOutput

from alum.attacks.text.output_cache import OutputCache
from alum.attacks.text.protocol import VictimOutputs
from alum.attacks.text.worded import Example
from alum.core.divergences import IGNORED_LABEL, symmetric_kl
from alum.core.errors import InputError
from alum.core.outputs.likelihoods import CATEGORICAL
from alum.core.outputs.log_odds import log_odds_against
from alum.evaluation import text_reading
from alum.evaluation.gradients import ClassifierGradients
from alum.evaluation.kinds.base import EvaluatedKind, TextVictim
from alum.evaluation.kinds.sequence_classification import EvaluatedClassification, over_labels, probabilities
from alum.evaluation.label_names import LabelMapping
from alum.models.hooks.injection import Injection
from alum.models.hooks.packed_rows import PackedRows
from alum.models.hooks.predicted_positions import head_sees_only
from alum.models.inputs import Inputs
from alum.models.text_model import TextModel, in_batches, on_device
from alum.models.tokenization import ReadTokens, Tokenization
from alum.tasks.base import TaskKind, all_logits, log_odds_against_labels, logits_of
from alum.tasks.kinds.sequence_classification import ClassificationSupervision
from alum.tasks.labels import label_ids
from alum.tasks.layout import Layout
from alum.tasks.prompts import (
    NAMED_ANSWER,
    AskedAnswers,
    LabelAnswer,
    OwnText,
    Prompt,
    PromptTemplate,
    PromptTokens,
    tokenized,
)
from alum.tasks.rows import TaskRows

logger = logging.getLogger(__name__)

PROMPT_LENGTH_TOKENS = 2048  # as in lm-evaluation-harness

ANSWER_LIKELIHOOD = TaskKind(
    name="answer_likelihood",
    compared=all_logits,
    distance=symmetric_kl,
    likelihood=CATEGORICAL,
    example_losses=log_odds_against_labels,
)

Feature = dict[str, Any]


@dataclass(frozen=True)
class AnswerSupervision(ClassificationSupervision):
    """Labels of texts as answers to a prompt, by their likelihood; nothing is trained."""

    template: PromptTemplate
    answers: tuple[LabelAnswer, ...]

    kind = ANSWER_LIKELIHOOD
    auto_class = AutoModelForCausalLM
    user_kinds = MappingProxyType({})
    needs_padding_token = False

    def encode(self, rows: TaskRows, tokenization: Tokenization) -> Dataset:
        features = self.features(list(zip(*rows.texts(), strict=True)), tokenization)
        columns = {name: [feature[name] for feature in features] for name in features[0]}
        if rows.has_labels:
            columns["labels"] = label_ids(rows)
        if cut := sum(num > 0 for num in columns.pop("num_cut")):
            logger.warning(
                "%d of %d prompts of %s are longer than %d tokens and lose their beginning: raise max_seq_length where "
                "the model reads more",
                cut,
                len(rows),
                rows.table.where,
                tokenization.max_length_tokens,
            )
        return Dataset.from_dict(columns)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
        return AnsweredPrompts(tokenizer)

    def features(self, examples: Sequence[Example], tokenization: Tokenization) -> list[Feature]:
        """Tokens of prompts and of the answers to each, and which of a prompt's are of its row's own texts."""
        prompts = [self.template.filled(example) for example in examples]
        tokens = tokenized(prompts, self.template, self.answers, tokenization)
        return [
            {
                "input_ids": one.prompt,
                "answer_ids": one.answers,
                "is_own": [own is not None for own in _own(prompt, one)],
                "num_cut": one.num_cut,
            }
            for prompt, one in zip(prompts, tokens, strict=True)
        ]


def _own(prompt: Prompt, tokens: PromptTokens) -> list[OwnText | None]:
    """Of each token of a prompt the row's own text that it is of, whole or in part; None in what stands around them."""
    return [
        next((one for one in prompt.own_texts if start < one.end and end > one.start), None)
        for start, end in tokens.spans
    ]


@dataclass(frozen=True)
class AnsweredPrompts:
    """Collates prompts, each with all of its answers but their last tokens, ``[batch, answers, length]``.

    Where all answers have one token, a prompt is there once. Padding is on the right whatever the tokenizer's side is,
    so that tokens of a prompt have the same place beside each answer.
    """

    tokenizer: PreTrainedTokenizerBase

    def __call__(self, features: list[Feature]) -> dict[str, Tensor]:
        longest = max(len(answer) for feature in features for answer in feature["answer_ids"])
        read = [
            [[*feature["input_ids"], *answer[:-1]] for answer in feature["answer_ids"][: None if longest > 1 else 1]]
            for feature in features
        ]
        length = max(len(row) for rows in read for row in rows)
        padding = next(i for i in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id, 0) if i is not None)
        batch = {
            "input_ids": torch.tensor([[_padded(row, length, padding) for row in rows] for rows in read]),
            "attention_mask": torch.tensor([[_padded([1] * len(row), length, 0) for row in rows] for rows in read]),
            "answer_ids": torch.tensor(
                [[_padded(answer, longest, IGNORED_LABEL) for answer in one["answer_ids"]] for one in features]
            ),
            "num_prompt_tokens": torch.tensor([len(feature["input_ids"]) for feature in features]),
            "is_own": torch.tensor([_padded(list(feature["is_own"]), length, False) for feature in features]),
        }
        if "labels" in features[0]:
            batch["labels"] = torch.tensor([feature["labels"] for feature in features])
        return batch


def _padded(row: list[Any], length: int, value: int) -> list[Any]:
    return [*row, *[value] * (length - len(row))]


def answered(evaluated: EvaluatedKind, asked: AskedAnswers, layout: Layout, where: str) -> "EvaluatedAnswers":
    """Kind of task in which answers to prompts of a layout's columns stand for its labels.

    Raises `InputError` where the rows, which are from ``where`` and of the kind ``evaluated``, have no single label.
    """
    if not (evaluated.takes_functions or evaluated.supervision.label_is_text):
        raise InputError(
            f"answers stand for the labels of texts, but {where} is {evaluated.name.replace('_', ' ')}: leave --prompt "
            "and --answers out."
        )
    return EvaluatedAnswers(AnswerSupervision(PromptTemplate.of(asked.prompt, layout.text), asked.answers))


def answer_log_likelihoods(model: nn.Module, inputs: Inputs) -> Tensor:
    """Log-likelihood of each answer behind its prompt, ``[batch, answers]``, in nats, in fp32."""
    ids, mask, answers = inputs["input_ids"], inputs["attention_mask"], inputs["answer_ids"]
    batch, num_rows, length = ids.shape
    # What stands before a token predicts it.
    steps = torch.arange(answers.shape[-1], device=ids.device)
    before = (inputs["num_prompt_tokens"][:, None, None] - 1 + steps).clamp(max=length - 1)
    rows = (torch.arange(batch * num_rows, device=ids.device) * length).view(batch, num_rows, 1) + before
    with head_sees_only(model, rows.flatten()):
        outputs = model(input_ids=ids.flatten(0, 1), attention_mask=mask.flatten(0, 1))
    log_probs = logits_of(outputs).view(batch, num_rows, len(steps), -1).float().log_softmax(-1)
    of_tokens = log_probs.expand(-1, answers.shape[1], -1, -1).gather(-1, answers.clamp(min=0).unsqueeze(-1))
    return of_tokens.squeeze(-1).masked_fill(answers == IGNORED_LABEL, 0.0).sum(-1)


def _read_together(inputs: Inputs) -> PackedRows:
    """Each prompt as one sequence with all that is read of its answers, so that δ moves it beside all by the same."""
    mask = inputs["attention_mask"]
    longest = mask.shape[-1] + (mask.shape[1] - 1) * (inputs["answer_ids"].shape[-1] - 1)
    return PackedRows.of_alike_beginnings(mask, inputs["num_prompt_tokens"], longest)


@dataclass(frozen=True)
class AnswerVictim:
    """Causal language model as the victim of attacks on the texts in its prompts; as `ClassifierVictim` elsewhere.

    Its outputs are what ``outputs_of`` makes of the answers' log-likelihoods: their shares of the probability that the
    answers have together.
    """

    text_model: TextModel
    supervision: AnswerSupervision
    cache: OutputCache = field(default_factory=OutputCache)
    outputs_of: Callable[[Tensor], Tensor] = probabilities

    def __call__(self, examples: Sequence[Example]) -> VictimOutputs:
        """Outputs ``[examples, labels]``; raises as `ClassifierVictim`."""
        for example in examples:
            text_reading.check_unicode(example)
        rows = self.supervision.features(examples, self.text_model.tokenization)
        questions = [repr((row["input_ids"], row["answer_ids"])).encode() for row in rows]
        return self.cache.of(questions, lambda indices: self._outputs([rows[index] for index in indices]))

    def characters_read(self, example: Example) -> tuple[int, ...]:
        """All characters of each text: prompts that are too long lose their beginning, and never their end."""
        return tuple(map(len, example))

    def _outputs(self, rows: list[Feature]) -> VictimOutputs:
        lengths = [len(row["input_ids"]) for row in rows]
        outputs = in_batches(rows, lengths, self.text_model.batch_size, self._of_batch)
        return text_reading.as_outputs(torch.stack(outputs))

    def _of_batch(self, rows: list[Feature]) -> list[Tensor]:
        model = self.text_model.model
        model.eval()
        with torch.inference_mode():
            inputs = on_device(AnsweredPrompts(self.text_model.tokenizer)(rows), model.device)
            found = answer_log_likelihoods(model, inputs)
        text_reading.check_finite(found)
        return list(self.outputs_of(found))


@dataclass(frozen=True)
class AnswerGradients(ClassifierGradients):
    """Gradients of the log odds against an answer, for the word embeddings of the row's own texts in the prompt."""

    supervision: AnswerSupervision = field(kw_only=True)

    def read(self, example: Example) -> ReadTokens:
        prompt = self.supervision.template.filled(example)
        tokenization = self.text_model.tokenization
        (tokens,) = tokenized([prompt], self.supervision.template, self.supervision.answers, tokenization)
        ids, offsets = list[int | None](), list[tuple[int, int]]()
        firsts = {own.text: own for own in reversed(prompt.own_texts)}  # of texts that stand there more than once
        for own, (start, end) in zip(_own(prompt, tokens), tokens.spans, strict=True):
            is_place = own is not None and own == firsts[own.text]
            ids.append(own.text if own is not None and is_place else None)
            offsets.append((max(start - own.start, 0), end - own.start) if own is not None and is_place else (0, 0))
        return ReadTokens(tokens.prompt, ids, offsets)

    def gradients(self, examples: Sequence[Example], labels: Sequence[int]) -> list[Tensor]:
        return [self._gradient(*pair) for pair in zip(examples, labels, strict=True)]

    def _gradient(self, example: Example, label: int) -> Tensor:
        model = self.text_model.model
        model.eval()
        features = self.supervision.features([example], self.text_model.tokenization)
        inputs = on_device(AnsweredPrompts(self.text_model.tokenizer)(features), model.device)
        with torch.enable_grad(), Injection(model, packed=_read_together(inputs)).cutting() as x:
            found = answer_log_likelihoods(model, inputs)[0]
            if self.mapping is not None:
                found = self.mapping.joined(found)
            (gradient,) = torch.autograd.grad(log_odds_against(found, torch.tensor(label, device=found.device)), x())
        own: Tensor = gradient[0]
        return own


class EvaluatedAnswers(EvaluatedClassification):
    """Labels by the likelihood of answers in evaluation; attacks change the row's own texts, never the template."""

    takes_functions = False
    default_length_tokens = PROMPT_LENGTH_TOKENS

    @property
    def answering(self) -> AnswerSupervision:
        assert isinstance(self.supervision, AnswerSupervision), "answers have their own supervision"
        return self.supervision

    def in_labels_of(
        self, model_names: Sequence[str], rows: TaskRows, suite: str, are_own: bool
    ) -> tuple[TaskRows, LabelMapping | None]:
        """Matches labels and answers by their names, whatever a model calls its outputs.

        Answers of other names stand for the labels in their order, where the suite, or the type of the column, has one.

        What stands for a number, and answers that no row of a user's own has as its label, are told. Raises
        `InputError` for labels without an answer.
        """
        names = tuple(answer.name for answer in self.answering.answers)
        try:
            in_labels, mapping = super().in_labels_of(names, rows, suite, are_own)
        except InputError:
            if len(names) != len(rows.label_names) or (are_own and not rows.declared_classes):
                raise InputError(
                    f"the answers are {', '.join(names)}, but the labels of {suite} are {', '.join(rows.label_names)}: "
                    f"say which label each answer stands for, as {rows.label_names[0]}{NAMED_ANSWER}ANSWER."
                ) from None
            return rows, LabelMapping(tuple(range(len(names))), len(names))
        if are_own and len(names) > len(rows.label_names):
            logger.warning(
                "%d answers are given, but the rows of %s have %d labels, %s: the others can only be wrong",
                len(names),
                suite,
                len(rows.label_names),
                ", ".join(rows.label_names),
            )
        if are_own and in_labels.label_names != rows.label_names and all(map(str.isdecimal, rows.label_names)):
            stands_for = (f"{name}={number}" for number, name in enumerate(in_labels.label_names))
            logger.warning("the labels of %s are numbers: the answers stand for %s", suite, ", ".join(stands_for))
        return in_labels, mapping

    def outputs(self, model: nn.Module, inputs: Inputs) -> Any:
        return SequenceClassifierOutput(logits=answer_log_likelihoods(model, inputs))

    def packed(self, inputs: Inputs) -> PackedRows:
        return _read_together(inputs)

    def perturbed(self, model: nn.Module, inputs: Inputs) -> Tensor:
        rows = inputs["is_own"].repeat_interleave(inputs["input_ids"].shape[1], 0)
        packed = self.packed(inputs)
        return packed.apart(rows) & packed.mask

    def victim(self, model: TextModel, rows: TaskRows, mapping: LabelMapping | None = None) -> TextVictim:
        return AnswerVictim(model, self.answering, outputs_of=lambda found: probabilities(over_labels(found, mapping)))

    def logits_victim(self, model: TextModel, mapping: LabelMapping | None = None) -> TextVictim:
        return AnswerVictim(model, self.answering, outputs_of=lambda found: over_labels(found, mapping))

    def gradients(self, model: TextModel, mapping: LabelMapping | None = None) -> AnswerGradients:
        return AnswerGradients(model, mapping, supervision=self.answering)
