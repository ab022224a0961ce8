"""Settings of fine-tuning.

Named as in the example scripts of transformers, where those have a name.
"""

from dataclasses import dataclass, field

from alum.core.errors import InputError
from alum.stages.runs.settings import (
    CheckpointArguments,
    StageSettings,
    instead,
    one_for_a_list,
    require_one_or_more,
)
from alum.training.settings import PaddingSettings


@dataclass
class FinetuneSettings(StageSettings, PaddingSettings):
    """Training settings of fine-tuning, and their defaults.

    ALUM (arXiv:2004.08994, section 4.1) has learning rates of 5e-6 to 3e-5, warm-up 0.1 and clipping at 1.
    """

    learning_rate: float = instead(StageSettings, "learning_rate", 3e-5)
    per_device_train_batch_size: int = instead(StageSettings, "per_device_train_batch_size", 16)
    per_device_eval_batch_size: int = instead(StageSettings, "per_device_eval_batch_size", 64)
    early_stopping_patience: int = field(
        default=0,
        metadata={"help": "Stop after so many evaluations without a better metric; 0 never stops early."},
    )


@dataclass
class FinetuneArguments(CheckpointArguments):
    """Settings of fine-tuning: the model, and the task, a named one or local files with their columns."""

    model_name_or_path: str = field(metadata={"help": "Checkpoint to fine-tune: a folder or a model id."})
    task: str | None = field(
        default=None,
        metadata={"help": "Named task; alum tasks lists them. Or of one's own: say its text_columns and label_column."},
    )
    kind: str | None = field(
        default=None, metadata={"help": "Kind of a task of one's own: sentence_classification, pair_classification, …"}
    )
    data_dir: str | None = field(
        default=None, metadata={"help": "Folder with train.jsonl (.csv, .parquet) and validation.jsonl."}
    )
    train_file: list[str] = field(
        default_factory=list, metadata={"help": "Training rows: JSON lines, CSV or Parquet; several files are mixed."}
    )
    train_weights: list[float] = field(
        default_factory=list, metadata={"help": "How often each train_file is seen in an epoch; default: once each."}
    )
    validation_file: str | None = field(default=None, metadata={"help": "Validation rows."})
    test_file: str | None = field(default=None, metadata={"help": "Rows to predict after training."})
    text_columns: str | None = field(
        default=None, metadata={"help": "Column of the text, or two with a comma for pairs; default: the task's."}
    )
    label_column: str | None = field(default=None, metadata={"help": "Column of the label; default: the task's."})
    choice_columns: str | None = field(
        default=None, metadata={"help": "Multiple choice: the columns of the choices with commas, or one of lists."}
    )
    masked_lm: str | None = field(
        default=None, metadata={"help": "Masked language model that proposes words, for adv_text_changes masked_lm."}
    )
    wordnet_dir: str | None = field(
        default=None,
        metadata={"help": "Folder of the WordNet database (index.noun, data.noun, …), for adv_text_changes synonyms."},
    )
    misspellings: str | None = field(
        default=None,
        metadata={
            "help": "File of misspellings, a word and its misspellings a line, or misspelling->word, for "
            "adv_text_changes misspellings."
        },
    )
    max_seq_length: int | None = field(default=None, metadata={"help": "Longest input in tokens; default: the task's."})
    max_train_samples: int | None = field(default=None, metadata={"help": "Use only so many training rows."})
    max_eval_samples: int | None = field(default=None, metadata={"help": "Use only so many validation rows."})

    def __post_init__(self) -> None:
        one_for_a_list(self)
        require_one_or_more(self, "max_seq_length", "max_train_samples", "max_eval_samples")
        if self.train_weights and len(self.train_weights) != len(self.train_file):
            raise InputError(
                f"{len(self.train_weights)} train_weights for {len(self.train_file)} files of training rows "
                "(train_file): give one for each."
            )
