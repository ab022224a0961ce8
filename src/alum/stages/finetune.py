"""Fine-tuning on a task: a named one or the user's own."""

from dataclasses import asdict, dataclass
from typing import Any

from datasets import Dataset, DatasetDict, load_dataset
from transformers import DataCollatorWithPadding, EvalPrediction, set_seed

from alum.core.errors import InputError
from alum.data.tables import load_folder, load_table, require_columns
from alum.models.loading import input_length_tokens, load_model, load_tokenizer
from alum.stages.arguments import EvaluateArguments, FinetuneArguments, FinetuneConfig
from alum.stages.run_folder import open_run_folder, write_json, write_settings
from alum.stages.training_run import train
from alum.tasks.examples import Columns, encode, label_names_of, without_unlabelled
from alum.tasks.kind import TaskKind
from alum.tasks.named import task_named
from alum.tasks.regression import REGRESSION
from alum.tasks.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.training.trainer import AlumTrainer

DEFAULT_LENGTH_TOKENS = 128


@dataclass(frozen=True)
class FinetuneResult:
    """Validation metrics by name (rates in [0, 1]) and the cost."""

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


@dataclass(frozen=True)
class TaskData:
    """A task's rows and what their columns mean."""

    name: str
    kind: TaskKind
    columns: Columns
    splits: DatasetDict
    where: str
    num_unlabelled_rows: int
    max_length_tokens: int


def finetune(arguments: FinetuneArguments, config: FinetuneConfig) -> FinetuneResult:
    """Fine-tunes a model on a task and saves it, with its tokenizer and label names, for `transformers` to load.

    Raises `InputError` for data, settings or checkpoints that cannot be used, before any training.
    """
    data = load_task_data(arguments, needs=("train", "validation"))
    tokenizer = load_tokenizer(arguments.model_name_or_path, arguments.trust_remote_code)
    length = input_length_tokens(arguments.model_name_or_path, arguments.max_seq_length, data.max_length_tokens)
    sets = {}
    for split, limit in (("train", arguments.max_train_samples), ("validation", arguments.max_eval_samples)):
        rows = _first(data.splits[split], limit)
        sets[split] = encode(rows, data.columns, data.kind, tokenizer, length, f"{data.where} ({split})")
    folder, checkpoint = open_run_folder(config.output_dir, config.overwrite_output_dir, config.resume_from_checkpoint)
    set_seed(config.seed)
    model = load_model(
        data.kind.auto_class, arguments.model_name_or_path, arguments.trust_remote_code, **head_settings(data)
    )
    trainer = AlumTrainer(
        model=model,
        args=config,
        train_dataset=sets["train"],
        eval_dataset=sets["validation"],
        processing_class=tokenizer,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda p: _metrics(data.kind, p),
        kind=data.kind,
    )
    write_settings(folder, "finetune", arguments=arguments, config=config)
    cost = train(trainer, config, folder, checkpoint)
    measured = trainer.evaluate()
    trainer.save_model(str(folder))
    result = FinetuneResult(
        output_dir=str(folder),
        task=data.name,
        method=config.adv_method,
        metrics={name: measured[f"eval_{name}"] for name in ("loss", *_metric_names(measured))},
        label_names=data.columns.label_names,
        num_train_rows=len(sets["train"]),
        num_unlabelled_rows=data.num_unlabelled_rows,
        **asdict(cost),
    )
    write_json(folder / "results.json", asdict(result))
    return result


def load_task_data(arguments: FinetuneArguments | EvaluateArguments, needs: tuple[str, ...]) -> TaskData:
    """The rows that the arguments name, from a folder, files or the hub, without unlabelled ones."""
    task = task_named(arguments.task) if arguments.task else None
    splits, where = _splits(arguments, needs)
    if task is not None:
        text, label = task.text_columns, task.label_column
    elif arguments.text_columns and arguments.label_column:
        text, label = (), ""
    else:
        raise InputError("say what the columns mean: give --task, or --text_columns and --label_column.")
    if arguments.text_columns:
        text = tuple(name.strip() for name in arguments.text_columns.split(","))
    label = arguments.label_column or label
    if not 1 <= len(text) <= 2:
        raise InputError(f"text_columns must name one column, or two for pairs, not {len(text)}.")
    dropped = 0
    for split in needs:
        require_columns(splits[split], [*text, label], f"{where} ({split})")
        labelled = without_unlabelled(splits[split], label)
        dropped += len(splits[split]) - len(labelled)
        splits[split] = labelled
    first = splits[needs[0]]
    if task is not None:
        kind, names = task.kind, task.label_names
    elif first.features[label].dtype.startswith("float"):
        kind, names = REGRESSION, ()
    else:
        kind, names = SEQUENCE_CLASSIFICATION, label_names_of(first, label)
    return TaskData(
        name=task.name if task else where,
        kind=kind,
        columns=Columns(text, label, names),
        splits=splits,
        where=where,
        num_unlabelled_rows=dropped,
        max_length_tokens=task.max_length_tokens if task else DEFAULT_LENGTH_TOKENS,
    )


def head_settings(data: TaskData) -> dict[str, Any]:
    """The part of a model's configuration that follows from the task."""
    if data.kind is REGRESSION:
        return {"num_labels": 1, "problem_type": "regression"}
    names = data.columns.label_names
    if len(names) < 2:
        raise InputError(f"{data.where}: expected at least two labels in column {data.columns.label!r}, not {names}.")
    return {
        "num_labels": len(names),
        "id2label": dict(enumerate(names)),
        "label2id": {name: i for i, name in enumerate(names)},
        "problem_type": "single_label_classification",
    }


def _splits(arguments: FinetuneArguments | EvaluateArguments, needs: tuple[str, ...]) -> tuple[DatasetDict, str]:
    files = {split: getattr(arguments, f"{split}_file", None) for split in needs}
    if arguments.data_dir:
        splits, where = load_folder(arguments.data_dir), arguments.data_dir
    elif any(files.values()):
        splits = DatasetDict({split: load_table(file) for split, file in files.items() if file})
        where = ", ".join(filter(None, files.values()))
    elif arguments.task:
        task = task_named(arguments.task)
        where = "/".join(filter(None, (task.hub_id, task.hub_config)))
        try:
            splits = load_dataset(task.hub_id, task.hub_config)
        except Exception as error:
            reason = (str(error) or repr(error)).splitlines()[0]
            raise InputError(
                f"{where} cannot be loaded from the hub ({reason}). Without a network give --data_dir."
            ) from None
    else:
        raise InputError("no data: give --data_dir, --train_file and --validation_file, or --task.")
    for split in needs:
        if split not in splits:
            raise InputError(f"{where} has no {split} split, only {', '.join(splits)}: give --{split}_file.")
    return splits, where


def _metrics(kind: TaskKind, prediction: EvalPrediction) -> dict[str, float]:
    logits, labels = prediction.predictions, prediction.label_ids
    first = logits[0] if isinstance(logits, tuple) else logits
    return kind.metrics(first, labels[0] if isinstance(labels, tuple) else labels)


def _metric_names(measured: dict[str, float]) -> list[str]:
    skipped = ("loss", "runtime", "samples_per_second", "steps_per_second", "epoch")
    return [name.removeprefix("eval_") for name in measured if name.removeprefix("eval_") not in skipped]


def _first(rows: Dataset, count: int | None) -> Dataset:
    return rows if count is None else rows.select(range(min(count, len(rows))))
