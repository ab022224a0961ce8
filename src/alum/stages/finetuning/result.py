"""Result of fine-tuning: metrics and cost and, of rows in memory, the trained model."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from alum.reports.exports import frame_of
from alum.reports.numbers import training_rows
from alum.reports.pages.notebook import inline_table, show
from alum.reports.tables import show_paragraph
from alum.training.records.logged_gain import LoggedGain

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class FinetuneResult:
    """Result of fine-tuning: validation metrics, and the cost of the training."""

    output_dir: str | None
    """Folder of the run; None where nothing was kept on the disk."""
    task: str
    """Name of the task, or of the training file."""
    method: str
    """Name of the training method."""
    metrics: dict[str, float]
    """Scores on the validation rows, by name; rates lie in [0, 1]."""
    label_names: tuple[str, ...]
    """Names of the model's outputs, in their order; empty where it has none."""
    num_train_rows: int
    """Rows that were trained on."""
    num_unlabelled_rows: int
    """Rows without labels, of every split, which were left out."""
    num_steps: int
    """Optimizer steps."""
    train_seconds: float
    """Seconds that training took, with evaluations and checkpoints on the way."""
    train_flops: float | None
    """Floating-point operations of training, estimated from counted steps; None if none were counted."""
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
