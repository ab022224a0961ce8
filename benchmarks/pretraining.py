"""What a pre-training step costs: Hugging Face's Trainer beside ours, standard and adversarial. ``make bench-pretrain``

BERT from scratch in fp32 on the CPU, in three sizes, on the same packed text in batches of the same size. Every
contender trains as it would anywhere, by its own Trainer; in one process they take turns of a few steps. ``--rehearse``
tries it all in seconds. Timings mean something on a quiet machine only; memory and FLOPs do not depend on it.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

from alum.core.methods import METHODS
from alum.data.pretraining.corpora import file_corpus
from alum.data.pretraining.masking import MaskRate, TokenMasks
from alum.data.pretraining.packing import Packing
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.tasks.kinds.language_modeling import MASKED_LM
from alum.training.config import AlumConfig
from alum.training.language_modeling import LanguageModelTrainer, Supervise, stacked
from alum.training.step import AlumStep
from benchmarks.harness import Effort, comparison
from benchmarks.places import DATA, needed
from benchmarks.pretraining_page import LENGTH_TOKENS, MASK_RATE, PAGE, VOCAB_SIZE
from benchmarks.records import Record, Target, outcomes, parser, progress
from benchmarks.trainings import STEPPED, bert_config, model_of, train_silently

HUGGING_FACE = "Hugging Face"
MAIN_METHODS = ("standard", "alum_one_pass", "alum")
WARM_LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Size:
    """A BERT, how long its steps are timed, and by which methods it is trained."""

    num_layers: int
    hidden_size: int
    max_seconds: float
    methods: tuple[str, ...] = MAIN_METHODS

    @property
    def name(self) -> str:
        return f"{self.num_layers}x{self.hidden_size}"

    def model(self) -> BertForMaskedLM:
        """With the same weights each time, dropout 0.1 and heads 64 wide."""
        torch.manual_seed(0)
        return BertForMaskedLM(bert_config(VOCAB_SIZE, self.hidden_size, self.num_layers, 64, LENGTH_TOKENS))


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    sizes: tuple[Size, ...]
    batch_size: int = 16
    steps_per_turn: int = 2
    counted_steps: int = 2
    warm_steps: int = 100
    gain_draws: int = 8


FULL = Scale((Size(2, 128, 40.0), Size(4, 256, 180.0, tuple(METHODS)), Size(6, 384, 80.0)))
REHEARSAL = Scale((Size(1, 32, 1.0),), batch_size=2, steps_per_turn=1, counted_steps=1, warm_steps=2, gain_draws=1)


@dataclass(frozen=True)
class Text:
    """Packed rows of ``input_ids``, and the tokenizer that they are from."""

    tokenizer: PreTrainedTokenizerBase
    rows: Dataset


def text_of(file: Path) -> Text:
    documents = file_corpus(file)
    tokenizer = train_wordpiece(documents, VOCAB_SIZE, LENGTH_TOKENS)
    return Text(tokenizer, Dataset.from_dict({"input_ids": list(Packing(tokenizer, LENGTH_TOKENS).rows(documents))}))


# -- the contenders ----------------------------------------------------------------------------------------------------


def hugging_face(size: Size, text: Text, settings: Mapping[str, Any]) -> Trainer:
    return Trainer(
        model=size.model(),
        args=TrainingArguments(**settings),
        train_dataset=text.rows,
        data_collator=DataCollatorForLanguageModeling(text.tokenizer, mlm_probability=MASK_RATE),
    )


def ours(method: str, size: Size, text: Text, settings: Mapping[str, Any]) -> Trainer:
    """As ``alum pretrain`` sets it up, attacking from the first step."""
    return LanguageModelTrainer(
        model=size.model(),
        args=AlumConfig(**settings, adv_method=method),
        train_dataset=text.rows,
        processing_class=text.tokenizer,
        data_collator=stacked,
        kind=MASKED_LM,
        supervise=Supervise(TokenMasks(text.tokenizer), MaskRate(MASK_RATE, MASK_RATE)),
    )


def gains(size: Size, text: Text, settings: Mapping[str, Any], scale: Scale) -> dict[str, dict[str, float | None]]:
    """For each method, divergence and adversarial gain at one model that has been trained a little; without dropout,
    so that what is measured is the perturbation."""
    few_steps = {**settings, "max_steps": scale.warm_steps, "learning_rate": WARM_LEARNING_RATE}
    trainer = ours("standard", size, text, few_steps)
    train_silently(trainer)
    torch.manual_seed(0)
    model, collator = (
        model_of(trainer).eval(),
        DataCollatorForLanguageModeling(text.tokenizer, mlm_probability=MASK_RATE),
    )
    batch = collator(list(text.rows.select(range(len(text.rows) - scale.batch_size, len(text.rows)))))
    found: dict[str, dict[str, float | None]] = {}
    for name in size.methods:
        diagnostics = AlumStep(model, name)(batch, num_gain_draws=scale.gain_draws).diagnostics
        model.zero_grad()
        if diagnostics is not None:
            divergence, of_noise = float(diagnostics.divergence), float(diagnostics.noise_divergence)
            found[name] = {"divergence": divergence, "gain": divergence / of_noise if of_noise > 0 else None}
    return found


def measured(size: Size, text: Text, scale: Scale, folder: str) -> dict[str, Any]:
    """Times, memory and FLOPs of all contenders at one size."""
    settings = {
        "output_dir": folder,
        "per_device_train_batch_size": scale.batch_size,
        "learning_rate": 1e-4,
        "weight_decay": 0.01,
        **STEPPED,
    }
    progress(f"{size.name}: adversarial gain after {scale.warm_steps} steps")
    found = gains(size, text, settings, scale)
    trainers = {
        HUGGING_FACE: hugging_face(size, text, settings),
        **{method: ours(method, size, text, settings) for method in size.methods},
    }
    rows = comparison(trainers, HUGGING_FACE, Effort(size.max_seconds, scale.steps_per_turn, scale.counted_steps))
    rows = [{**row, **found.get(row["contender"], {"divergence": None, "gain": None})} for row in rows]
    num_parameters = model_of(trainers[HUGGING_FACE]).num_parameters()
    return {"size": size.name, "num_parameters": num_parameters, "rows": rows}


# -- targets -----------------------------------------------------------------------------------------------------------

_LESS_MEMORY = [
    Target(size.name, name, "peak_bytes", HUGGING_FACE, 1.0) for size in FULL.sizes for name in MAIN_METHODS[:2]
]
TARGETS = (
    Target("2x128", "standard", "seconds", HUGGING_FACE, 0.40),
    Target("4x256", "standard", "seconds", HUGGING_FACE, 0.55),
    Target("4x256", "alum_one_pass", "seconds", HUGGING_FACE, 1.05),
    *_LESS_MEMORY,
)


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--text", type=Path, default=DATA / "corpora" / "brown.txt", help="English text, UTF-8")
    given = flags.parse_args()
    needed(given.text, "set ALUM_DATA to the folder that holds corpora, or give --text")
    scale, record = REHEARSAL if given.rehearse else FULL, Record()
    text = text_of(given.text)
    progress(f"{len(text.rows)} sequences of {given.text}, {len(text.tokenizer)} pieces")
    with tempfile.TemporaryDirectory() as folder:
        sizes = [measured(size, text, scale, folder) for size in scale.sizes]
    found = outcomes(TARGETS, {size["size"]: size["rows"] for size in sizes})
    results = record.with_results(
        batch_size=scale.batch_size,
        warm_steps=scale.warm_steps,
        warm_learning_rate=WARM_LEARNING_RATE,
        gain_draws=scale.gain_draws,
        sizes=sizes,
        targets=found,
    )
    print(PAGE.write_with(results, given.output_dir))


if __name__ == "__main__":
    main()
