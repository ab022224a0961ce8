"""Settings of pre-training as the Trainer takes them, `PretrainConfig`."""

from dataclasses import dataclass

from alum.core.errors import InputError
from alum.stages.pretraining.arguments import PretrainSettings
from alum.stages.runs.config import StageConfig


@dataclass
class PretrainConfig(PretrainSettings, StageConfig):
    """Trainer settings of pre-training: `transformers.TrainingArguments`, the adversary's settings, other defaults."""

    def __post_init__(self) -> None:
        # TrainingArguments takes all but losses for better the greater they are.
        if self.greater_is_better is None and str(self.metric_for_best_model).endswith("perplexity"):
            self.greater_is_better = False
        super().__post_init__()
        for name, needed in (
            ("dataloader_drop_last", False),
            ("eval_do_concat_batches", True),
            ("batch_eval_metrics", False),
        ):
            if getattr(self, name) is not needed:
                raise InputError(
                    f"{name} must stay {needed} in pre-training: validation scores are over all sequences."
                )
        if self.padding_free:
            raise InputError(
                "padding_free has no effect in pre-training, whose sequences have no padding: leave it out."
            )
