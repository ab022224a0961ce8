"""Settings of pre-training and fine-tuning as the Trainer takes them, `StageConfig`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from accelerate.utils import DynamoBackend
from torch._inductor import list_mode_options
from transformers import TrainingArguments
from transformers.debug_utils import DebugOption
from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    get_available_reporting_integrations,
)
from transformers.trainer_utils import HubStrategy
from transformers.utils.import_utils import is_liger_kernel_available

from alum.core.errors import InputError, unknown_name
from alum.stages.runs.settings import StageSettings, instead, require_one_or_more, require_seeds
from alum.training.config import AlumConfig

_RANGES = {
    "learning_rate": (0, 1e3),
    "adam_beta1": (0, 1),
    "adam_beta2": (0, 1),
    "adam_epsilon": (0, float("inf")),
    "weight_decay": (0, float("inf")),
    "max_grad_norm": (0, float("inf")),
    "label_smoothing_factor": (0, 1),
    "dataloader_num_workers": (0, 2**16),
    "num_train_epochs": (-1, float("inf")),
    "neftune_noise_alpha": (0, float("inf")),
    "warmup_steps": (0, 2**53),
}
"""Lowest values, and what is above all of them."""
_PACKAGES = {
    "comet_ml": "comet-ml",
    "mlflow": "mlflow",
    "tensorboard": "tensorboard",
    "trackio": "trackio",
    "wandb": "wandb",
}


@dataclass
class StageConfig(StageSettings, AlumConfig):
    """Trainer settings that pre-training and fine-tuning share: other defaults than `TrainingArguments`, and checks."""

    save_total_limit: int | None = instead(TrainingArguments, "save_total_limit", 2)
    max_grad_norm: float = instead(TrainingArguments, "max_grad_norm", 1.0)
    logging_nan_inf_filter: bool = instead(TrainingArguments, "logging_nan_inf_filter", False)
    hub_strategy: HubStrategy | str = instead(TrainingArguments, "hub_strategy", HubStrategy.END)

    def __post_init__(self) -> None:
        asked_for = self.output_dir
        with explained_settings():
            super().__post_init__()
        self.output_dir = asked_for  # TrainingArguments writes to a folder of its own choice where none was given
        _check_trackers(self.report_to)
        if self.push_to_hub and self.hub_strategy != HubStrategy.END:
            raise InputError(
                f"hub_strategy must be end, not {HubStrategy(self.hub_strategy).value}: a model is pushed when it is "
                "finished, with its card. Checkpoints hold settings of this machine: leave it out."
            )
        if self.use_liger_kernel and not is_liger_kernel_available():
            raise InputError(
                "use_liger_kernel needs the package liger-kernel, which is not installed: install it first."
            )
        _check_compiler(self.torch_compile_backend, self.torch_compile_mode)
        if self.dataloader_persistent_workers and not self.dataloader_num_workers:
            raise InputError("dataloader_persistent_workers needs dataloader_num_workers of 1 or more.")
        if DebugOption.UNDERFLOW_OVERFLOW in self.debug:
            raise InputError(
                "debug underflow_overflow of transformers fails on attention masks of truth values: leave it out. "
                "A run whose loss is no number is stopped."
            )
        require_one_or_more(
            self,
            "per_device_train_batch_size",
            "per_device_eval_batch_size",
            "gradient_accumulation_steps",
            "eval_accumulation_steps",
        )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name, None)
            if isinstance(value, int | float) and not low <= value < high:  # which also refuses what is no number
                expected = f"lie in [{low:g}, {high:g})" if high < float("inf") else f"be {low:g} or more and finite"
                raise InputError(f"{name} must {expected}, not {value}.")
        require_seeds(self, "seed", "data_seed")
        if self.optim_args and not all(part.count("=") == 1 for part in self.optim_args.split(",")):
            raise InputError(f"optim_args must be of the form name=value,name=value, not {self.optim_args!r}.")
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


@contextmanager
def explained_settings(has_begun: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Raises `InputError` with the words of transformers where it refuses settings before training ``has_begun``."""
    try:
        yield
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, ImportError) as error:
        if isinstance(error, InputError) or has_begun():
            raise
        raise InputError(f"the Trainer cannot be made or begin with these settings: {error}") from error


def _check_trackers(names: str | list[str] | None) -> None:
    """Raises `InputError` for trackers of experiments that nobody knows, or that are not installed."""
    for name in [names] if isinstance(names, str) else names or ():
        if name in ("all", "none"):
            continue
        if name not in INTEGRATION_TO_CALLBACK:
            raise unknown_name("tracker in report_to", name, [*INTEGRATION_TO_CALLBACK, "all", "none"])
        if name not in (*get_available_reporting_integrations(), "flyte"):  # of which transformers cannot tell
            package = f"pip install {_PACKAGES[name]}" if name in _PACKAGES else "install it"
            raise InputError(f"report_to names {name}, which is not installed: {package}, or say --report_to none.")


def _check_compiler(backend: str | None, mode: str | None) -> None:
    """Raises `InputError` for a backend or mode of `torch.compile` that is not known."""
    if mode is not None and mode not in (modes := list_mode_options()):
        raise unknown_name("torch_compile_mode", mode, modes)
    known = [one.value.lower() for one in DynamoBackend if one != DynamoBackend.NO]
    if backend is not None and backend.lower() not in known:
        raise unknown_name("torch_compile_backend", backend, known)
