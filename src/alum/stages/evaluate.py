"""Evaluating a fine-tuned model: clean, with typing errors, under attack."""

from dataclasses import asdict, dataclass

from datasets import Dataset
from transformers import PreTrainedModel

from alum.attacks.embedding_pgd import EmbeddingPGD
from alum.attacks.typing_noise import with_typing_errors
from alum.core.errors import InputError
from alum.core.methods import method_named
from alum.data.table import Table
from alum.evaluation.classification import Classifier
from alum.models.loading import input_length_tokens, load_model, load_tokenizer
from alum.stages.arguments import EvaluateArguments
from alum.stages.run_folder import open_run_folder, write_json, write_settings
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
    data = load_task_data(arguments, needs=("validation",))
    if data.kind not in (SEQUENCE_CLASSIFICATION, REGRESSION):
        raise InputError(f"alum evaluate measures classification and regression so far, not {data.kind.name}.")
    rows = data.splits["validation"].first(arguments.max_eval_samples)
    tokenizer = load_tokenizer(arguments.model_name_or_path, arguments.trust_remote_code)
    model = load_model(data.kind.auto_class, arguments.model_name_or_path, arguments.trust_remote_code)
    _check_labels(model, data)
    classifier = Classifier(model, tokenizer, data.kind, arguments.per_device_eval_batch_size)
    length = input_length_tokens(arguments.model_name_or_path, arguments.max_seq_length, data.max_length_tokens)
    clean = data.supervision.encode(rows, data.layout, tokenizer, length)
    folder = None
    if arguments.output_dir:
        folder, _ = open_run_folder(arguments.output_dir, arguments.overwrite_output_dir)

    def scores(features: Dataset, attack: EmbeddingPGD | None = None) -> dict[str, float]:
        outputs, _ = classifier.logits(features, attack)
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
            attack = EmbeddingPGD(epsilon=arguments.epsilon, num_steps=arguments.num_steps, seed=arguments.seed)
            metrics[name] = scores(clean, attack)
        else:
            metrics[name] = gains(classifier, clean.select(range(min(GAIN_ROWS, len(clean)))))
    result = EvaluateResult(arguments.model_name_or_path, data.name, len(rows), metrics)
    if folder is not None:
        write_settings(folder, "evaluate", arguments=arguments)
        write_json(folder / "results.json", asdict(result))
    return result


def gains(classifier: Classifier, examples: Dataset) -> dict[str, float]:
    """The adversarial gain of methods on one model, those with a relative ball at relative epsilon 0.05."""
    found = {}
    for name in GAIN_METHODS:
        method = method_named(name)
        if method.epsilon_unit == "relative":
            method = method_named(name, epsilon=GAIN_EPSILON)
        found[name] = classifier.gain(examples, method)
    return found


def _mistyped(table: Table, layout: Layout, error_rate: float, seed: int) -> Table:
    rows = table.rows
    for column in layout.text:
        mistyped = [with_typing_errors(text, error_rate, seed) for text in rows[column]]
        rows = rows.remove_columns(column).add_column(column, mistyped)
    return Table(rows, table.where, table.numbers)


def _check_labels(model: PreTrainedModel, data: TaskData) -> None:
    expected = len(data.layout.label_names) or 1
    if model.config.num_labels != expected:
        raise InputError(
            f"the model has {model.config.num_labels} outputs, but {data.name} has {expected} labels: "
            "evaluate a model that was fine-tuned on this task."
        )
