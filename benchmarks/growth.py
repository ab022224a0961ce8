"""How the cost of a step grows: with the batch, the length, the layers and the ascent steps. ``make bench`` runs it.

A BERT of MiniLM's shape with random weights, on random words without padding. Time is fitted against the count of
floating-point operations by passes (`flops_by_count`), memory against the activations of the graphs that are alive at
once. Figures go into ``cost.json``, of which `cost_page` makes the page. ``--rehearse`` tries it all in seconds.
"""

import dataclasses
import gc
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import BertForSequenceClassification

from alum.core.measures.pass_counts import pass_counts
from alum.core.methods import method_named
from alum.training.config import AlumConfig
from alum.training.trainer import AlumTrainer
from benchmarks.harness import Effort, comparison
from benchmarks.records import Record, parser, progress, write_part
from benchmarks.trainings import STEPPED, bert_config

METHODS = ("standard", "alum_one_pass", "alum")


@dataclass(frozen=True)
class Cell:
    """One size of everything."""

    method: str = "standard"
    batch_size: int = 8
    length_tokens: int = 64
    num_layers: int = 6
    num_steps: int = 1
    hidden_size: int = 384
    vocab_size: int = 30522

    @property
    def name(self) -> str:
        return (
            f"{self.method}, {self.batch_size} x {self.length_tokens}, {self.num_layers} layers, K = {self.num_steps}"
        )

    @property
    def passes(self) -> float:
        """In forward ones, where a backward pass counts two."""
        steps = {} if self.method == "standard" else {"num_steps": self.num_steps}
        return 3 * pass_counts(method_named(self.method, **steps)).in_standard_steps

    @property
    def flops_by_count(self) -> float:
        """Of the blocks' matrix products: per token and layer, those of query, key, value and output, of the two layers
        of four times the width, and the scores and weighted sums over the sentence."""
        hidden, length = self.hidden_size, self.length_tokens
        of_token = 4 * hidden**2 + 8 * hidden**2 + 2 * length * hidden
        return self.passes * 2 * self.batch_size * length * self.num_layers * of_token

    @property
    def live_activations(self) -> float:
        """Numbers as wide as the model, of each token in each layer, in the graphs that are alive at once."""
        graphs = 2 if self.method == "alum" else 1
        return graphs * self.batch_size * self.length_tokens * self.num_layers * self.hidden_size

    def trainer(self, folder: str, **settings: Any) -> AlumTrainer:
        torch.manual_seed(0)
        config = bert_config(self.vocab_size, self.hidden_size, self.num_layers)
        arguments = AlumConfig(
            output_dir=folder,
            adv_method=self.method,
            adv_num_steps=None if self.method == "standard" else self.num_steps,
            per_device_train_batch_size=self.batch_size,
            **STEPPED,
            **settings,
        )
        return AlumTrainer(BertForSequenceClassification(config), arguments, train_dataset=self._rows())

    def _rows(self) -> list[dict[str, Tensor]]:
        generator = torch.Generator().manual_seed(0)
        shape = (4 * self.batch_size, self.length_tokens)
        rows = torch.randint(self.vocab_size, shape, generator=generator)
        return [
            {"input_ids": row, "attention_mask": torch.ones_like(row), "labels": torch.tensor(number % 2)}
            for number, row in enumerate(rows)
        ]


@dataclass(frozen=True)
class Scale:
    """A cell to start from, and the values that each of its sizes takes in turn."""

    base: Cell
    values: dict[str, tuple[int, ...]]
    effort: Effort

    def cells(self, size: str) -> list[Cell]:
        """All methods at each value; the number of ascent steps is alum's alone."""
        methods = ("alum",) if size == "num_steps" else METHODS
        return [
            dataclasses.replace(self.base, method=method, **{size: value})
            for value in self.values[size]
            for method in methods
        ]


FULL = Scale(
    Cell(),
    {
        "batch_size": (2, 4, 8, 16),
        "length_tokens": (16, 32, 64, 128),
        "num_layers": (2, 4, 6),
        "num_steps": (1, 2, 3, 4),
    },
    Effort(25.0, steps_per_turn=1, counted_steps=1),
)
REHEARSAL = Scale(
    Cell(hidden_size=32, vocab_size=100, length_tokens=16, num_layers=2),
    {"batch_size": (2, 4), "num_steps": (1, 2)},
    Effort(0.0, steps_per_turn=1, counted_steps=1),
)


def measured(scale: Scale, size: str) -> list[dict[str, Any]]:
    """A row for each value and method; those of one size take turns."""
    progress(f"growth with {size}")
    cells = {cell.name: cell for cell in scale.cells(size)}
    with tempfile.TemporaryDirectory() as folder:
        trainers = {name: cell.trainer(folder) for name, cell in cells.items()}
        rows = comparison(trainers, next(iter(cells)), scale.effort)
    gc.collect()
    return [
        {
            "size": size,
            **asdict(cells[row["contender"]]),
            "flops_by_count": cells[row["contender"]].flops_by_count,
            "live_activations": cells[row["contender"]].live_activations,
            **row,
        }
        for row in rows
    ]


def straight_line(x: Sequence[float], y: Sequence[float]) -> dict[str, float]:
    """Least squares: what a unit of x adds, what is there without any, and how well that describes y."""
    slope, intercept = np.polyfit(np.asarray(x), np.asarray(y), deg=1)
    residuals = np.asarray(y) - (slope * np.asarray(x) + intercept)
    explained = 1 - residuals.var() / np.asarray(y).var()
    return {
        "slope": float(slope),
        "intercept": float(intercept),
        "r_squared": float(explained),
        "median_deviation": float(np.median(np.abs(residuals) / np.asarray(y))),
    }


def fits(rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Time over operations and memory over activations, of all methods and sizes together."""
    above = [row["peak_bytes"] - row["held_bytes"] for row in rows]
    return {
        "seconds": straight_line([row["flops_by_count"] for row in rows], [row["seconds"] for row in rows]),
        "bytes": straight_line([row["live_activations"] for row in rows], above),
    }


def main() -> None:
    given = parser(__doc__).parse_args()
    scale, record = REHEARSAL if given.rehearse else FULL, Record()
    rows = [row for size in scale.values for row in measured(scale, size)]
    write_part(given.output_dir, "growth", record.with_results(rows=rows, fits=fits(rows)))


if __name__ == "__main__":
    main()
