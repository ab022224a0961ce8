"""Settings that several stages share, with help texts, importable without torch.

The Trainer takes them as `alum.stages.runs.config.StageConfig`, which needs torch and transformers.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_origin

from alum.core.errors import InputError

if TYPE_CHECKING:
    from transformers.trainer_utils import IntervalStrategy, SaveStrategy

    from alum.models.checkpoint import Checkpoint

    # As TrainingArguments declares them: it makes enums of the words, and a class that inherits a field from two bases
    # must find the same type in both.
    WhenToEvaluate = IntervalStrategy | str
    WhenToSave = SaveStrategy | str
else:  # what --help lists, without transformers
    WhenToEvaluate = Literal["no", "steps", "epoch"]
    WhenToSave = Literal["no", "steps", "epoch", "best"]


MOST_PIECES = 2_000_000
"""Twice as many pieces as the largest published vocabulary (XLM-V) has."""


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


def instead(of: type, name: str, default: Any) -> Any:
    """Declares the field ``name`` of the dataclass ``of`` anew, with the same help and another default."""
    (found,) = (f for f in dataclasses.fields(of) if f.name == name)
    return field(default=default, metadata=dict(found.metadata))


def one_for_a_list(settings: Any) -> None:
    """Makes a list of a single name or number, and of None, where a dataclass declares one: a name is not its letters.

    >>> from alum.stages.evaluation.arguments import EvaluateArguments
    >>> EvaluateArguments(model_name_or_path="runs/a", attacks="pgd").attacks
    ['pgd']
    """
    for one in dataclasses.fields(settings):
        value = getattr(settings, one.name)
        if get_origin(one.type) is not list or isinstance(value, list):
            continue
        is_one = isinstance(value, str) or not isinstance(value, Iterable)
        setattr(settings, one.name, [] if value is None else [value] if is_one else list(value))


def require_one_or_more(settings: Any, *names: str) -> None:
    """Checks that counts are 1 or more where they are set; raises `InputError` otherwise."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise InputError(f"{name} must be 1 or more, not {value}.")


def require_vocab_size(size: int | None) -> None:
    """Checks that a vocabulary is no larger than one can be built; raises `InputError` otherwise."""
    if size is not None and size > MOST_PIECES:
        raise InputError(f"vocab_size must be {MOST_PIECES:,} or less, not {size:,}.")


def require_seeds(settings: Any, *names: str) -> None:
    """Checks that random seeds are what NumPy takes where they are set; raises `InputError` otherwise."""
    for name in names:
        seed = getattr(settings, name)
        if seed is not None and not 0 <= seed < 2**32:
            raise InputError(f"{name} must lie in [0, 2^32), not {seed}.")


@dataclass(kw_only=True)
class CheckpointArguments:
    """Base of settings that name checkpoints: whether to run code that comes with them."""

    trust_remote_code: bool = _setting(False, "Run code that comes with a checkpoint.")

    def checkpoint(self, name_or_path: str) -> "Checkpoint":
        """Makes a `Checkpoint`, a new one at each call, since it keeps what it has read as long as it lives."""
        from alum.models.checkpoint import Checkpoint

        return Checkpoint(name_or_path, self.trust_remote_code)


@dataclass
class TrainingSettings:
    """Settings of `transformers.TrainingArguments` that most people use, with the same names and defaults."""

    output_dir: str | None = _setting(None, "Folder for the model, its tokenizer, checkpoints and records.")
    learning_rate: float = _setting(5e-5, "Highest learning rate, reached at the end of the warm-up.")
    num_train_epochs: float = _setting(3.0, "How often the training rows are gone through.")
    max_steps: int = _setting(-1, "Number of steps, instead of num_train_epochs where it is above 0.")
    per_device_train_batch_size: int = _setting(8, "Rows in a training batch, on each device.")
    per_device_eval_batch_size: int = _setting(8, "Rows in a batch of an evaluation, on each device.")
    gradient_accumulation_steps: int = _setting(1, "Batches whose gradients make one step.")
    warmup_steps: float = _setting(0, "Steps over which the learning rate grows from 0; below 1 a share of all steps.")
    weight_decay: float = _setting(0.0, "Weight decay, of all weights but biases and those of LayerNorm.")
    logging_steps: float = _setting(500, "Steps from one log to the next; below 1 a share of all steps.")
    eval_strategy: WhenToEvaluate = _setting("no", "When to evaluate while training.")
    eval_steps: float | None = _setting(
        None, "Steps from one evaluation to the next; below 1 a share of all steps (default: logging_steps)."
    )
    save_strategy: WhenToSave = _setting(
        "steps", "When to save a checkpoint: best is after an evaluation that is better than all before it."
    )
    save_steps: float = _setting(500, "Steps from one checkpoint to the next; below 1 a share of all steps.")
    load_best_model_at_end: bool = _setting(
        False, "Keep the best checkpoint's model instead of the last; needs an eval_strategy."
    )
    seed: int = _setting(42, "Random seed.")
    bf16: bool = _setting(False, "Train in mixed precision with bfloat16.")
    fp16: bool = _setting(False, "Train in mixed precision with float16, for devices without bfloat16.")
    use_cpu: bool = _setting(False, "Train on the CPU even where there is a GPU.")
    resume_from_checkpoint: str | None = _setting(
        None,
        "Checkpoint to go on from: a folder, or auto for the newest whole one in output_dir and, without, the start.",
    )
    # HfArgumentParser reads a union of three only with None first.
    report_to: None | str | list[str] = _setting(  # noqa: RUF036
        "none", "Trackers of experiments that get the logs: wandb, tensorboard, …, all or none."
    )


@dataclass
class StageSettings(TrainingSettings):
    """Training settings of pre-training and fine-tuning: their common defaults, and settings that the Trainer lacks."""

    overwrite_output_dir: bool = _setting(False, "Start anew in a folder that holds a run; the old one is moved aside.")
    count_flops_every: int = _setting(0, "Count the FLOPs of every n-th step for the records; 0 counts none.")
    max_minutes: float | None = _setting(
        None, "Stop after so many minutes of training, with a checkpoint to go on from and exit code 3."
    )
    save_minutes: float | None = _setting(
        None, "Save a checkpoint also whenever so many minutes have passed since the last."
    )
    logging_steps: float = instead(TrainingSettings, "logging_steps", 50)
    warmup_steps: float = instead(TrainingSettings, "warmup_steps", 0.1)
