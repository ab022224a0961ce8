"""What a pre-training step costs: Hugging Face's Trainer beside ours, standard and adversarial. ``make bench-pretrain``

BERT from scratch in fp32 on the CPU, in three sizes, on the same packed text in batches of the same size. Every
contender trains as it would anywhere, by its own Trainer; in one process they take turns of a few steps. ``--rehearse``
tries it all in seconds. Timings mean something on a quiet machine only; memory and FLOPs do not depend on it.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from harness import Effort, comparison
from records import Record, Target, conditions, gain_of, markdown_table, outcomes, progress, short, targets_table
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from alum.core.methods import METHODS
from alum.data.pretraining.corpora import file_corpus
from alum.data.pretraining.masking import MaskRate, TokenMasks
from alum.data.pretraining.packing import Packing
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.stages.runs.folder import write_json
from alum.tasks.kinds.language_modeling import MASKED_LM
from alum.training.config import AlumConfig
from alum.training.language_modeling import LanguageModelTrainer, Supervise, stacked
from alum.training.step import AlumStep

ROOT = Path(__file__).resolve().parent.parent
VOCAB_SIZE, LENGTH_TOKENS, MASK_RATE = 30522, 128, 0.15
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
        shape = {
            "vocab_size": VOCAB_SIZE,
            "num_hidden_layers": self.num_layers,
            "hidden_size": self.hidden_size,
            "num_attention_heads": max(self.hidden_size // 64, 1),
            "intermediate_size": 4 * self.hidden_size,
            "max_position_embeddings": LENGTH_TOKENS,
        }
        return BertForMaskedLM(BertConfig(**shape))


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
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    torch.manual_seed(0)
    model, collator = trainer.model.eval(), DataCollatorForLanguageModeling(text.tokenizer, mlm_probability=MASK_RATE)
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
        "max_steps": 100_000,  # more than are taken
        "learning_rate": 1e-4,
        "weight_decay": 0.01,
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
    }
    progress(f"{size.name}: adversarial gain after {scale.warm_steps} steps")
    found = gains(size, text, settings, scale)
    trainers = {
        HUGGING_FACE: hugging_face(size, text, settings),
        **{method: ours(method, size, text, settings) for method in size.methods},
    }
    rows = comparison(trainers, HUGGING_FACE, Effort(size.max_seconds, scale.steps_per_turn, scale.counted_steps))
    rows = [{**row, **found.get(row["contender"], {"divergence": None, "gain": None})} for row in rows]
    num_parameters = trainers[HUGGING_FACE].model.num_parameters()
    return {"size": size.name, "num_parameters": num_parameters, "rows": rows}


# -- targets and page --------------------------------------------------------------------------------------------------


_LESS_MEMORY = [
    Target(size.name, name, "peak_bytes", HUGGING_FACE, 1.0) for size in FULL.sizes for name in MAIN_METHODS[:2]
]
TARGETS = (
    Target("2x128", "standard", "seconds", HUGGING_FACE, 0.40),
    Target("4x256", "standard", "seconds", HUGGING_FACE, 0.55),
    Target("4x256", "alum_one_pass", "seconds", HUGGING_FACE, 1.05),
    *_LESS_MEMORY,
)


def page(record: Mapping[str, Any]) -> str:
    """The tables as Markdown, from the record alone."""
    blocks = [
        "# What a pre-training step costs",
        "One optimisation step of masked-language-model pre-training in fp32 on the CPU: BERT from scratch with a "
        f"vocabulary of {VOCAB_SIZE:,} and dropout 0.1, {record['batch_size']} packed sequences of {LENGTH_TOKENS} "
        f"tokens of real text, {MASK_RATE:.0%} of them predicted. Hugging Face is `Trainer`, `BertForMaskedLM` and "
        "`DataCollatorForLanguageModeling`; the others are `LanguageModelTrainer` with the method of that name, as "
        "`alum pretrain` runs it. A step reaches from the end of one to the end of the next in the Trainer's own loop: "
        "batch, masks, forward, backward, clipping, AdamW, scheduler, `zero_grad`; nothing is logged or saved in it.",
        conditions(record, "make bench-pretrain"),
    ]
    for size in record["sizes"]:
        blocks.append(f"## {size['size']}: layers x hidden, {size['num_parameters'] / 1e6:.1f} million parameters")
        blocks.append(_table(size))
    blocks.append(
        "Contenders take turns in one process. Seconds are medians (with quartiles) over the rounds; ratios are to "
        "Hugging Face's, of the medians, and the median of those within a round. Peak memory is what PyTorch has "
        "allocated at the worst moment of a step, exact: weights and Adam's state, which all hold alike, and above "
        "them gradients, activations and temporary tensors. FLOPs are those of matrix products, as PyTorch counts "
        "them. The adversarial gain is the divergence at the perturbation over that at random ones of the same length, "
        f"measured for all at one model after {record['warm_steps']} standard steps, without dropout, on one batch "
        f"with {record['gain_draws']} draws: such a young model reacts little to anything. None is given where the "
        "divergence is below 1e-9, about the rounding of fp32."
    )
    if record["targets"]:
        blocks += ["## Targets", targets_table(record["targets"])]
    return "\n\n".join(blocks) + "\n"


def _table(size: Mapping[str, Any]) -> str:
    header = [
        "", "seconds", "quartiles", "ratio", "in a round", "peak memory, MB", "ratio", "GFLOPs", "ratio", "gain",
        "divergence",
    ]  # fmt: skip
    floor = next(row for row in size["rows"] if row["contender"] == HUGGING_FACE)
    rows = [
        (
            row["contender"],
            f"{row['seconds']:.3f}",
            f"{row['seconds_first_quartile']:.3f} to {row['seconds_third_quartile']:.3f}",
            f"{row['ratio_of_medians']:.2f}",
            f"{row['median_of_ratios']:.2f}",
            f"{row['peak_bytes'] / 1e6:.0f}",
            f"{row['peak_bytes'] / floor['peak_bytes']:.2f}",
            f"{row['flops'] / 1e9:.1f}",
            f"{row['flops'] / floor['flops']:.2f}",
            gain_of(row),
            short(row["divergence"]),
        )
        for row in size["rows"]
    ]
    table = markdown_table(header, rows)
    return f"{table}\n\n{floor['held_bytes'] / 1e6:.0f} MB of the memory are weights and Adam's state."


def main() -> None:
    data = Path(os.environ.get("ALUM_DATA", ROOT.parent / "shared" / "data"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, default=data / "corpora" / "brown.txt", help="English text, UTF-8")
    parser.add_argument("--output_dir", type=Path, default=ROOT / "docs" / "benchmarks", help="folder for the figures")
    parser.add_argument("--rehearse", action="store_true", help="a tiny model and few steps")
    given = parser.parse_args()
    if not given.text.is_file():
        sys.exit(f"no text at {given.text}: set ALUM_DATA to the folder that holds corpora, or give --text.")
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
    given.output_dir.mkdir(parents=True, exist_ok=True)
    write_json(given.output_dir / "pretraining.json", results)
    (given.output_dir / "pretraining.md").write_text(page(results), encoding="utf-8")
    print(page(results))


if __name__ == "__main__":
    main()
