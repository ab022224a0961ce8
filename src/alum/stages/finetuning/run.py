"""Fine-tuning of a pre-trained model on a task, a named one or the user's own."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from datasets import Dataset
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from alum.models.checkpoint import Checkpoint
from alum.models.model_parts import check_layer
from alum.models.tokenization import Tokenization
from alum.models.tokenizer_fit import check_tokenizer_fits, require_padding, take_padding_of
from alum.reports.model_card import write_model_card
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.best_checkpoint import check_best_metric, choose_best_by
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.predictions import write_predictions
from alum.stages.finetuning.task_data import TaskData, load_task_data
from alum.stages.runs.environment import environment
from alum.stages.runs.folder import check_run_folder, opened_run_folder, write_json, write_settings
from alum.stages.runs.training import LoggedGain, first_and_last_gain, train
from alum.tasks.base import GatheredOutputs
from alum.tasks.rows import TaskRows
from alum.training.trainer import AlumTrainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinetuneResult:
    """Result of fine-tuning: validation metrics by name (rates in [0, 1]), and the cost of the training."""

    output_dir: str
    task: str
    method: str
    metrics: dict[str, float]
    label_names: tuple[str, ...]
    num_train_rows: int
    num_unlabelled_rows: int
    num_steps: int
    train_seconds: float
    train_flops: float | None
    first_gain: LoggedGain | None = None
    """Adversarial gain at the first attacked step; None without an adversary, or where nothing was measured."""
    last_gain: LoggedGain | None = None
    """Adversarial gain at the last step, or the last attacked one before it."""


def finetune(
    arguments: FinetuneArguments, config: FinetuneConfig, splits: Mapping[str, Dataset] | None = None
) -> FinetuneResult:
    """Fine-tunes a model on a task and saves it, with its tokenizer and label names, for `transformers` to load.

    ``splits`` are rows in memory (``train``, ``validation``, …), used instead of the files that the arguments name.

    Raises `InputError` for data, settings or checkpoints that cannot be used, before any training.
    """
    check_run_folder(config.output_dir, config.overwrite_output_dir, config.resume_from_checkpoint)
    method, base = config.method(), arguments.checkpoint(arguments.model_name_or_path)
    if method.alpha > 0:  # before data are read, which may take long
        check_layer(method.layer, base.config, base.name_or_path)
    data = _task_data(arguments, config, splits)
    tokenization = Tokenization(
        base.tokenizer, base.input_length_tokens(arguments.max_seq_length, data.max_length_tokens)
    )

    def encoded(rows: TaskRows) -> Dataset:
        return data.supervision.encode(rows, tokenization)

    features = {split: encoded(rows) for split, rows in data.splits.items()}
    set_seed(config.seed)
    model = _model(base, data)
    check_best_metric(config, data, model, tokenization)
    trainer = _trainer(model, config, data, features, base.tokenizer)
    with opened_run_folder(
        config.output_dir,
        config.overwrite_output_dir,
        config.resume_from_checkpoint,
        has_begun=lambda: trainer.state.global_step > 0,
    ) as (folder, checkpoint):
        write_settings(folder, "finetune", arguments=arguments, config=config)
        cost = train(trainer, config, folder, checkpoint)
    trainer.save_model(str(folder))
    metrics = _scored_and_predicted(trainer, data, features, folder)
    _predict_unlabelled(trainer, data, encoded, folder)
    first_gain, last_gain = first_and_last_gain(trainer.state.log_history)
    result = FinetuneResult(
        output_dir=str(folder),
        task=data.name,
        method=config.adv_method,
        metrics=metrics,
        label_names=data.label_names,
        num_train_rows=len(data.splits["train"]),
        num_unlabelled_rows=data.num_unlabelled_rows,
        **asdict(cost),
        first_gain=first_gain,
        last_gain=last_gain,
    )
    if trainer.is_world_process_zero():
        write_json(folder / "results.json", asdict(result))
        write_model_card(
            folder, arguments.model_name_or_path, asdict(result), asdict(config), trainer.method, environment()
        )
    return result


def _task_data(arguments: FinetuneArguments, config: FinetuneConfig, splits: Mapping[str, Dataset] | None) -> TaskData:
    """Loads the task's rows, as many as were asked for, with a test split where it is to be predicted."""
    wanted = ("test",) if config.do_predict or arguments.test_file is not None else ()
    data = load_task_data(arguments, ("train", "validation"), wanted=wanted, splits=splits)
    limits = {"train": arguments.max_train_samples, "validation": arguments.max_eval_samples}
    limited = {split: rows.first(limits.get(split)) for split, rows in data.splits.items()}
    return dataclasses.replace(data, splits=limited)


def _model(base: Checkpoint, data: TaskData) -> PreTrainedModel:
    """Loads the model with a head for the task, and announces one that is new, and padding that is made up."""
    model, new_weights = base.model_and_new_weights(
        data.supervision.auto_class, **data.supervision.head(data.label_names)
    )
    if new_weights:
        logger.warning(
            "%s has no head for this task, or one of another size: a new one is trained (%s)",
            base.name_or_path,
            ", ".join(sorted(new_weights)),
        )
    check_tokenizer_fits(base.tokenizer, model.config)
    if data.supervision.needs_padding_token:
        if take_padding_of(base.tokenizer, model.config):
            logger.warning("%s has no padding token: %r is taken", base.name_or_path, base.tokenizer.pad_token)
        require_padding(base.tokenizer)
        if model.config.get_text_config().pad_token_id is None:
            model.config.get_text_config().pad_token_id = base.tokenizer.pad_token_id
    return model


def _trainer(
    model: PreTrainedModel,
    config: FinetuneConfig,
    data: TaskData,
    features: Mapping[str, Dataset],
    tokenizer: PreTrainedTokenizerBase,
) -> AlumTrainer:
    """Makes a Trainer that scores the validation split while it trains, and stops early if asked to."""
    choose_best_by(data.main_metric, config)

    def validation_scores(prediction: EvalPrediction) -> dict[str, float]:
        return _scores(data, features, prediction.predictions, "validation")

    return AlumTrainer(
        model=model,
        args=config,
        train_dataset=features["train"],
        eval_dataset=features["validation"],
        processing_class=tokenizer,
        data_collator=data.supervision.collator(tokenizer),
        compute_metrics=validation_scores,
        preprocess_logits_for_metrics=data.supervision.gathered,
        kind=data.supervision.kind,
        callbacks=[EarlyStoppingCallback(config.early_stopping_patience)] if config.early_stopping_patience else None,
    )


def _scores(data: TaskData, features: Mapping[str, Dataset], outputs: GatheredOutputs, split: str) -> dict[str, float]:
    predicted = data.supervision.predict(outputs, features[split], data.splits[split])
    return data.score(predicted, split)


def _scored_and_predicted(
    trainer: AlumTrainer, data: TaskData, features: Mapping[str, Dataset], folder: Path
) -> dict[str, float]:
    """Scores each labelled split that was not trained on, and writes its predictions to ``folder``."""
    trainer.compute_metrics = None  # it scores the validation split whatever is predicted; below each gets its own
    metrics: dict[str, float] = {}
    for split in data.splits:
        if split == "train":
            continue
        predicted = trainer.predict(features[split], metric_key_prefix="eval")
        found = _scores(data, features, predicted.predictions, split)
        found = {"loss": (predicted.metrics or {})["eval_loss"], **found}
        metrics |= found if split == "validation" else {f"{split}_{name}": value for name, value in found.items()}
        if trainer.is_world_process_zero():
            write_predictions(folder, split, data, predicted.predictions, features[split])
    return metrics


def _predict_unlabelled(
    trainer: AlumTrainer, data: TaskData, encoded: Callable[[TaskRows], Dataset], folder: Path
) -> None:
    for split, rows in data.unlabelled.items():
        inputs = encoded(rows)
        predicted = trainer.predict(inputs)
        if trainer.is_world_process_zero():
            write_predictions(folder, split, data, predicted.predictions, inputs)
