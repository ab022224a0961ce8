"""One cell: how far two steps of training move the weights, by the Trainer or by `AlumStep` in a loop of one's own."""

import os
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from alum.core.divergences import IGNORED_LABEL
from alum.core.methods import METHODS
from alum.core.randomness.row_noise import RowNoise
from alum.training.config import AlumConfig
from alum.training.language_modeling import LanguageModelTrainer
from alum.training.parts.step_noise import StepNoise
from alum.training.step import AlumStep
from alum.training.trainer import AlumTrainer
from benchmarks.engines.subjects import MASK_RATE, NUM_ROWS, STAGES, Stage
from benchmarks.trainings import STEPPED, train_silently

LAYERS: tuple[str | int, ...] = ("word", "embeddings", 1)
_NUM_STEPS, _LEARNING_RATE, _SEED = 2, 0.1, 42
_ROWS_A_STEP = NUM_ROWS // _NUM_STEPS

Command = tuple[str, ...]
_TORCHRUN: Command = ("-m", "torch.distributed.run", "--standalone")
_ACCELERATE: Command = ("-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines=1", "--mixed_precision=no",
                        "--dynamo_backend=no", "--main_process_port=0")  # fmt: skip


@dataclass(frozen=True)
class Engine:
    """A way to train: by how many processes, who starts them, and whose the loop is, with what around the model."""

    num_processes: int
    launcher: Command
    wrapper: str = ""
    """Of the model in a loop of one's own; empty: `AlumTrainer`, which wraps it by DDP itself."""
    micro_batches: int = 1
    layers: tuple[str | int, ...] = LAYERS


def _torchrun(num_processes: int, **settings: Any) -> Engine:
    return Engine(num_processes, (*_TORCHRUN, f"--nproc-per-node={num_processes}"), **settings)


ONE = "one process"
ENGINES: dict[str, Engine] = {
    ONE: Engine(1, ()),
    "loop": Engine(1, (), "none"),
    "DDP ×2": _torchrun(2),
    "DDP ×4": _torchrun(4, layers=("word",)),
    "DDP ×2, `accelerate launch`": Engine(2, (*_ACCELERATE, "--num_processes=2"), layers=("word",)),
    "DDP ×2, accumulation": _torchrun(2, micro_batches=2),
    "loop, DDP ×2": _torchrun(2, wrapper="DDP"),
    "loop, FSDP2 ×2": _torchrun(2, wrapper="FSDP2"),
    "loop, FSDP2 ×4": _torchrun(4, wrapper="FSDP2", layers=("word",)),
    "loop, HSDP 2×2": _torchrun(4, wrapper="HSDP", layers=("word",)),
}


@dataclass(frozen=True)
class Cell:
    """A row of the table of methods, a place and a stage."""

    method: str
    layer: str | int
    stage: str

    @property
    def settings(self) -> dict[str, Any]:
        return {"layer": self.layer} if METHODS[self.method].num_steps or METHODS[self.method].init_std else {}

    def __str__(self) -> str:
        return f"{self.method}|{self.layer}|{self.stage}"


def cells(engine: str, is_rehearsed: bool = False) -> list[Cell]:
    """All of an engine; methods that perturb no place that one could choose have one cell a stage.

    A rehearsal has those of words in the first stage.
    """
    stages, layers = (list(STAGES)[:1], ("word",)) if is_rehearsed else (list(STAGES), ENGINES[engine].layers)
    found = [Cell(method, layer, stage) for stage in stages for layer in layers for method in METHODS]
    return [cell for cell in found if cell.settings or cell.layer == "word"]


def change_of_weights(engine: str, cell: Cell, folder: str) -> Tensor:
    """All weights after the steps less those before, flat; raises `InputError` where the cell is refused."""
    stage, way = STAGES[cell.stage], ENGINES[engine]
    trained = _by_loop(way, cell, stage) if way.wrapper else _by_trainer(way, cell, stage, folder)
    pairs = zip(trained.parameters(), stage.fresh_model().parameters(), strict=True)
    return torch.cat([(_whole(after.detach()) - before.detach()).flatten() for after, before in pairs])


def _whole(weight: Tensor) -> Tensor:
    return weight.full_tensor() if isinstance(weight, DTensor) else weight


def _by_trainer(way: Engine, cell: Cell, stage: Stage, folder: str) -> nn.Module:
    arguments: dict[str, Any] = {
        **STEPPED,
        "output_dir": folder,
        "max_steps": _NUM_STEPS,
        "per_device_train_batch_size": _ROWS_A_STEP // way.num_processes // way.micro_batches,
        "gradient_accumulation_steps": way.micro_batches,
        "learning_rate": _LEARNING_RATE,
        "lr_scheduler_type": "constant",
        "optim": "sgd",
        "max_grad_norm": 0.0,
        "dataloader_pin_memory": False,
        "train_sampling_strategy": "sequential",
        "seed": _SEED,
        "ddp_backend": "gloo" if way.num_processes > 1 else None,
        "adv_method": cell.method,
        "adv_gain_draws": 0,
        **({"adv_layer": str(cell.layer)} if cell.settings else {}),
    }
    parts: dict[str, Any] = {
        "model": stage.fresh_model(),
        "args": AlumConfig(**arguments),
        "train_dataset": list(stage.rows),
        "data_collator": stage.collate,
        "kind": stage.kind,
    }
    if stage.supervise is None:
        trainer: AlumTrainer = AlumTrainer(**parts)
    else:
        trainer = LanguageModelTrainer(**parts, supervise=stage.supervise)
    train_silently(trainer)
    model: nn.Module = trainer.accelerator.unwrap_model(trainer.model)
    return model


@dataclass
class _Weighed:
    """Back-propagation of a mean over a process's items that counts for its share of all items."""

    share: Tensor = field(default_factory=lambda: torch.tensor(1.0))

    def __call__(self, loss: Tensor) -> None:
        (loss * self.share).backward()

    def set_for(self, labels: Tensor, size: int) -> None:
        own = labels.ne(IGNORED_LABEL).sum().float()
        total = own.clone()
        if size > 1:
            torch.distributed.all_reduce(total)
        self.share = own * size / total


def _by_loop(way: Engine, cell: Cell, stage: Stage) -> nn.Module:
    rank, size, model = int(os.environ.get("RANK", 0)), way.num_processes, stage.fresh_model()
    weigh = _Weighed()
    wrapped = _wrapped(way, model)
    step = AlumStep(wrapped, cell.method, kind=stage.kind, backward=weigh, seed=_SEED, **cell.settings)
    optimizer = torch.optim.SGD(model.parameters(), lr=_LEARNING_RATE)
    for number in range(_NUM_STEPS):
        rows = stage.rows[number * _ROWS_A_STEP : (number + 1) * _ROWS_A_STEP]
        batch = _supervised(stage.collate(list(rows[rank::size])), stage, number)
        weigh.set_for(batch["labels"], size)
        step(batch)
        optimizer.step()
        optimizer.zero_grad()
        step.after_optimizer_step()
    return model


def _supervised(batch: dict[str, Tensor], stage: Stage, step: int) -> dict[str, Tensor]:
    """With the labels that `LanguageModelTrainer` draws."""
    if stage.supervise is None:
        return batch
    ids = batch["input_ids"]
    if stage.supervise.masks is None:
        return {**batch, "labels": ids}
    seed = StepNoise(_SEED, 0, ids.device).common.seed_at(step)
    noise = RowNoise.of_tokens(ids, torch.ones_like(ids), seed)
    masked, labels = stage.supervise.masks(ids, MASK_RATE.start, noise)
    return {**batch, "input_ids": masked, "labels": labels}


def _wrapped(way: Engine, model: Any) -> nn.Module:
    if way.wrapper == "none":
        return model  # type: ignore[no-any-return]
    if way.wrapper == "DDP":
        return DistributedDataParallel(model)
    shape = (2, way.num_processes // 2) if way.wrapper == "HSDP" else (way.num_processes,)
    mesh = init_device_mesh("cpu", shape, mesh_dim_names=("replicated", "sharded")[-len(shape) :])
    for block in model.bert.encoder.layer if hasattr(model, "bert") else model.transformer.h:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model  # type: ignore[no-any-return]
