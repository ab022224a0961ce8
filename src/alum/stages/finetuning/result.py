"""Result of fine-tuning: metrics and cost and, of rows in memory, the trained model."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from alum.reports.exports import frame_of
from alum.reports.numbers import training_rows
from alum.reports.pages.notebook import inline_table, show
from alum.reports.tables import show_paragraph
from alum.stages.runs.training import LoggedGain

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class FinetuneResult:
    """Result of fine-tuning: validation metrics by name (rates in [0, 1]), and the cost of the training.

    ``output_dir`` is None where nothing was kept on the disk.
    """

    output_dir: str | None
    task: str
    method: str
    metrics: dict[str, float]
    label_names: tuple[str, ...]
    num_train_rows: int
    num_unlabelled_rows: int
    num_steps: int
    train_seconds: float
    train_flops: float | None
    first_gain: LoggedGain | None = None
    """Adversarial gain at the first attacked step; None without an adversary, or where nothing was measured."""
    last_gain: LoggedGain | None = None
    """Adversarial gain at the last step, or the last attacked one before it."""
    num_rows_by_file: dict[str, int] = field(default_factory=dict)
    """Training rows of each file, as often as they are seen in an epoch; empty where all are of one."""

    def to_pandas(self) -> "DataFrame":
        """Makes a data frame of one row, to be concatenated with those of other runs."""
        return frame_of([{name: value for name, value in vars(self).items() if name not in ("model", "tokenizer")}])

    def show(self) -> None:
        """Shows metrics and cost, in a notebook or the terminal."""
        show(self, lambda: show_paragraph(self._title, dict(training_rows(vars(self)))))

    @property
    def _title(self) -> str:
        return f"{self.task}, {self.method}"

    def _repr_html_(self) -> str:
        return inline_table(self._title, dict(training_rows(vars(self))))


@dataclass(frozen=True, kw_only=True)
class FinetunedModel(FinetuneResult):
    """Result of a fine-tuning of rows in memory, with the trained model and its tokenizer."""

    model: PreTrainedModel = field(repr=False, compare=False)
    tokenizer: PreTrainedTokenizerBase = field(repr=False, compare=False)
