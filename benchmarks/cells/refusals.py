"""Settings of training with which some methods are refused, found by asking: nothing is trained.

Refusals that need a model or a batch to be seen are among the cells.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from accelerate.utils import DistributedType

from alum.core.errors import InputError
from alum.core.methods import METHODS
from alum.training.combinations import check_combination
from alum.training.config import AlumConfig
from alum.training.parts.task_losses import refuse_without_labels
from benchmarks.trainings import STEPPED


@dataclass(frozen=True)
class _Combination:
    settings: Mapping[str, Any]
    distributed: DistributedType = DistributedType.NO
    own_loss: bool = False
    fsdp_version: int = 2


_COMBINATIONS: dict[str, _Combination] = {
    "`adv_target_divergence`": _Combination({"adv_target_divergence": 0.1}),
    "`torch_compile`": _Combination({"torch_compile": True}),
    "FSDP1": _Combination({}, DistributedType.FSDP, fsdp_version=1),
    "FSDP2": _Combination({}, DistributedType.FSDP),
    "DeepSpeed": _Combination({}, DistributedType.DEEPSPEED),
    "DeepSpeed, `adv_fraction` below 1": _Combination({"adv_fraction": 0.5}, DistributedType.DEEPSPEED),
    "an optimizer that steps in the backward pass": _Combination({"optim": "lomo"}),
    "a `compute_loss_func`, `adv_fraction` below 1": _Combination({"adv_fraction": 0.5}, own_loss=True),
    "`adv_clean_side first`": _Combination({"adv_clean_side": "first"}),
    "`adv_ascent predicted`": _Combination({"adv_ascent": "predicted"}),
    "`adv_dropout off`": _Combination({"adv_dropout": "off"}),
    "a block perturbed": _Combination({"adv_layer": "1"}),
}
_WITHOUT_LABELS = "batches without labels"


def refusals() -> list[dict[str, Any]]:
    """Each of the settings, with the reason by method for those that are refused, of methods with an adversary."""
    inputs = {"input_ids": torch.zeros(1, 1)}
    attacking = [row for row in METHODS.values() if row.alpha > 0]
    with tempfile.TemporaryDirectory() as folder:
        questions = {
            name: [(row.name, _asked(combination, row.name, folder)) for row in attacking]
            for name, combination in _COMBINATIONS.items()
        }
        questions[_WITHOUT_LABELS] = [(row.name, partial(refuse_without_labels, row, inputs)) for row in attacking]
        return [
            {"settings": name, "refused": {method: why for method, ask in asked if (why := _reason(ask))}}
            for name, asked in questions.items()
        ]


def _asked(combination: _Combination, method: str, folder: str) -> Callable[[], None]:
    def ask() -> None:
        settings = {**STEPPED, "output_dir": folder, "adv_method": method, **combination.settings}
        args = AlumConfig(**settings)
        check_combination(args, args.method(), combination.distributed, combination.fsdp_version, combination.own_loss)

    return ask


def _reason(ask: Callable[[], None]) -> str | None:
    try:
        ask()
    except InputError as error:
        return str(error)
    return None
