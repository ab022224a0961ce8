"""Texts that are drawn for the rows of a batch, encoded as another input of the model, and passes over them."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from alum.attacks.text.base import NO_RESOURCES, Resources
from alum.attacks.text.random_changes import SUBWORDS, ChangedExample, RandomChanges
from alum.attacks.text.subwords import Resegmentation
from alum.attacks.text.token_alignment import first_order_gains, range_tensor
from alum.attacks.text.worded import Example
from alum.core.errors import InputError
from alum.core.method_settings import Space
from alum.models.hooks.hooked_batch import DrawnPasses
from alum.models.inputs import LABEL_INPUTS, Inputs
from alum.models.tokenization import Tokenization
from alum.tasks.base import TaskKind

ROW_TEXTS = "texts"
"""Entry of a batch: the texts of its rows, before others are drawn for them."""
DRAWN = "drawn_texts"
"""Entry of a batch: the model's inputs for the texts drawn for each row, ``[rows, draws, ...]``, by name."""
_ALIGNED = "aligned"
"""Entry beside these inputs: which of the drawn tokens stand for each token of a row, ``[rows, draws, 2, ...]``."""

Collator = Callable[[list[dict[str, Any]]], Mapping[str, Any]]


class TextDraws(Protocol):
    """Draws changed examples, as `RandomChanges` do."""

    def drawn(self, example: Example, rng: random.Random, templates: Sequence[str] = ()) -> ChangedExample: ...


@dataclass
class CountedDraws:
    """Random changes that count the texts that they are asked for, and those in which they find something to change."""

    changes: RandomChanges
    num_drawn: int = 0
    num_changed: int = 0

    def drawn(self, example: Example, rng: random.Random, templates: Sequence[str] = ()) -> ChangedExample:
        found = self.changes.drawn(example, rng, templates)
        self.num_drawn += 1
        self.num_changed += bool(found.changes or found.num_resegmented)
        return found


@dataclass(frozen=True)
class RowTexts:
    """Texts of training rows, for methods that change them: which columns hold them, and how they are encoded.

    ``columns`` of the training set hold the texts of a row, in the order of its example. ``encode`` makes the model's
    inputs of examples, by name, a value for each, not padded, as a tokenizer does. ``resources`` are those that
    changes by other words need, and ``tokenization`` is that of ``encode``, for changes of the subwords alone. Words of
    ``templates`` stay in texts that begin with one.
    """

    columns: tuple[str, ...]
    encode: Callable[[Sequence[Example]], Mapping[str, Sequence[Any]]]
    resources: Resources = NO_RESOURCES
    tokenization: Tokenization | None = None
    templates: tuple[str, ...] = ()

    def check(self, changes: RandomChanges) -> None:
        """Raises `InputError` for changes that cannot be made to these texts."""
        if SUBWORDS in changes.names:
            _ = self._resegmentation

    def drawn(
        self,
        examples: Sequence[Example],
        changes: TextDraws,
        num_draws: int,
        collate: Collator,
        seed: str,
        aligned: bool = False,
    ) -> dict[str, Tensor]:
        """Draws changed texts for each row and encodes them, ``[rows, draws, ...]``.

        What is drawn for a row follows from ``seed`` and its own texts, whatever other rows there are.
        ``aligned`` says beside them which of their tokens stand for those of the row, to choose by the gradient.
        """
        rngs = [random.Random(f"{seed}:{example}") for example in examples]
        changed = [
            changes.drawn(example, rng, self.templates)
            for example, rng in zip(examples, rngs, strict=True)
            for _ in range(num_draws)
        ]
        features = self._encoded([one.texts for one in changed])
        for row, one in enumerate(changed):
            if one.num_resegmented:
                features[row] = self._resegmentation(features[row], one.num_resegmented, rngs[row // num_draws])
        batch = dict(collate(features))
        if aligned:
            batch[_ALIGNED] = _aligned(collate(self._encoded(examples)), batch, num_draws)
        return {name: values.view(len(examples), num_draws, *values.shape[1:]) for name, values in batch.items()}

    def _encoded(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        encoded = self.encode(examples)
        return [{name: values[row] for name, values in encoded.items()} for row in range(len(examples))]

    @cached_property
    def _resegmentation(self) -> Resegmentation:
        if self.tokenization is None:
            raise InputError(
                "the changes 'subwords' need to know the tokenizer: give RowTexts a Tokenization(tokenizer, "
                "max_length_tokens), by which its encode tokenizes."
            )
        return Resegmentation(self.tokenization)


@dataclass(frozen=True)
class KeptTexts:
    """Collator that puts the texts of the rows beside what another one makes of the rest, as `ROW_TEXTS`."""

    collate: Collator
    columns: tuple[str, ...]

    def __call__(self, features: list[dict[str, Any]]) -> dict[str, Any]:
        if missing := [name for name in self.columns if name not in features[0]]:
            raise InputError(
                f"the adversary changes texts, but the training set has no column {missing[0]!r}: expected the texts "
                f"of the rows in {', '.join(self.columns)}, beside the model's inputs."
            )
        texts = [tuple(feature[name] for name in self.columns) for feature in features]
        rest = [{name: value for name, value in each.items() if name not in self.columns} for each in features]
        return {**self.collate(rest), ROW_TEXTS: texts}


def check_compares_rows(kind: TaskKind, space: Space, setting: str = "adv_space") -> None:
    """Raises `InputError` for kinds of task whose outputs cannot be compared with those of other texts.

    ``setting`` is what the user calls that of ``space``.
    """
    if not kind.compares_rows:
        raise InputError(
            f"{setting} {space!r} needs one output for the whole text of a row, and {kind.name} has one for each of "
            f"its places, which move when words change. Choose {setting} 'embedding'."
        )


def without_drawn(inputs: Inputs) -> tuple[dict[str, Any], Mapping[str, Tensor] | None]:
    """Parts a batch and the texts that were drawn for it, None without."""
    return {name: value for name, value in inputs.items() if name != DRAWN}, inputs.get(DRAWN)


def drawn_passes(
    drawn: Mapping[str, Tensor],
    inputs: Inputs,
    module: Callable[[], nn.Module],
    with_loss: Callable[[nn.Module, Inputs], tuple[Tensor, Any]],
    embeddings: nn.Module,
) -> DrawnPasses:
    """Makes the passes over drawn texts, with the labels of ``inputs``; ``module`` gives each pass its model.

    ``embeddings`` of words are those at whose output x is, where texts are chosen by the gradient there.
    """
    labels = {name: value for name, value in inputs.items() if name in LABEL_INPUTS}
    drawn = dict(drawn)
    aligned = drawn.pop(_ALIGNED, None)

    def gains(gradient: Tensor, x: Tensor) -> Tensor:
        assert aligned is not None
        found = []
        for ids, ranges in zip(drawn["input_ids"].unbind(1), aligned.unbind(1), strict=True):
            if ranges[:, 0].shape != inputs["input_ids"].shape:
                raise InputError(
                    f"the texts of the rows are {list(ranges[:, 0].shape)} as RowTexts encodes them, and "
                    f"{list(inputs['input_ids'].shape)} in the batch: encode them as the training set was."
                )
            by_sequence = ranges.movedim(1, 0).flatten(1, -2)
            of_sequences = first_order_gains(gradient, x, embeddings(ids.flatten(0, -2)), by_sequence)
            found.append(of_sequences.view(len(ids), -1).sum(1))
        return torch.stack(found, 1)

    def chosen(draws: Tensor) -> dict[str, Tensor]:
        return {name: values[torch.arange(len(values), device=values.device), draws] for name, values in drawn.items()}

    return DrawnPasses(
        num_draws=next(iter(drawn.values())).shape[1],
        run=lambda draws: module()(**chosen(draws)),
        run_with_loss=lambda draws: with_loss(module(), {**labels, **chosen(draws)}),
        gains=None if aligned is None else gains,
    )


def _aligned(rows: Mapping[str, Tensor], drawn: Mapping[str, Tensor], num_draws: int) -> Tensor:
    """Ranges of drawn tokens for those of each row, ``[rows · draws, 2, ...]``."""

    def flat(values: Tensor, times: int) -> Tensor:
        return values.repeat_interleave(times, 0).flatten(0, -2).cpu()

    ids, mask = (rows[name] for name in ("input_ids", "attention_mask"))
    ranges = range_tensor(
        flat(ids, num_draws), flat(mask, num_draws), flat(drawn["input_ids"], 1), flat(drawn["attention_mask"], 1)
    )
    return ranges.view(2, len(ids) * num_draws, *ids.shape[1:]).movedim(0, 1)
