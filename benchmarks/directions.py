"""How far perturbations of one length move a model, by the direction that each method gives them: mean divergence, in
nats, on rows that were not trained on. ``make bench`` runs it with the others.

MiniLM-L6 fine-tuned a little on sentences, pairs and masked tokens, and a small GPT-2 trained a little from scratch,
all in evaluation mode. Figures go into ``directions.json``, of which `directions_page` makes the page. ``--rehearse``
takes few steps, of the model in ``--model``.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    DataCollatorForLanguageModeling,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from alum.models.checkpoint import Checkpoint
from alum.training.step import AlumStep
from benchmarks.directions_page import PAGE
from benchmarks.finetuning import task_of
from benchmarks.places import DATA, minilm, needed
from benchmarks.records import Record, parser, progress

DIRECTIONS: dict[str, dict[str, Any]] = {
    "noise": {"method": "noise"},
    "Algorithm 1, K = 1": {"method": "alum"},
    "Algorithm 1, K = 2": {"method": "alum", "num_steps": 2},
    "Algorithm 1, K = 9": {"method": "alum", "num_steps": 9},
    "gradient of the task loss": {"method": "alum_one_pass"},
    "gradient at a sampled label": {"method": "alum_virtual", "ascent": "sampled"},
    "gradient at the most likely label": {"method": "alum_virtual"},
}
RADII = (0.03, 0.1)
BATCH_SIZE, LENGTH_TOKENS = 16, 32


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    warm_steps: int
    measured_batches: int


FULL, REHEARSAL = Scale(100, 4), Scale(2, 1)


@dataclass(frozen=True)
class Subject:
    """A model with batches to train a little on, and others to measure on."""

    name: str
    model: PreTrainedModel
    batches: Sequence[Mapping[str, Tensor]]
    learning_rate: float

    def warmed_up(self, scale: Scale) -> "Subject":
        """Trained on all batches but those to measure on."""
        measured, training = self.batches[: scale.measured_batches], self.batches[scale.measured_batches :]
        step = AlumStep(self.model.train(), "standard")
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=self.learning_rate)
        for index in range(scale.warm_steps):
            step(training[index % len(training)])
            optimizer.step()
            optimizer.zero_grad()
        self.model.eval()
        return Subject(self.name, self.model, measured, self.learning_rate)

    def mean_divergence(self, direction: Mapping[str, Any], radius: float) -> float:
        """Of all measured batches, at perturbations as long as the radius."""
        torch.manual_seed(0)
        step = AlumStep(self.model, **direction, epsilon=radius)
        found = []
        for batch in self.batches:
            found.append(float(step(batch).adversarial_loss))
            self.model.zero_grad()
        return statistics.mean(found)


def classifiers(data: Path, tokenizer: PreTrainedTokenizerBase, checkpoint: str, scale: Scale) -> Iterable[Subject]:
    num_rows = BATCH_SIZE * (scale.warm_steps + scale.measured_batches)
    for folder, name in (("glue_sst2", "sst2"), ("snli_sample", "snli"), ("glue_qqp_sample", "qqp")):
        task = task_of(data / folder, name, tokenizer, num_rows)
        model = AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=task.num_labels)
        yield Subject(folder, model, task.batches[1:], 1e-4)


def language_models(data: Path, tokenizer: PreTrainedTokenizerBase, checkpoint: str, scale: Scale) -> Iterable[Subject]:
    text = data / "corpora" / "brown.txt"
    torch.manual_seed(0)
    masked = batches_of(text, tokenizer, DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15), scale)
    yield Subject("brown, masked_lm", AutoModelForMaskedLM.from_pretrained(checkpoint), masked, 5e-4)
    yield small_causal_lm(text, tokenizer, scale)


def small_causal_lm(text: Path, tokenizer: PreTrainedTokenizerBase, scale: Scale) -> Subject:
    """A GPT-2 of 4 layers × 128 from scratch."""
    shape = GPT2Config(vocab_size=len(tokenizer), n_embd=128, n_layer=4, n_head=4, n_positions=LENGTH_TOKENS)
    causal = batches_of(text, tokenizer, DataCollatorForLanguageModeling(tokenizer, mlm=False), scale)
    return Subject(f"{text.stem}, causal_lm", GPT2LMHeadModel(shape), causal, 2e-3)


def batches_of(
    text: Path, tokenizer: PreTrainedTokenizerBase, collator: DataCollatorForLanguageModeling, scale: Scale
) -> list[Mapping[str, Tensor]]:
    """Rows of equal length from the beginning of a text, as many as training and measuring need."""
    num_tokens = BATCH_SIZE * LENGTH_TOKENS * (scale.warm_steps + scale.measured_batches)
    beginning = text.read_text(encoding="utf-8")[: 8 * num_tokens]
    ids = tokenizer(beginning, add_special_tokens=False, verbose=False)["input_ids"]
    rows = [{"input_ids": ids[start : start + LENGTH_TOKENS]} for start in range(0, len(ids), LENGTH_TOKENS)][:-1]
    return [collator(rows[start : start + BATCH_SIZE]) for start in range(0, len(rows), BATCH_SIZE)]


def measured(subject: Subject, scale: Scale) -> dict[str, Any]:
    progress(f"{subject.name}: {scale.warm_steps} steps of training before")
    warm = subject.warmed_up(scale)
    rows = []
    for name, direction in DIRECTIONS.items():
        progress(f"  {name}")
        divergences = {str(radius): warm.mean_divergence(direction, radius) for radius in RADII}
        rows.append({"direction": name, "divergence": divergences})
    return {"task": subject.name, "rows": rows}


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--model", help="folder of a BERT model with its tokenizer (default: MiniLM-L6)")
    flags.add_argument("--data", type=Path, default=DATA, help="folder that holds the tasks and corpora/brown.txt")
    given = flags.parse_args()
    needed(given.data / "glue_sst2", "set ALUM_DATA to the folder that holds it, or give --data")
    scale, record, checkpoint = REHEARSAL if given.rehearse else FULL, Record(), given.model or minilm()
    tokenizer = Checkpoint(checkpoint).tokenizer
    torch.manual_seed(0)
    found = [
        measured(subject, scale)
        for subjects in (classifiers, language_models)
        for subject in subjects(given.data, tokenizer, checkpoint, scale)
    ]
    settings = {"warm_steps": scale.warm_steps, "num_rows": BATCH_SIZE * scale.measured_batches}
    print(PAGE.write_with(record.with_results(**settings, tasks=found), given.output_dir))


if __name__ == "__main__":
    main()
