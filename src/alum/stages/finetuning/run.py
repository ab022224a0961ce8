"""Fine-tuning of a pre-trained model on a task, a named one or the user's own."""

import dataclasses
import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, overload

from datasets import Dataset
from transformers import (
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from alum.core.errors import InputError, unknown_name
from alum.data.rows_in_memory import content_digest, dataset_of
from alum.data.visible_text import counted
from alum.models.checkpoint import Checkpoint
from alum.models.model_in_memory import ModelInMemory
from alum.models.model_parts import check_layer
from alum.models.text_model import on_device
from alum.models.tokenization import Tokenization
from alum.models.tokenizer_fit import check_tokenizer_fits, require_padding, take_padding_of
from alum.models.trial import check_first_pass
from alum.reports.cards.finetuned import CardTask, write_model_card
from alum.reports.cards.training import TrainedBy
from alum.reports.curves import write_loss_curve
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.best_checkpoint import check_best_metric, choose_best_by
from alum.stages.finetuning.changed_texts import check_rows_are_compared, check_sources_of_words, kept_texts
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.own_model import in_labels_of, named_by
from alum.stages.finetuning.predictions import write_predictions
from alum.stages.finetuning.result import FinetunedModel, FinetuneResult
from alum.stages.finetuning.task_data import TaskData, load_task_data
from alum.stages.held_folder import held
from alum.stages.publishing import publish, save_unpushed
from alum.stages.runs.config import explained_settings
from alum.stages.runs.environment import environment
from alum.stages.runs.folder import RESULTS, check_run_folder, write_json
from alum.stages.runs.given import check_no_tokenizer, made
from alum.stages.runs.going_on import TrainingRun, opened_training
from alum.stages.runs.stopping import Interrupted
from alum.stages.runs.training import TrainingCost, train
from alum.tasks.base import GatheredOutputs
from alum.tasks.named import task_named
from alum.tasks.rows import TaskRows
from alum.training.callbacks import EarlyStopping
from alum.training.parts.drawn_texts import RowTexts
from alum.training.records.console import announce
from alum.training.records.logged_gain import first_and_last_gain
from alum.training.trainer import AlumTrainer

logger = logging.getLogger(__name__)


@overload
def finetune(
    model: FinetuneArguments,
    tokenizer: FinetuneConfig,
    splits: Mapping[str, Dataset] | None = None,
) -> FinetuneResult: ...


@overload
def finetune(
    model: PreTrainedModel | str,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    train_rows: Any,
    validation_rows: Any = None,
    **settings: Any,
) -> FinetunedModel: ...


def finetune(
    model: Any,
    tokenizer: Any = None,
    splits: Mapping[str, Dataset] | None = None,
    train_rows: Any = None,
    validation_rows: Any = None,
    **settings: Any,
) -> FinetuneResult:
    """Fine-tunes a model on a task and saves it, with its tokenizer and label names, for `transformers` to load.

    ``model`` is a path or id, or a ``transformers`` model with its head and ``tokenizer``, which is then trained
    itself, as the Trainer does it. ``train_rows`` and ``validation_rows`` are a `datasets.Dataset`, a pandas data frame
    or a list of dictionaries, the latter only for metrics. ``settings`` are the fields of `FinetuneArguments` and
    `FinetuneConfig`, such as ``text_columns``, ``label_column``, ``adv_method`` and ``num_train_epochs``. The result
    has the model; without an ``output_dir`` nothing is left on the disk.

    Or a `FinetuneArguments` and a `FinetuneConfig` are given, with ``splits`` of rows (``train``, ``validation``, …)
    instead of the files that the arguments name, or without.

    Raises `InputError` for data, settings or checkpoints that cannot be used, before any training.
    """
    if isinstance(model, FinetuneArguments):
        if not isinstance(tokenizer, FinetuneConfig) or settings or not train_rows is validation_rows is None:
            raise InputError("beside FinetuneArguments give a FinetuneConfig, and splits if need be: nothing else.")
        return _finetuned(model, tokenizer, splits, model.checkpoint(model.model_name_or_path))[0]
    if train_rows is None or splits is not None:
        raise InputError("expected train_rows to train on, or FinetuneArguments that name files or a task.")
    given = {"train": train_rows, "validation": validation_rows}
    tables = {split: dataset_of(rows, f"{split}_rows") for split, rows in given.items() if rows is not None}
    if isinstance(model, str):
        check_no_tokenizer(tokenizer)
    base = model if isinstance(model, str) else ModelInMemory.of(model, tokenizer)
    path = base if isinstance(base, str) else base.name_or_path
    arguments, config = _settings({"model_name_or_path": path, **settings})
    source = arguments.checkpoint(path) if isinstance(base, str) else base
    kept = config.output_dir
    with nullcontext(kept) if kept else TemporaryDirectory() as config.output_dir:
        try:
            result, trained = _finetuned(arguments, config, tables, source)
        except Interrupted as stop:
            if kept:
                raise
            message = "stopped, and nothing was kept: give an output_dir to go on from a checkpoint."
            raise Interrupted(message, stop.exit_code) from None
    return FinetunedModel(
        **{**vars(result), "output_dir": kept},
        model=trained,
        tokenizer=source.tokenizer if isinstance(base, str) else tokenizer,
    )


def _settings(given: Mapping[str, Any]) -> tuple[FinetuneArguments, FinetuneConfig]:
    """Settings by name, as the two dataclasses have them; raises `InputError` for those that none of them has."""
    of_task = {one.name for one in dataclasses.fields(FinetuneArguments)}
    of_training = {name: value for name, value in given.items() if name not in of_task}
    known = [one.name for one in dataclasses.fields(FinetuneConfig) if one.init]
    for name in of_training:
        if name not in known:
            raise unknown_name("setting", name, sorted({*of_task, *known}))
    if not of_training.get("output_dir"):
        of_training = {"save_strategy": "no", **of_training}
    arguments = made(FinetuneArguments, {name: value for name, value in given.items() if name in of_task})
    return arguments, made(FinetuneConfig, of_training)


def _finetuned(
    arguments: FinetuneArguments,
    config: FinetuneConfig,
    splits: Mapping[str, Dataset] | None,
    base: Checkpoint | ModelInMemory,
) -> tuple[FinetuneResult, PreTrainedModel]:
    with held(config.output_dir):
        return _trained_and_scored(arguments, config, splits, base)


def _trained_and_scored(
    arguments: FinetuneArguments,
    config: FinetuneConfig,
    splits: Mapping[str, Dataset] | None,
    base: Checkpoint | ModelInMemory,
) -> tuple[FinetuneResult, PreTrainedModel]:
    check_run_folder(config.output_dir, config.overwrite_output_dir, config.resume_from_checkpoint)
    if (method := config.method()).alpha > 0:  # before data are read, which may take long
        check_layer(method.layer, base.config, base.name_or_path)
    data = _task_data(arguments, config, splits)
    if isinstance(base, ModelInMemory):
        data = in_labels_of(base, data)
    tokenization = Tokenization(
        base.tokenizer, base.input_length_tokens(arguments.max_seq_length, data.max_length_tokens)
    )

    def encoded(rows: TaskRows) -> Dataset:
        return data.supervision.encode(rows, tokenization)

    announce(config, f"Tokenizing {counted(sum(map(len, data.splits.values())), 'row')}")
    features = {split: encoded(rows) for split, rows in data.splits.items()}
    set_seed(config.seed)
    model = _model(base, data)
    check_best_metric(config, data, model, tokenization)
    first_rows = list(features["train"].take(2))  # before texts stand beside what the model takes
    texts = kept_texts(arguments, config, data, features, tokenization)
    trainer = _trainer(model, config, data, features, base.tokenizer, texts)
    check_first_pass(
        model, on_device(data.supervision.collator(base.tokenizer)(first_rows), model.device), base.name_or_path
    )
    rows = {split: content_digest(found) for split, found in features.items()}
    with opened_training(trainer, config, "finetune", arguments=arguments, rows=rows) as run:
        if run.is_finished:
            return _finished(trainer, run), model
        cost = train(trainer, config, run.folder, run.checkpoint, run.write_settings)
    save_unpushed(trainer, run.folder)
    metrics = _scored_and_predicted(trainer, data, features, run.folder)
    _predict_unlabelled(trainer, data, encoded, run.folder)
    result = _result(trainer, data, metrics, cost, run.folder)
    if trainer.is_world_process_zero():
        write_json(run.folder / RESULTS, asdict(result))
        _write_card(arguments, data, trainer, result, run.folder)
        run.finish()
    publish(trainer, run.folder)
    return result, model


def _finished(trainer: AlumTrainer, run: TrainingRun) -> FinetuneResult:
    """Result of a finished run, whose weights the model then has."""
    trainer._load_from_checkpoint(str(run.folder))
    result = run.result(FinetuneResult)
    return dataclasses.replace(result, label_names=tuple(result.label_names))


def _result(
    trainer: AlumTrainer, data: TaskData, metrics: dict[str, float], cost: TrainingCost, folder: Path
) -> FinetuneResult:
    first_gain, last_gain = first_and_last_gain(trainer.state.log_history)
    return FinetuneResult(
        output_dir=str(folder),
        task=data.name,
        method=trainer.args.adv_method,
        metrics=metrics,
        label_names=data.label_names,
        num_train_rows=len(data.splits["train"]),
        num_rows_by_file=data.splits["train"].table.num_rows_by_file,
        num_unlabelled_rows=data.num_unlabelled_rows,
        **asdict(cost),
        first_gain=first_gain,
        last_gain=last_gain,
    )


def _write_card(
    arguments: FinetuneArguments, data: TaskData, trainer: AlumTrainer, result: FinetuneResult, folder: Path
) -> None:
    """Writes the card of a finished run, and the picture of its losses that the card shows."""
    write_loss_curve(folder)
    task = CardTask(
        data.supervision,
        len(data.splits["train"].layout.text),
        task_named(arguments.task) if arguments.task else None,
        {split: len(rows) for split, rows in data.splits.items() if split != "train"},
    )
    trained = TrainedBy(asdict(trainer.args), trainer.method, environment())
    write_model_card(folder, arguments.model_name_or_path, task, asdict(result), trained)


def _task_data(arguments: FinetuneArguments, config: FinetuneConfig, splits: Mapping[str, Dataset] | None) -> TaskData:
    """Loads the task's rows, as many as were asked for, with a test split where it is to be predicted.

    Raises `InputError`, before they are encoded, also where texts of theirs cannot be changed.
    """
    check_sources_of_words(arguments, config)
    wanted = ("test",) if config.do_predict or arguments.test_file is not None else ()
    needs = ("train", "validation") if splits is None or "validation" in splits else ("train",)
    if "validation" not in needs and config.eval_strategy != "no":
        raise InputError("eval_strategy needs rows to evaluate on: give validation_rows, or leave it out.")
    data = load_task_data(arguments, needs, wanted=wanted, splits=splits)
    check_rows_are_compared(config, data)
    splits_taken = {**data.splits, "train": _train_rows(data.splits["train"], arguments, config)}
    if "validation" in splits_taken:  # the same rows whatever the seed of a training
        splits_taken["validation"] = splits_taken["validation"].some(arguments.max_eval_samples, seed=0)
    return dataclasses.replace(data, splits=splits_taken)


def _train_rows(rows: TaskRows, arguments: FinetuneArguments, config: FinetuneConfig) -> TaskRows:
    """Rows to train on: of several files by their weights, and where there are too many, some of each by chance."""
    if arguments.train_weights:
        rows = rows.weighed(arguments.train_file, arguments.train_weights, config.seed)
    return rows.some(arguments.max_train_samples, config.seed)


def _model(base: Checkpoint | ModelInMemory, data: TaskData) -> PreTrainedModel:
    """Loads the model with a head for the task, and announces one that is new, and padding that is made up."""
    if isinstance(base, ModelInMemory):
        model, new_weights = named_by(base.model, data.label_names), set[str]()
    else:
        head = data.supervision.head(data.label_names)
        model, new_weights = base.model_and_new_weights(data.supervision.auto_class, **head)
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
    texts: RowTexts | None,
) -> AlumTrainer:
    """Makes a Trainer that scores the validation split while it trains, and stops early if asked to."""
    choose_best_by(data.main_metric, config)

    def validation_scores(prediction: EvalPrediction) -> dict[str, float]:
        return _scores(data, features, prediction.predictions, "validation")

    with explained_settings():
        return AlumTrainer(
            model=model,
            args=config,
            train_dataset=features["train"],
            eval_dataset=features.get("validation"),
            processing_class=tokenizer,
            data_collator=data.supervision.collator(tokenizer),
            compute_metrics=validation_scores,
            preprocess_logits_for_metrics=data.supervision.gathered,
            kind=data.supervision.kind,
            texts=texts,
            callbacks=[EarlyStopping(config.early_stopping_patience)] if config.early_stopping_patience else None,
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
