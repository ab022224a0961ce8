"""What a fine-tuning step costs, and what it buys in adversarial strength: every method of alum beside Hugging Face's
Trainer and other implementations. ``make bench`` runs it with the others.

MiniLM-L6 on real sentences and pairs, batches grouped by length and padded to their longest, the same ones in the same
order for all. Every contender trains by a Trainer's own loop; in one process they take turns. Figures go into
``cost.json``, of which `cost_page` makes the page. ``--rehearse`` tries it all with a tiny model.
"""

import gc
import itertools
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)
from transformers.trainer_pt_utils import get_length_grouped_indices

from alum.core.divergences import symmetric_kl
from alum.core.method_settings import Method
from alum.core.methods import METHODS
from alum.core.perturbation import random_perturbation_like
from alum.models.checkpoint import Checkpoint
from alum.models.tokenization import Tokenization
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.task_data import load_task_data
from alum.training.config import AlumConfig
from alum.training.step import AlumStep
from alum.training.trainer import AlumTrainer
from benchmarks.harness import Effort, comparison
from benchmarks.peers import Peer, classifier, peers_here
from benchmarks.places import DATA, minilm, needed
from benchmarks.records import Record, Target, outcomes, parser, progress, write_part
from benchmarks.trainings import STEPPED, bert_config, model_of, train_silently

HUGGING_FACE = "Hugging Face"
HALF_DEPTH, ONE_PASS_HALF_DEPTH, LOGGED = "alum at half depth", "alum_one_pass at half depth", "alum_one_pass, logged"
VIRTUAL_ONE_GRAPH, VIRTUAL_CONSTANT = "alum_virtual, clean side first", "alum_virtual, clean side constant"
BATCH_SIZE, MAX_LENGTH_TOKENS, WARM_LEARNING_RATE, LOGGING_STEPS = 16, 128, 1e-4, 50


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    num_rows: int
    warm_steps: int
    gain_batches: int
    gain_draws: int
    effort: Effort


FULL = Scale(3200, 100, 2, 8, Effort(300.0, steps_per_turn=1, counted_steps=1, profiled_steps=5))
REHEARSAL = Scale(64, 2, 4, 8, Effort(0.0, steps_per_turn=1, counted_steps=1, profiled_steps=1))


@dataclass(frozen=True)
class Task:
    """A data folder's rows as ``alum finetune`` reads them, in batches that are the same for all."""

    name: str
    rows: Dataset
    collator: Callable[[list[dict[str, Any]]], dict[str, Any]]
    num_labels: int

    @property
    def batches(self) -> list[dict[str, Tensor]]:
        starts = range(0, len(self.rows), BATCH_SIZE)
        return [self.collator(list(self.rows.select(range(start, start + BATCH_SIZE)))) for start in starts]


def task_of(folder: Path, name: str, tokenizer: PreTrainedTokenizerBase, num_rows: int) -> Task:
    """The longest batch comes first, and again after it: the first step is not measured, the next one's memory is."""
    arguments = FinetuneArguments(
        model_name_or_path="", task=name, train_file=[str(folder / "train.jsonl")], validation_file=None
    )
    data = load_task_data(arguments, ("train",))
    tokenization = Tokenization(tokenizer, MAX_LENGTH_TOKENS)
    rows = data.supervision.encode(data.splits["train"].first(num_rows), tokenization)
    rows = rows.select(range(len(rows) // BATCH_SIZE * BATCH_SIZE))
    lengths = [len(ids) for ids in rows["input_ids"]]
    order = get_length_grouped_indices(lengths, BATCH_SIZE, generator=torch.Generator().manual_seed(0))
    rows = rows.select(order[:BATCH_SIZE] + order)
    return Task(folder.name, rows, data.supervision.collator(tokenizer), len(data.label_names))


# -- the contenders ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contest:
    """A task, the model that all begin with, and the settings that all train with."""

    task: Task
    model: Callable[[], BertForSequenceClassification]
    folder: str

    def settings(self, **others: Any) -> dict[str, Any]:
        return {
            "output_dir": self.folder,
            "per_device_train_batch_size": BATCH_SIZE,
            "learning_rate": 3e-5,
            "train_sampling_strategy": "sequential",  # the order that the task has
            **STEPPED,
            **others,
        }

    def parts(self, arguments: TrainingArguments) -> dict[str, Any]:
        return {
            "model": self.model(),
            "args": arguments,
            "train_dataset": self.task.rows,
            "data_collator": self.task.collator,
        }

    def theirs(self, trainer: type[Trainer] = Trainer) -> Trainer:
        return trainer(**self.parts(TrainingArguments(**self.settings())))

    def ours(self, method: str, **settings: Any) -> AlumTrainer:
        return AlumTrainer(**self.parts(AlumConfig(**self.settings(adv_method=method, **settings))))

    def trainers(self) -> dict[str, Trainer]:
        half = self.model().config.num_hidden_layers // 2
        return {
            HUGGING_FACE: self.theirs(),
            **{name: self.ours(name) for name, row in METHODS.items() if not row.is_for_language_models},
            HALF_DEPTH: self.ours("alum", adv_layer=str(half)),
            ONE_PASS_HALF_DEPTH: self.ours("alum_one_pass", adv_layer=str(half)),
            VIRTUAL_ONE_GRAPH: self.ours("alum_virtual", adv_clean_side="first"),
            VIRTUAL_CONSTANT: self.ours("alum_virtual", adv_clean_side="constant"),
            LOGGED: self.ours("alum_one_pass", logging_strategy="steps", logging_steps=1),
            **{name: self.theirs(peer) for name, peer in peers_here().items()},
        }


def warmed_up(task: Task, shape: str | BertConfig, num_steps: int, folder: str) -> Callable[[], Any]:
    """Copies of a model that has been fine-tuned a little, on which a perturbation has something to change."""
    torch.manual_seed(0)
    if isinstance(shape, BertConfig):
        first = BertForSequenceClassification(shape)
    else:
        first = BertForSequenceClassification.from_pretrained(shape, num_labels=task.num_labels)
    settings = Contest(task, lambda: first, folder).settings(max_steps=num_steps, learning_rate=WARM_LEARNING_RATE)
    train_silently(Trainer(first, TrainingArguments(**settings), task.collator, task.rows))
    weights, config = first.state_dict(), first.config

    def copy() -> BertForSequenceClassification:
        model = BertForSequenceClassification(config)
        model.load_state_dict(weights)
        return model

    return copy


# -- adversarial gain --------------------------------------------------------------------------------------------------


def gains(trainer: Trainer, batches: Sequence[dict[str, Tensor]], num_draws: int) -> dict[str, float | None]:
    """Divergence at the perturbation that a contender finds, and that over the divergence at random ones whose tokens
    are as long. Without dropout: whatever masks it trains with, what is measured is the perturbation."""
    model = model_of(trainer).eval()
    torch.manual_seed(0)
    pairs = []
    for batch in batches:
        if isinstance(trainer, Peer):
            pairs.append(_peer_divergences(trainer, batch, num_draws))
        elif isinstance(trainer, AlumTrainer) and trainer.method.alpha > 0:
            pairs.append(_own_divergences(model, trainer.method, batch, num_draws))
    model.zero_grad()
    model.train()
    if not pairs:
        return {"divergence": None, "gain": None}
    divergence, of_noise = (statistics.mean(values) for values in zip(*pairs, strict=True))
    return {"divergence": divergence, "gain": divergence / of_noise if of_noise > 0 else None}


def _own_divergences(model: Any, method: Method, batch: dict[str, Tensor], num_draws: int) -> tuple[float, float]:
    found = AlumStep(model, method.name, layer=method.layer)(batch, num_gain_draws=num_draws).diagnostics
    assert found is not None
    return float(found.divergence), float(found.noise_divergence)


def _peer_divergences(trainer: Peer, batch: dict[str, Tensor], num_draws: int) -> tuple[float, float]:
    attack = trainer.attack(classifier(trainer.model), batch)
    with torch.no_grad():
        clean = attack.logits_at(0.0)
        noise = [random_perturbation_like(attack.delta) for _ in range(num_draws)]
        at, *at_noise = (symmetric_kl(attack.logits_at(delta), clean).mean().item() for delta in (attack.delta, *noise))
    return at, statistics.mean(at_noise)


# -- measuring ---------------------------------------------------------------------------------------------------------


def targets(task: str) -> list[Target]:
    return [
        Target(task, "standard", "seconds", HUGGING_FACE, 1.02),
        Target(task, "alum_one_pass", "seconds", "standard", 2.10),
        Target(task, "alum_one_pass", "peak_bytes", "standard", 1.10),
        Target(task, "alum", "seconds", "standard", 2.80),
        Target(task, "alum_virtual", "seconds", "standard", 2.40),
        Target(task, "alum_virtual", "divergence", "alum", 1.0, "at least"),
        Target(task, VIRTUAL_ONE_GRAPH, "seconds", "standard", 2.75),
        Target(task, VIRTUAL_ONE_GRAPH, "peak_bytes", "standard", 1.10),
        Target(task, "alum_one_pass", "seconds", "smart-pytorch", 0.75),
        Target(task, "alum_one_pass", "gain", "smart-pytorch", 50.0, "at least"),
        Target(task, EVERY_50, "seconds", "alum_one_pass", 1.03),
        Target(task, HALF_DEPTH, "seconds", "alum", 0.75),
    ]


EVERY_50 = f"alum_one_pass, logged every {LOGGING_STEPS} steps"


def logged_now_and_then(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One step of 50 that logs and 49 that do not: what a median of steps would never show."""
    by_name = {row["contender"]: row for row in rows}
    never, always = (by_name[name]["seconds"] for name in ("alum_one_pass", LOGGED))
    return {"contender": EVERY_50, "seconds": never + (always - never) / LOGGING_STEPS}


def measured(task: Task, shape: str | BertConfig, scale: Scale, folder: str) -> dict[str, Any]:
    """Times, memory, FLOPs and gains of all contenders on one task."""
    progress(f"{task.name}: {scale.warm_steps} steps of fine-tuning before")
    trainers = Contest(task, warmed_up(task, shape, scale.warm_steps, folder), folder).trainers()
    progress("  adversarial gain")
    some = list(itertools.islice(reversed(task.batches), scale.gain_batches))
    found = {name: gains(trainer, some, scale.gain_draws) for name, trainer in trainers.items()}
    rows = [{**row, **found[row["contender"]]} for row in comparison(trainers, HUGGING_FACE, scale.effort)]
    num_tokens = [batch["input_ids"].numel() for batch in task.batches]
    model = model_of(trainers[HUGGING_FACE])
    held = model.num_parameters() - sum(table.numel() for table in model.get_input_embeddings().parameters())
    return {
        "task": task.name,
        "rows": rows,
        "gradient_bytes_after_first_backward": 4 * held,
        "padded_tokens_per_batch": statistics.mean(num_tokens),
        "padding_share": 1 - sum(map(len, task.rows["input_ids"])) / sum(num_tokens),
        "targets": outcomes(targets(task.name), {task.name: [*rows, logged_now_and_then(rows)]}),
    }


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--tokenizer", help="folder of the tokenizer (default: MiniLM-L6's)")
    flags.add_argument("--data", type=Path, default=DATA, help="folder that holds glue_sst2 and snli_sample")
    given = flags.parse_args()
    needed(given.data / "glue_sst2", "set ALUM_DATA to the folder that holds it, or give --data")
    scale, record = REHEARSAL if given.rehearse else FULL, Record()
    tokenizer = Checkpoint(given.tokenizer or minilm()).tokenizer
    tasks = [
        task_of(given.data / folder, name, tokenizer, scale.num_rows)
        for folder, name in (("glue_sst2", "sst2"), ("snli_sample", "snli"))
    ]
    measurements = []
    for task in tasks:
        with tempfile.TemporaryDirectory() as folder:
            measurements.append(measured(task, given_shape(given.rehearse, task, len(tokenizer)), scale, folder))
        gc.collect()
    results = record.with_results(batch_size=BATCH_SIZE, tasks=measurements)
    write_part(given.output_dir, "finetuning", results)


def given_shape(rehearse: bool, task: Task, vocab_size: int) -> str | BertConfig:
    """Where MiniLM is, or something very small."""
    if not rehearse:
        return minilm()
    small = bert_config(vocab_size, hidden_size=32, num_layers=2, head_size=16)
    small.num_labels = task.num_labels
    return small


if __name__ == "__main__":
    main()
