"""Settings of the stage that shows what a radius does to a model."""

import math
from dataclasses import dataclass, field

from alum.core.errors import InputError
from alum.stages.runs.settings import CheckpointArguments, one_for_a_list, require_one_or_more, require_seeds


@dataclass(kw_only=True)
class RadiusArguments(CheckpointArguments):
    """Settings of `radius`: a fine-tuned model, rows of its task, and the radii to try."""

    model_name_or_path: str = field(metadata={"help": "Fine-tuned checkpoint: a folder or a model id."})
    train_file: str = field(metadata={"help": "Labelled rows: JSON lines, CSV or Parquet, or a folder of them."})
    task: str | None = field(
        default=None, metadata={"help": "Suite whose columns the rows have; default: say what they mean."}
    )
    kind: str | None = field(
        default=None, metadata={"help": "Kind of a task of one's own: sentence_classification, pair_classification, …"}
    )
    text_columns: str | None = field(
        default=None, metadata={"help": "Column of the text, or two with a comma for pairs; default: the task's."}
    )
    label_column: str | None = field(default=None, metadata={"help": "Column of the label; default: the task's."})
    choice_columns: str | None = field(
        default=None, metadata={"help": "Multiple choice: the columns of the choices with commas, or one of lists."}
    )
    max_seq_length: int | None = field(
        default=None, metadata={"help": "Longest input in tokens; default: the task's, or the model's if that is less."}
    )
    max_eval_samples: int | None = field(default=96, metadata={"help": "Measure on so many rows, drawn with the seed."})
    epsilons: list[float] = field(
        default_factory=lambda: [0.003, 0.01, 0.03, 0.1, 0.3, 1.0],
        metadata={"help": "Radii, relative to the mean length of a text's embeddings."},
    )
    target_divergence: float = field(
        default=0.1,
        metadata={"help": "Recommend the radius at which the virtual adversary's divergence is that, in nats."},
    )
    output_dir: str | None = field(
        default=None, metadata={"help": "Folder for radius.json and radius.png; none: no files."}
    )
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Write to a folder that holds something; the old one is moved aside."}
    )
    seed: int = field(default=0, metadata={"help": "Seed of the rows and of noise."})

    def __post_init__(self) -> None:
        one_for_a_list(self)
        require_one_or_more(self, "max_seq_length", "max_eval_samples")
        require_seeds(self, "seed")
        for epsilon in self.epsilons:
            if not 0 < epsilon < math.inf:
                raise InputError(f"epsilons must be above 0 and finite, not {epsilon}.")
        if not self.epsilons or not 0 < self.target_divergence < math.inf:
            raise InputError(
                "expected one or more epsilons and a target_divergence above 0 and finite, not "
                f"{self.epsilons} and {self.target_divergence}."
            )
