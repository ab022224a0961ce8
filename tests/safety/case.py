"""A case: where harm is tried, how, by which command, and how that has to end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("--text_columns", "text", "--label_column", "label")
STEPS = ("--max_steps", "1", "--per_device_train_batch_size", "4", "--use_cpu", "--disable_tqdm", "true")
FINETUNE = (
    "finetune", "--model_name_or_path", "model", "--train_file", "rows.jsonl", "--validation_file", "rows.jsonl",
    "--output_dir", "out", "--save_strategy", "no", *COLUMNS, *STEPS,
)  # fmt: skip
PRETRAIN = (
    "pretrain", "--model_name_or_path", "model", "--train_file", "text.txt", "--max_seq_length", "16",
    "--output_dir", "out", "--save_strategy", "no", *STEPS,
)  # fmt: skip
EVALUATE = (
    "evaluate", "--model_name_or_path", "classifier", "--suites", "own=rows.jsonl", *COLUMNS, "--attacks", "typing",
    "--max_eval_samples", "8", "--output_dir", "out",
)  # fmt: skip
ATTACK = ("attack", "--model_name_or_path", "classifier", "--text", "the warm cat sees the dog", "--label", "good")
RADIUS = ("radius", "--model_name_or_path", "classifier", "--train_file", "rows.jsonl", *COLUMNS, "--epsilons", "0.1")
ASKED = ("--model_name_or_path", "classifier", "--validation_file", "rows.jsonl", *COLUMNS, "--max_eval_samples", "8")
STUDY = ("study", "study.yaml", "--output_dir", "out")
COMPARE = ("compare", "one=classifier", "other=classifier", "--output_dir", "out")


@dataclass(frozen=True)
class Case:
    """One row of the table; ``prepare`` spoils the files in a folder and gives the words after ``alum``."""

    place: str
    tried: str
    prepare: Callable[[Path], Sequence[str]]
    is_refused: bool
    """Whether the command ends with exit code 2; else it does its work, exit code 0."""
    loads: tuple[str, ...] = ()
    """Names of files that PyTorch may read, by its reader of plain tensors."""

    @property
    def name(self) -> str:
        return f"{self.place}: {self.tried}"


def instead(words: Sequence[str], **values: str) -> list[str]:
    """A command line with other values of some flags, of which those that it has not are added."""
    found = list(words)
    for name, value in values.items():
        if f"--{name}" in found:
            found[found.index(f"--{name}") + 1] = value
        else:
            found += [f"--{name}", value]
    return found
