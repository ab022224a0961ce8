"""One cell: a training step of `AlumTrainer` beside the same step written out plainly, or why it is refused."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from transformers import PreTrainedModel, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from alum.core.errors import InputError
from alum.core.method_settings import Method
from alum.core.methods import METHODS
from alum.core.objective import AlumResult
from alum.core.outputs.rounding import ROUNDING_NATS
from alum.models.model_parts import CHECKPOINTING
from alum.training.config import AlumConfig
from alum.training.parts.step_noise import StepNoise
from alum.training.trainer import AlumTrainer
from benchmarks.cells.plain_step import KINDS, MicroBatch, PlainStep, mean_divergence, plain_step
from benchmarks.cells.subjects import model_for, rows_for
from benchmarks.trainings import STEPPED, train_silently

PRECISIONS = ("fp32", "bf16 autocast", "pure bf16")
TARGETED = "alum_virtual, adv_target_divergence"
"""Row that trains two steps, the second with a radius that follows from the divergence of the first."""
TARGET_DIVERGENCE = 0.05
ROWS = (*METHODS, TARGETED)
_LARGEST_CHANGE = 2.0  # of the radius from one step to the next
_SEED = 42

ENGINES: dict[str, dict[str, Any]] = {
    "plain": {"per_device_train_batch_size": 4},
    "accumulation": {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 2},  # of three rows and of one
    "checkpointing": {"per_device_train_batch_size": 4, CHECKPOINTING: True},
    "re-entrant checkpointing": {
        "per_device_train_batch_size": 4,
        CHECKPOINTING: True,
        f"{CHECKPOINTING}_kwargs": {"use_reentrant": True},
    },
    "two processes": {"per_device_train_batch_size": 2, "ddp_backend": "gloo"},
    "compiled": {
        "per_device_train_batch_size": 4,
        "torch_compile": True,
        "torch_compile_backend": "aot_eager",
    },
}


@dataclass(frozen=True)
class Cell:
    """A row of the table of methods on a kind of task, in a precision, trained in a way."""

    engine: str
    method: str
    kind: str
    precision: str

    @property
    def row(self) -> Method:
        return METHODS["alum_virtual" if self.method == TARGETED else self.method]

    @property
    def autocast(self) -> bool:
        return self.precision == "bf16 autocast"

    def model(self) -> PreTrainedModel:
        model = model_for(self.kind)
        if self.precision == "pure bf16":
            nn.Module.to(model, torch.bfloat16)
        return model

    def settings(self, folder: str) -> AlumConfig:
        """Plain gradient descent with a learning rate of 0: weights stay, gradients are what is looked at."""
        targeted = {"adv_target_divergence": TARGET_DIVERGENCE, "max_steps": 2} if self.method == TARGETED else {}
        arguments = {
            **STEPPED,
            "output_dir": folder,
            "max_steps": 1,
            "learning_rate": 0.0,
            "optim": "sgd",
            "max_grad_norm": 0.0,
            "dataloader_pin_memory": False,
            "seed": _SEED,
            "train_sampling_strategy": "sequential",
            "bf16": self.autocast,
            "adv_method": self.row.name,
            "adv_gain_draws": 0,
            **targeted,
            **ENGINES[self.engine],
        }
        return AlumConfig(**arguments)


def cells(engine: str, methods: Iterable[str] = ROWS, kinds: Iterable[str] = tuple(KINDS)) -> list[Cell]:
    """All of an engine; compiled ones of all methods on one kind, and of all kinds in fp32 by one method."""
    kinds = tuple(kinds)
    found = [Cell(engine, method, kind, precision) for kind in kinds for method in methods for precision in PRECISIONS]
    if engine != "compiled":
        return found
    return [
        cell for cell in found if cell.kind == kinds[0] or (cell.method, cell.precision) == ("alum_one_pass", "fp32")
    ]


def rehearsed(engine: str) -> list[Cell]:
    """A few cells of an engine: of each method one, while kinds and precisions take turns; fewer compiled ones."""
    kinds = tuple(KINDS)
    if engine == "compiled":
        return cells(engine, methods=("alum_one_pass",), kinds=(kinds[0], "masked_lm"))
    turns = zip(ROWS, itertools.cycle(kinds), itertools.cycle(PRECISIONS), strict=False)
    return [Cell(engine, *turn) for turn in turns]


# -- alum's step -------------------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """What a trainer's last step was made of, and the gradients that it came to."""

    inputs: list[Mapping[str, Tensor]] = dataclasses.field(default_factory=list)
    deltas: list[Tensor] = dataclasses.field(default_factory=list)
    gradients: dict[str, Tensor] = dataclasses.field(default_factory=dict)


class WatchedTrainer(AlumTrainer):
    """`AlumTrainer` that keeps what goes into a step and what comes out of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen = Seen()
        self.add_callback(_Watch(self))

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        self.seen.inputs.append(dict(inputs))
        return super().compute_loss(model, inputs, *args, **kwargs)

    def _log_result(self, result: AlumResult, *args: Any) -> None:
        if result.delta is not None:
            self.seen.deltas.append(result.delta)
        super()._log_result(result, *args)


class _Watch(TrainerCallback):
    def __init__(self, trainer: WatchedTrainer) -> None:
        self._trainer = trainer

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._trainer.seen = Seen()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._trainer.seen.gradients = {name: g.clone() for name, g in gradients_of(self._trainer.model).items()}


def step_of_alum(cell: Cell, folder: str) -> Seen:
    """Raises `InputError` where the cell is refused."""
    trainer = WatchedTrainer(model=cell.model(), args=cell.settings(folder), train_dataset=rows_for(cell.kind))
    train_silently(trainer)
    return trainer.seen


# -- the plain step ----------------------------------------------------------------------------------------------------


def step_written_out(cell: Cell, inputs: Sequence[Sequence[Mapping[str, Tensor]]]) -> tuple[PreTrainedModel, PlainStep]:
    """The model with its gradients, and what it was perturbed by; ``inputs`` are the micro-batches of each process."""
    method, model = cell.row, cell.model()

    def at(step: int, epsilon: float) -> PlainStep:
        model.zero_grad()
        seed = StepNoise(_SEED, 0, torch.device("cpu")).common.seed_at(step)
        batches = [MicroBatch(own, seed) for several in inputs for own in several]
        return plain_step(model, cell.kind, dataclasses.replace(method, epsilon=epsilon), batches, cell.autocast)

    found = at(0, method.epsilon)
    if cell.method == TARGETED:  # D ≈ c·ε²
        factor = math.sqrt(TARGET_DIVERGENCE / found.divergence)
        found = at(1, method.epsilon * min(max(factor, 1 / _LARGEST_CHANGE), _LARGEST_CHANGE))
    return model, found


# -- beside each other -------------------------------------------------------------------------------------------------


def measured(cell: Cell, folder: str) -> dict[str, Any]:
    """Record of a cell: why it is refused, or how far its gradients and its δ are from those of the plain step.

    With the gradients g of a step over all weights, ``difference`` is ‖g - g'‖ / ‖g'‖, g' being the plain step's in the
    same precision, and ``rounding`` is ‖g' - g''‖ / ‖g''‖, g'' being the plain step's in fp32. ``delta_difference`` is
    that of δ. ``divergence_ratio`` is the divergence, in the model in fp32, at alum's δ over that at the δ of the plain
    step in fp32.
    """
    record = dataclasses.asdict(cell)
    try:
        seen = step_of_alum(cell, folder)
    except InputError as error:
        return {**record, "refused": str(error)}
    inputs, deltas = _of_processes(seen.inputs), _of_processes(seen.deltas)
    flat_inputs, flat_deltas = (list(itertools.chain(*several)) for several in (inputs, deltas))
    model, found = step_written_out(cell, inputs)
    exact, plain = model, found
    if cell.precision != "fp32":
        exact, plain = step_written_out(dataclasses.replace(cell, precision="fp32"), inputs)
    expected = gradients_of(model)
    record["difference"] = relative_difference(seen.gradients, expected)
    record["rounding"] = relative_difference(expected, gradients_of(exact))
    record["delta_difference"] = relative_difference(_numbered(flat_deltas), _numbered(found.deltas))
    record["divergence_ratio"] = None
    if plain.divergence > ROUNDING_NATS:
        own = mean_divergence(exact, cell.kind, cell.row, flat_inputs, flat_deltas)
        record["divergence_ratio"] = own / plain.divergence
    return record


def gradients_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.float() for name, p in model.named_parameters() if p.grad is not None}


def relative_difference(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """‖g - g'‖ / ‖g'‖ over all tensors together; infinite where one side has a tensor that the other has not."""
    if found.keys() != expected.keys():
        return math.inf
    square = sum(float((found[name] - value).square().sum()) for name, value in expected.items())
    return math.sqrt(square / sum(float(value.square().sum()) for value in expected.values())) if square else 0.0


def _numbered(tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return {str(index): tensor for index, tensor in enumerate(tensors)}


def _of_processes(own: list[Any]) -> list[list[Any]]:
    if not torch.distributed.is_initialized():
        return [own]
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, own)
    return gathered
