"""Evaluating a fine-tuned model: clean, with typing errors, under attack."""

import dataclasses
from dataclasses import asdict, dataclass
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel

from alum.attacks.embedding_pgd import EmbeddingPGD
from alum.attacks.typing_noise import with_typing_errors
from alum.core.errors import InputError
from alum.core.methods import method_named
from alum.data.table import Table
from alum.evaluation.model_on_task import ModelOnTask
from alum.models.loading import input_length_tokens, load_tokenizer, load_trained_model
from alum.stages.evaluation_arguments import EvaluateArguments
from alum.stages.run_folder import check_run_folder, open_run_folder, write_json, write_settings
from alum.stages.task_data import TaskData, load_task_data
from alum.tasks.kind import Layout
from alum.tasks.regression import REGRESSION
from alum.tasks.sequence_classification import SEQUENCE_CLASSIFICATION

SUITES = ("clean", "typing", "pgd", "gain")
GAIN_METHODS = ("alum", "alum_one_pass", "alum_released", "alum_paper")
GAIN_EPSILON = 0.05
GAIN_ROWS = 256


@dataclass(frozen=True)
class EvaluateResult:
    """Metrics by suite: ``metrics["typing"]["accuracy"]``; the suite ``gain`` has a row for each method."""

    model: str
    task: str
    num_rows: int
    metrics: dict[str, dict[str, float]]


def evaluate(arguments: EvaluateArguments) -> EvaluateResult:
    """Measures a classifier or regressor on the suites; writes ``results.json`` where ``output_dir`` is given."""
    suites = [name.strip() for name in arguments.suite.split(",")]
    for name in suites:
        if name not in SUITES:
            raise InputError(f"unknown suite {name!r}: expected some of {', '.join(SUITES)}.")
    attack = EmbeddingPGD(epsilon=arguments.epsilon, num_steps=arguments.num_steps, seed=arguments.seed)
    if arguments.output_dir:
        check_run_folder(arguments.output_dir, arguments.overwrite_output_dir)
    data = load_task_data(arguments, needs=("validation",))
    if data.kind not in (SEQUENCE_CLASSIFICATION, REGRESSION):
        raise InputError(f"alum evaluate measures classification and regression so far, not {data.kind.name}.")
    rows = data.splits["validation"].first(arguments.max_eval_samples)
    tokenizer = load_tokenizer(arguments.model_name_or_path, arguments.trust_remote_code)
    model = load_trained_model(data.kind.auto_class, arguments.model_name_or_path, arguments.trust_remote_code)
    data = _with_labels_of(model, data, arguments.task)
    measured = ModelOnTask(model, tokenizer, data.kind, arguments.per_device_eval_batch_size)
    length = input_length_tokens(arguments.model_name_or_path, arguments.max_seq_length, data.max_length_tokens)
    clean = data.supervision.encode(rows, data.layout, tokenizer, length)
    folder = None
    if arguments.output_dir:
        folder, _ = open_run_folder(arguments.output_dir, arguments.overwrite_output_dir)

    def scores(features: Dataset, attack: EmbeddingPGD | None = None) -> dict[str, float]:
        outputs = measured.outputs(features, attack)
        predicted = data.supervision.predict(outputs, features, rows, data.layout)
        return data.supervision.score(predicted, rows, data.layout)

    metrics: dict[str, dict[str, float]] = {}
    for name in suites:
        if name == "clean":
            metrics[name] = scores(clean)
        elif name == "typing":
            noisy = _mistyped(rows, data.layout, arguments.typing_error_rate, arguments.seed)
            metrics[name] = scores(data.supervision.encode(noisy, data.layout, tokenizer, length))
        elif name == "pgd":
            metrics[name] = scores(clean, attack)
        else:
            metrics[name] = gains(measured, clean.select(range(min(GAIN_ROWS, len(clean)))))
    result = EvaluateResult(arguments.model_name_or_path, data.name, len(rows), metrics)
    if folder is not None:
        write_settings(folder, "evaluate", arguments=arguments)
        write_json(folder / "results.json", asdict(result))
    return result


def gains(measured: ModelOnTask, examples: Dataset) -> dict[str, float]:
    """The adversarial gain of methods on one model, those with a relative ball at relative epsilon 0.05."""
    found = {}
    for name in GAIN_METHODS:
        method = method_named(name)
        if method.epsilon_unit == "relative":
            method = method_named(name, epsilon=GAIN_EPSILON)
        found[name] = measured.gain(examples, method)
    return found


def _mistyped(table: Table, layout: Layout, error_rate: float, seed: int) -> Table:
    rows = table.rows
    for column in layout.text:
        mistyped = [with_typing_errors(text, error_rate, seed) for text in rows[column]]
        rows = rows.remove_columns(column).add_column(column, mistyped)
    return Table(rows, table.where, table.numbers)


def _output_names(model: PreTrainedModel) -> tuple[str, ...]:
    names: dict[Any, str] = model.config.id2label or {}
    return tuple(names[index] for index in sorted(names))


def _with_labels_of(model: PreTrainedModel, data: TaskData, task: str | None) -> TaskData:
    """The data with its labels in the order of the model's outputs, which may know more labels than a file shows.

    Raises `InputError` where the two do not go together.
    """
    names, own = data.layout.label_names, _output_names(model)
    if data.kind is REGRESSION:
        fits = len(own) == 1
    elif task is not None:  # its integer labels have a meaning, which no model's order may change
        lower, own_lower = [name.lower() for name in names], [name.lower() for name in own]
        fits = len(own) == len(names) and (own_lower == lower or set(own_lower) != set(lower))
    elif set(names) <= set(own) or (all(name.isdigit() for name in names) and len(names) <= len(own)):
        return dataclasses.replace(data, layout=dataclasses.replace(data.layout, label_names=own))
    else:
        fits = len(own) == len(names) and own[0] == "LABEL_0"  # a model that does not name its labels
    if not fits:
        raise InputError(
            f"the model's outputs are {', '.join(own)}, but the labels of {data.name} are "
            f"{', '.join(names) or 'numbers'}: evaluate a model that was fine-tuned on this task."
        )
    return data
