"""Time and memory of a training step on a GPU beside Hugging Face's Trainer, with the same kernels. ``make bench-gpu``
runs it.

A classifier of BERT-base's size and a causal model of GPT-2's, with random weights, under bf16 autocast, SDPA and fused
AdamW. Every contender trains by a Trainer's own loop on the same random tokens; in one process they take turns. Each
figure is a line in ``gpu_cost.jsonl``, of which `page` makes the page. ``--rehearse`` tries it with tiny models.
"""

import copy
import gc
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
)

from alum.core.measures.pass_counts import pass_counts
from alum.training.config import AlumConfig
from alum.training.trainer import AlumTrainer
from benchmarks.gpu.lines import Lines, flags_of, synchronize
from benchmarks.harness import Seconds, SteppedTraining, seconds_in_turns, timing
from benchmarks.records import progress
from benchmarks.trainings import STEPPED, bert_config

FILE_NAME = "gpu_cost.jsonl"
HUGGING_FACE = "Hugging Face"
CONTENDERS: dict[str, dict[str, Any]] = {
    "standard": {"adv_method": "standard"},
    "alum_one_pass": {"adv_method": "alum_one_pass"},
    "alum_virtual": {"adv_method": "alum_virtual"},
    "alum_virtual, clean side first": {"adv_method": "alum_virtual", "adv_clean_side": "first"},
    "alum_virtual, clean side constant": {"adv_method": "alum_virtual", "adv_clean_side": "constant"},
    "alum": {"adv_method": "alum"},
    "alum, K = 2": {"adv_method": "alum", "adv_num_steps": 2},
    "r_drop": {"adv_method": "r_drop"},
    "freelb": {"adv_method": "freelb"},
    "fgm": {"adv_method": "fgm"},
}
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12}
"""Dense bf16 operations per second (NVIDIA H100 and H200 datasheets, SXM; half of what they give with sparsity)."""
_WARM_STEPS = 2


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    hidden_size: int
    num_layers: int
    vocab_size: dict[str, int]
    shape: dict[str, tuple[int, int]]
    """Rows of a batch, and tokens of a row."""
    num_batches: int
    seconds_in_turns: float


CLASSIFIER, CAUSAL_LM = "classifier", "causal_lm"
FULL = Scale(768, 12, {CLASSIFIER: 30522, CAUSAL_LM: 32000}, {CLASSIFIER: (32, 128), CAUSAL_LM: (16, 512)}, 64, 12.0)
REHEARSAL = Scale(32, 1, {CLASSIFIER: 64, CAUSAL_LM: 64}, {CLASSIFIER: (4, 8), CAUSAL_LM: (2, 8)}, 64, 0.0)


# -- models and rows ---------------------------------------------------------------------------------------------------


def model_for(task: str, scale: Scale) -> PreTrainedModel:
    torch.manual_seed(0)
    length, heads = scale.shape[task][1], max(scale.hidden_size // 64, 1)
    if task == CLASSIFIER:
        shape = bert_config(scale.vocab_size[task], scale.hidden_size, scale.num_layers, head_size=64)
        return BertForSequenceClassification(shape)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=scale.vocab_size[task],
            n_embd=scale.hidden_size,
            n_layer=scale.num_layers,
            n_head=heads,
            n_positions=length,
            bos_token_id=1,
            eos_token_id=1,
        )
    )


def rows_for(task: str, scale: Scale) -> list[dict[str, Tensor]]:
    """Random tokens; a classifier's rows end in padding, up to a quarter of their length."""
    num_rows, length = scale.shape[task]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(2, scale.vocab_size[task], (scale.num_batches * num_rows, length), generator=generator)
    if task == CAUSAL_LM:
        return [{"input_ids": row, "attention_mask": torch.ones_like(row), "labels": row} for row in ids]
    lengths = torch.randint(length * 3 // 4, length + 1, (len(ids), 1), generator=generator)
    labels = torch.randint(0, 2, (len(ids),), generator=generator)
    masks = (torch.arange(length) < lengths).long()
    return [
        {"input_ids": row * mask, "attention_mask": mask, "labels": label}
        for row, mask, label in zip(ids, masks, labels, strict=True)
    ]


def stacked(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


# -- one contender -----------------------------------------------------------------------------------------------------


@dataclass
class Contest:
    """A task, the model that all begin with, and who has trained on it so far."""

    task: str
    scale: Scale
    device: torch.device
    folder: str
    model: PreTrainedModel = field(init=False)
    rows: list[dict[str, Tensor]] = field(init=False)
    trainings: dict[str, SteppedTraining] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.model = model_for(self.task, self.scale)
        nn.Module.to(self.model, self.device)
        self.rows = rows_for(self.task, self.scale)
        # What the backward thread keeps for matrix products from its first one on is nobody's memory.
        square = torch.ones(64, 64, device=self.device, requires_grad=True)
        (square @ square).sum().backward()

    @property
    def tokens_per_step(self) -> int:
        num_rows, length = self.scale.shape[self.task]
        return num_rows * length

    def trainer(self, name: str) -> Trainer:
        settings: dict[str, Any] = {
            **STEPPED,
            "use_cpu": self.device.type == "cpu",
            "output_dir": self.folder,
            "per_device_train_batch_size": self.scale.shape[self.task][0],
            "learning_rate": 1e-5,
            "train_sampling_strategy": "sequential",
            "bf16": True,
            "optim": "adamw_torch_fused",
            "dataloader_pin_memory": self.device.type == "cuda",
            "remove_unused_columns": False,
        }
        parts: dict[str, Any] = {
            "model": copy.deepcopy(self.model),
            "train_dataset": self.rows,
            "data_collator": stacked,
        }
        if name == HUGGING_FACE:
            return Trainer(args=TrainingArguments(**settings), **parts)
        return AlumTrainer(args=AlumConfig(**settings, **CONTENDERS[name]), **parts)

    def work_of(self, name: str, stack: ExitStack) -> dict[str, Any]:
        """Memory and synchronisations of a step; the contender then stays for the time in turns.

        What the others hold is not counted: between steps they only have weights and the optimizer's state.
        """
        gc.collect()  # what nobody holds any more would else be released at any time
        held_by_others = _allocated(self.device)
        trainer = self.trainer(name)
        training = stack.enter_context(SteppedTraining(trainer))
        for _ in range(_WARM_STEPS):
            training.step()
        figures = {
            "predicted_ratio": pass_counts(trainer.method).in_standard_steps
            if isinstance(trainer, AlumTrainer)
            else 1.0,
            **_memory_of(training, self.device, held_by_others),
            **_waits_of(training, self.device),
        }
        self.trainings[name] = training
        return figures

    def operations_of(self, name: str) -> dict[str, Any]:
        """Floating-point operations of a step, as PyTorch counts them in matrix products and attention."""
        self.trainings[name].step(counter := FlopCounterMode(display=False))
        return {"flops": counter.get_total_flops()}


def _allocated(device: torch.device) -> int:
    synchronize(device)
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def _memory_of(training: SteppedTraining, device: torch.device, held_by_others: int) -> dict[str, int | None]:
    if device.type != "cuda":
        training.step()
        return {"peak_bytes": None, "held_bytes": training.held_bytes()}
    synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    training.step()
    synchronize(device)
    peak = torch.cuda.max_memory_allocated(device) - held_by_others
    return {"peak_bytes": peak, "held_bytes": training.held_bytes()}


# -- synchronisations --------------------------------------------------------------------------------------------------


class Waits:
    """``places``: lines of Python that made the program wait for the GPU, each as often as it did; use it in ``with``.

    From PyTorch's own notice of operations that synchronise (``torch.cuda.set_sync_debug_mode``), which all threads of
    the program get.
    """

    def __init__(self) -> None:
        self.places: Counter[str] = Counter()

    def __enter__(self) -> "Waits":
        self._catching = warnings.catch_warnings(record=True)
        self._caught = self._catching.__enter__()
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        return self

    def __exit__(self, *_: object) -> None:
        torch.cuda.set_sync_debug_mode("default")
        self._catching.__exit__(None, None, None)
        for warning in self._caught or ():
            if "synchronizing CUDA operation" in str(warning.message):
                self.places[f"{_short(warning.filename)}:{warning.lineno}"] += 1


def _short(file_name: str) -> str:
    """Last three parts of a path."""
    return "/".join(Path(file_name).parts[-3:])


def _waits_of(training: SteppedTraining, device: torch.device) -> dict[str, Any]:
    if device.type != "cuda":
        return {"synchronisations": None, "synchronisations_at": {}}
    with Waits() as waits:
        training.step()
    return {"synchronisations": waits.places.total(), "synchronisations_at": dict(waits.places)}


# -- time in turns -----------------------------------------------------------------------------------------------------


class ContenderError(RuntimeError):
    """A step that failed: ``name`` is whose."""

    def __init__(self, name: str) -> None:
        super().__init__(f"a step of {name} failed")
        self.name = name


def in_turns(contest: Contest, max_seconds: float, lines: Lines) -> Iterator[dict[str, Any]]:
    """Yields the times of each contender; one whose step fails leaves its error, and the others begin anew."""
    trainings = contest.trainings
    if HUGGING_FACE not in trainings:
        return
    progress(f"{contest.task}: time, {max_seconds:.0f} seconds")
    turns: dict[str, list[Seconds]] = {}
    while not turns:
        try:
            steps = {name: partial(_timed_step, name, each, contest.device) for name, each in trainings.items()}
            turns = seconds_in_turns(steps, max_seconds, steps_per_turn=1)
        except ContenderError as error:
            lines.failed({"part": "time", "task": contest.task, "contender": error.name}, error.__cause__ or error)
            del trainings[error.name]
            if error.name == HUGGING_FACE:
                return
    for name, own in turns.items():
        figures = timing(own, turns[HUGGING_FACE])
        yield {
            "part": "time",
            "task": contest.task,
            "contender": name,
            **figures,
            "num_rounds": len(own),
            "tokens_per_second": contest.tokens_per_step / figures["seconds"],
            "seconds_by_round": [turn.wall for turn in own],
        }


def _timed_step(name: str, training: SteppedTraining, device: torch.device) -> None:
    try:
        training.step()
        synchronize(device)
    except Exception as error:
        raise ContenderError(name) from error


def measure(task: str, scale: Scale, device: torch.device, lines: Lines) -> None:
    """All contenders on one task."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        prepared: list[Contest] = []

        def prepare() -> dict[str, Any]:
            prepared.append(Contest(task, scale, device, folder))
            model = prepared[0].model
            return {"num_parameters": model.num_parameters(), "attention": model.config._attn_implementation}

        lines.measure({"part": "model", "task": task}, prepare)
        for contest in prepared:
            for name in (HUGGING_FACE, *CONTENDERS):
                cell = {"part": "work", "task": task, "contender": name}
                lines.measure(cell, partial(contest.work_of, name, stack))
            if lines.seconds_left() > 0:
                for line in in_turns(contest, min(scale.seconds_in_turns, lines.seconds_left()), lines):
                    lines.write(line)
            for name in contest.trainings:  # last, since a contender whose counting fails trains no more
                cell = {"part": "operations", "task": task, "contender": name}
                lines.measure(cell, partial(contest.operations_of, name))
            contest.trainings.clear()


def main() -> None:
    given = flags_of(__doc__, seconds=90.0).parse_args()
    scale, device = REHEARSAL if given.rehearse else FULL, torch.device(given.device)
    torch.set_float32_matmul_precision("high")
    lines = Lines(given.output_dir / FILE_NAME, given.seconds, {"device": given.device, **asdict(scale)})
    for task in (CLASSIFIER, CAUSAL_LM):
        start = time.perf_counter()
        measure(task, scale, device, lines)
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
        progress(f"{task}: {time.perf_counter() - start:.0f} s")
    lines.close()


if __name__ == "__main__":
    main()
