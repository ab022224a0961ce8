"""Checks for gradient masking: whether a model is robust, or its gradients are of no use to an attack.

After Athalye et al. 2018 (arXiv:1802.00420, section 3.1) and Carlini et al. 2019 (arXiv:1902.06705): an attack by
gradients must beat what needs none, break everything where it may change everything, and have converged. Gradients that
are shattered (by rounding) or random (by random layers) also show without an attack: they are not the slope of what the
model computes, which is not the same twice. Logits that are too large take the gradient from the cross-entropy alone.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from datasets import Dataset
from torch import Tensor

from alum.attacks.embedding_pgd import AttackedBatch, EmbeddingPGD, WorstFound, slopes, worst_of
from alum.core.errors import InputError
from alum.evaluation.model_on_task import ModelOnTask
from alum.models.model_parts import word_embeddings

LARGE_EPSILON = 1.0
LARGE_NUM_STEPS = 50
NUM_NOISE_DRAWS = 10
MORE = 4
"""Factor by which steps and restarts are raised to see whether an attack has converged."""
MOST_ACCURACY_AT_LARGE_EPSILON = 0.05
MOST_LOST_BY_MORE = 0.05
SPARE_ROWS = 2
"""Number of rows by which noise, or another model's perturbations, may be ahead of the attack by chance."""


SMALL_EPSILON = 0.003
"""How far at most, relative to the embeddings, the slope of the loss is measured."""
MOST_SLOPE_ERROR = 0.2
"""Share of the larger one that two slopes may differ by: smooth models err by a few hundredths."""
LEAST_TRUE_SLOPES = 0.5
MOST_CHANGE_IN_REPEATING = 1e-3
LOG_ODDS_OF_CERTAINTY = 17.0
"""Where 1 - p is zero in fp32, and the gradient of the cross-entropy, (1 - p) times that of the log odds, with it."""
MOST_CERTAIN = 0.05

PART_NAMES = (
    "stronger_than_noise",
    "stronger_than_transfer",
    "broken_at_large_radius",
    "converged",
    "repeatable",
    "gradient_is_the_slope",
    "cross_entropy_has_gradients",
)


@dataclass(frozen=True)
class CheckPart:
    """Outcome of one check for gradient masking: what was expected and found, and whether it passed.

    ``passed`` is None where the check could not be done; ``figures`` are accuracies in [0, 1] and counts.
    """

    name: str
    passed: bool | None
    expected: str
    found: str
    figures: Mapping[str, float] = field(default_factory=dict)


def check_gradient_masking(
    model: ModelOnTask, features: Dataset, attack: EmbeddingPGD, other: ModelOnTask | None = None
) -> list[CheckPart]:
    """Checks signs that an attack on a model is as strong as it should be; a missing one tells of masking.

    The last one is of attacks by the cross-entropy, which this one is not: it does not depend on the scale of logits.

    ``other`` is a model of the same tokens and embedding width, whose perturbations are tried on this one. Raises
    `InputError` for kinds of task whose single answers are not right or wrong (`ModelOnTask.is_wrong`).
    """
    if model.is_wrong is None:
        raise InputError(
            f"gradient masking shows in how many answers an attack turns wrong, but single answers of "
            f"{model.kind.name} are not right or wrong. Give regressors a tolerance."
        )
    rows = _Rows(model, features)
    clean = rows.clean()
    if clean.fallen.all():
        return [CheckPart(name, None, "right answers to attack", "no answer is right") for name in PART_NAMES]
    attacked = rows.right_under(attack)
    return [
        _noise_part(rows, attack, attacked),
        _transfer_part(rows, attack, attacked, other),
        _large_radius_part(rows, attack),
        _convergence_part(rows, attack, attacked),
        _repeating_part(clean, rows.clean()),
        _slope_part(rows, attack),
        _certainty_part(rows, clean),
    ]


@dataclass(frozen=True)
class _Rows:
    """The number of right answers among some rows, under one attack after the other."""

    model: ModelOnTask
    features: Dataset

    def __len__(self) -> int:
        return len(self.features)

    def right_under(self, attack: Callable[[AttackedBatch], WorstFound]) -> int:
        found = [attack(batch).fallen for _, batch in self.model.attacked_batches(self.features)]
        return int(sum((~fallen).sum() for fallen in found))

    def clean(self) -> "_Clean":
        found = [worst_of(batch, []) for _, batch in self.model.attacked_batches(self.features)]
        return _Clean(
            torch.cat([batch.losses.float() for batch in found]), torch.cat([batch.fallen for batch in found])
        )


@dataclass(frozen=True)
class _Clean:
    """Losses ``[rows]`` of the rows without an attack, and which of them are wrong, in the order of their batches."""

    losses: Tensor
    fallen: Tensor


def _noise_part(rows: _Rows, attack: EmbeddingPGD, attacked: int) -> CheckPart:
    under_noise = rows.right_under(lambda batch: attack.random(batch, NUM_NOISE_DRAWS))
    return CheckPart(
        name="stronger_than_noise",
        passed=attacked <= under_noise + SPARE_ROWS,
        expected=f"no more right answers than under the worst of {NUM_NOISE_DRAWS} random perturbations of that length",
        found=f"{attacked} of {len(rows)} right under attack, {under_noise} under noise",
        figures={"accuracy_under_attack": attacked / len(rows), "accuracy_under_noise": under_noise / len(rows)},
    )


def _transfer_part(rows: _Rows, attack: EmbeddingPGD, attacked: int, other: ModelOnTask | None) -> CheckPart:
    name, expected = "stronger_than_transfer", "no more right answers than under another model's perturbations"
    if other is None or not _fit_together(rows.model, other):
        return CheckPart(name, None, expected, "no other model with the same tokens and embedding width was given")
    batch_size = rows.model.text_model.batch_size
    source = dataclasses.replace(other, text_model=dataclasses.replace(other.text_model, batch_size=batch_size))
    batches = source.attacked_batches(rows.features)

    def transfer(batch: AttackedBatch) -> WorstFound:
        _, theirs = next(batches)
        # Not only until the other model is wrong: that need not be enough for this one.
        delta = attack(dataclasses.replace(theirs, fallen=None)).delta
        return worst_of(batch, [delta])

    transferred = rows.right_under(transfer)
    return CheckPart(
        name=name,
        passed=attacked <= transferred + SPARE_ROWS,
        expected=expected,
        found=f"{attacked} of {len(rows)} right under attack, {transferred} under the other's perturbations",
        figures={"accuracy_under_attack": attacked / len(rows), "accuracy_under_transfer": transferred / len(rows)},
    )


def _fit_together(model: ModelOnTask, other: ModelOnTask) -> bool:
    shapes = [word_embeddings(either.model).weight.shape for either in (model, other)]
    return shapes[0] == shapes[1] and _vocabulary(model) == _vocabulary(other)


def _vocabulary(model: ModelOnTask) -> dict[str, int]:
    return model.text_model.tokenizer.get_vocab()


def _large_radius_part(rows: _Rows, attack: EmbeddingPGD) -> CheckPart:
    """At a radius as long as the embeddings any text can be turned into any other."""
    epsilon, steps = max(LARGE_EPSILON, attack.epsilon), max(LARGE_NUM_STEPS, attack.num_steps)
    right = rows.right_under(dataclasses.replace(attack, epsilon=epsilon, num_steps=steps))
    return CheckPart(
        name="broken_at_large_radius",
        passed=right <= MOST_ACCURACY_AT_LARGE_EPSILON * len(rows),
        expected=f"at most {MOST_ACCURACY_AT_LARGE_EPSILON:.0%} right at epsilon {epsilon:g}",
        found=f"{right} of {len(rows)} right after {steps} steps",
        figures={"accuracy": right / len(rows), "epsilon": epsilon, "num_steps": float(steps)},
    )


def _convergence_part(rows: _Rows, attack: EmbeddingPGD, attacked: int) -> CheckPart:
    more = dataclasses.replace(attack, num_steps=MORE * attack.num_steps, num_restarts=MORE * attack.num_restarts)
    right = rows.right_under(more)
    return CheckPart(
        name="converged",
        passed=attacked - right <= MOST_LOST_BY_MORE * len(rows),
        expected=f"{MORE} times the steps and restarts turn at most {MOST_LOST_BY_MORE:.0%} more answers wrong",
        found=f"{attacked} of {len(rows)} right under attack, {right} after {more.num_steps} steps from "
        f"{more.num_restarts} starts",
        figures={"accuracy_under_attack": attacked / len(rows), "accuracy_under_more": right / len(rows)},
    )


def _repeating_part(first: _Clean, second: _Clean) -> CheckPart:
    """Random layers are attacked by the mean over several passes, which this attack does not take."""
    largest = float(first.losses.abs().max())
    changed = int(((first.losses - second.losses).abs() > MOST_CHANGE_IN_REPEATING * largest).sum())
    turned = int((first.fallen != second.fallen).sum())
    return CheckPart(
        name="repeatable",
        passed=changed == 0,
        expected="the same outputs from a second pass over the same rows",
        found=f"other outputs for {changed} of {len(first.losses)} rows, other answers for {turned}",
        figures={"changed_rows": float(changed), "turned_rows": float(turned)},
    )


def _slope_part(rows: _Rows, attack: EmbeddingPGD) -> CheckPart:
    """Rounding leaves a function without slope, or a gradient that is not its slope."""
    name, epsilon = "gradient_is_the_slope", min(0.1 * attack.epsilon, SMALL_EPSILON)
    expected = f"losses that change within {epsilon:g} of the embeddings as their gradient says, in half of the rows"
    if rows.model.model.dtype != torch.float32:
        return CheckPart(name, None, expected, "the model is in half precision, where small changes are rounded away")
    pairs = [slopes(batch, epsilon) for _, batch in rows.model.attacked_batches(rows.features)]
    by_gradient, by_losses = (torch.cat(found) for found in zip(*pairs, strict=True))
    size = torch.maximum(by_gradient.abs(), by_losses.abs())
    true = int(((by_gradient - by_losses).abs() < MOST_SLOPE_ERROR * size).sum())
    flat = int((by_losses == 0).sum())
    return CheckPart(
        name=name,
        passed=true >= LEAST_TRUE_SLOPES * len(rows),
        expected=expected,
        found=f"so in {true} of {len(rows)} rows; no change at all in {flat}",
        figures={"rows_of_true_slope": float(true), "rows_without_slope": float(flat), "epsilon": epsilon},
    )


def _certainty_part(rows: _Rows, clean: _Clean) -> CheckPart:
    name = "cross_entropy_has_gradients"
    expected = f"at most {MOST_CERTAIN:.0%} of the answers so certain that 1 - p is zero in fp32"
    if not rows.model.evaluated.chooses_label:
        return CheckPart(name, None, expected, "the model gives no probabilities of labels")
    certain = int((clean.losses < -LOG_ODDS_OF_CERTAINTY).sum())
    harmless = "; the attack here raises log odds, and is not misled by that" if certain else ""
    return CheckPart(
        name=name,
        passed=certain <= MOST_CERTAIN * len(rows),
        expected=expected,
        found=f"{certain} of {len(rows)} so certain, where attacks by the cross-entropy find no gradient{harmless}",
        figures={"certain_rows": float(certain), "median_log_odds": float(-clean.losses.median())},
    )
