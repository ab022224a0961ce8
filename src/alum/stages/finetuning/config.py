"""Settings of fine-tuning as the Trainer takes them, `FinetuneConfig`."""

from dataclasses import dataclass

from transformers import TrainingArguments

from alum.core.errors import InputError
from alum.stages.finetuning.arguments import FinetuneSettings
from alum.stages.runs.config import StageConfig
from alum.stages.runs.settings import instead


@dataclass
class FinetuneConfig(FinetuneSettings, StageConfig):
    """Trainer settings of fine-tuning: `transformers.TrainingArguments`, the adversary's settings, other defaults."""

    train_sampling_strategy: str = instead(TrainingArguments, "train_sampling_strategy", "group_by_length")

    def __post_init__(self) -> None:
        # TrainingArguments then takes the loss where nothing was said.
        self.asked_for_best_metric = self.metric_for_best_model is not None
        self.asked_which_is_better = self.greater_is_better is not None
        super().__post_init__()
        if self.label_names is not None:
            raise InputError("label_names are those of the task's kind: leave it out.")
        if self.prediction_loss_only or self.batch_eval_metrics or not self.eval_do_concat_batches:
            raise InputError(
                "predictions of all rows together are scored: leave prediction_loss_only, batch_eval_metrics and "
                "eval_do_concat_batches out."
            )
