"""Choice of the best checkpoint in fine-tuning: by the task's main metric, or one that is known before training."""

import warnings

from transformers import PreTrainedModel
from transformers.trainer_utils import IntervalStrategy, SaveStrategy

from alum.core.errors import InputError, unknown_name
from alum.evaluation.kinds.base import EvaluatedKind
from alum.evaluation.model_on_task import ModelOnTask
from alum.models.text_model import TextModel
from alum.models.tokenization import Tokenization
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.task_data import TaskData

_LOWER_IS_BETTER = ("loss", "mse")


def choose_best_by(metric: str, config: FinetuneConfig) -> None:
    """Lets a metric choose the best checkpoint, where none was asked for.

    Raises `InputError` for settings that need evaluations which there will not be.
    """
    if config.early_stopping_patience and not config.load_best_model_at_end:
        raise InputError("early_stopping_patience needs --load_best_model_at_end true, to know what the best is.")
    is_saved_by_it = config.save_strategy == SaveStrategy.BEST
    if is_saved_by_it and config.eval_strategy == IntervalStrategy.NO:
        raise InputError("save_strategy best saves after evaluations: say with --eval_strategy when to evaluate.")
    if config.asked_for_best_metric:
        return
    if config.load_best_model_at_end or is_saved_by_it:
        config.metric_for_best_model = metric
        config.greater_is_better = True


def check_best_metric(
    config: FinetuneConfig, data: TaskData, model: PreTrainedModel, tokenization: Tokenization
) -> None:
    """Checks that evaluations will have the metric that was asked for, by those of the first validation row.

    Raises `InputError` where they will not.
    """
    if not config.asked_for_best_metric or "validation" not in data.splits:
        return
    asked = str(config.metric_for_best_model).removeprefix("eval_")
    rows = data.splits["validation"].first(1)
    measured = ModelOnTask(TextModel(model, tokenization), EvaluatedKind(data.supervision))
    features = measured.features(rows)
    predictions = data.supervision.predict(measured.outputs(features), features, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that scores of one row say little
        scores = data.supervision.score(predictions, rows)
    known = ["loss", *(data.metrics or scores)]
    if asked not in known:
        raise unknown_name("metric_for_best_model", asked, known)
    if not config.asked_which_is_better:  # TrainingArguments takes all but losses for better the greater they are
        config.greater_is_better = asked not in _LOWER_IS_BETTER
