"""What the settings of several stages have in common."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from transformers import TrainingArguments

from alum.core.errors import InputError
from alum.models.checkpoint import Checkpoint
from alum.training.config import AlumConfig

_FIELDS = {f.name: f for f in dataclasses.fields(TrainingArguments)} | {
    f.name: f for f in dataclasses.fields(AlumConfig)
}


def instead(name: str, default: Any) -> Any:
    """The field of `AlumConfig` called ``name`` with its help and another default."""
    return field(default=default, metadata=dict(_FIELDS[name].metadata))


def require_one_or_more(settings: Any, *names: str) -> None:
    """Raises `InputError` where a count is given that is below 1."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise InputError(f"{name} must be 1 or more, not {value}.")


@dataclass(kw_only=True)
class CheckpointArguments:
    """Whether to trust the code of checkpoints, for settings that name some."""

    trust_remote_code: bool = field(default=False, metadata={"help": "Run code that comes with a checkpoint."})

    def checkpoint(self, name_or_path: str) -> Checkpoint:
        """A new one each time: what it has read is kept as long as it is, and no longer."""
        return Checkpoint(name_or_path, self.trust_remote_code)


@dataclass
class StageConfig(AlumConfig):
    """What both training stages set differently from TrainingArguments."""

    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Start anew in a folder that holds a run; the old one is moved aside."}
    )
    count_flops_every: int = field(
        default=0, metadata={"help": "Count the FLOPs of every n-th step for the records; 0 counts none."}
    )
    max_minutes: float | None = field(
        default=None,
        metadata={"help": "Stop after so many minutes of training, with a checkpoint to go on from and exit code 3."},
    )
    save_minutes: float | None = field(
        default=None, metadata={"help": "Save a checkpoint also whenever so many minutes have passed since the last."}
    )
    # HfArgumentParser reads a union of three only with None first.
    report_to: None | str | list[str] = instead("report_to", "none")  # noqa: RUF036
    logging_steps: float = instead("logging_steps", 50)
    warmup_steps: float = instead("warmup_steps", 0.1)
    save_total_limit: int | None = instead("save_total_limit", 2)
    max_grad_norm: float = instead("max_grad_norm", 1.0)
    logging_nan_inf_filter: bool = instead("logging_nan_inf_filter", False)

    def __post_init__(self) -> None:
        asked_for = self.output_dir
        super().__post_init__()
        self.output_dir = asked_for  # TrainingArguments writes to a folder of its own choice where none was given
        require_one_or_more(
            self, "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"
        )
        if not 0 <= self.learning_rate < float("inf"):
            raise InputError(f"learning_rate must be 0 or more and finite, not {self.learning_rate}.")
        for name in ("seed", "data_seed"):
            seed = getattr(self, name)
            if seed is not None and not 0 <= seed < 2**32:
                raise InputError(f"{name} must lie in [0, 2^32), not {seed}.")
        if self.max_steps == 0 or (self.max_steps < 0 and not self.num_train_epochs > 0):
            raise InputError(
                f"nothing to train: max_steps is {self.max_steps} and num_train_epochs {self.num_train_epochs}. "
                "One of them must be above 0."
            )
        if self.count_flops_every < 0:
            raise InputError(f"count_flops_every must be 0 or more, not {self.count_flops_every}.")
        for name in ("max_minutes", "save_minutes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} must be above 0, not {value}.")
