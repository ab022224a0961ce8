"""Settings of stages that ask a classifier about rows: the model, the rows, and what their columns mean."""

from dataclasses import dataclass, field

from alum.stages.runs.settings import CheckpointArguments, one_for_a_list, require_one_or_more, require_seeds


@dataclass(kw_only=True)
class ClassifiedRowsArguments(CheckpointArguments):
    """Settings that say which classifier is asked about which rows."""

    model_name_or_path: str = field(metadata={"help": "Fine-tuned checkpoint: a folder or a model id."})
    validation_file: str = field(metadata={"help": "Labelled rows: JSON lines, CSV or Parquet."})
    task: str | None = field(
        default=None, metadata={"help": "Suite whose columns the rows have; default: say what they mean."}
    )
    kind: str | None = field(
        default=None, metadata={"help": "Kind of a task of one's own: sentence_classification, pair_classification."}
    )
    text_columns: str | None = field(
        default=None, metadata={"help": "Column of the text, or two with a comma for pairs; default: the task's."}
    )
    label_column: str | None = field(default=None, metadata={"help": "Column of the label; default: the task's."})
    max_seq_length: int | None = field(
        default=None, metadata={"help": "Longest input in tokens; default: the task's, or the model's if that is less."}
    )
    max_eval_samples: int | None = field(default=256, metadata={"help": "Take so many rows, drawn with the seed."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Rows in a batch."})
    output_dir: str | None = field(default=None, metadata={"help": "Folder for the numbers as JSON; none: no files."})
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Write to a folder that holds something; the old one is moved aside."}
    )
    seed: int = field(default=0, metadata={"help": "Seed of what is drawn."})

    def __post_init__(self) -> None:
        one_for_a_list(self)
        require_one_or_more(self, "max_seq_length", "max_eval_samples", "per_device_eval_batch_size")
        require_seeds(self, "seed")

    @property
    def choice_columns(self) -> None:
        """None: rows of classifiers have no choices, which loading them asks for."""
