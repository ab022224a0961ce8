"""Loading of a classifier and of the rows that it is asked about."""

from collections.abc import Callable
from dataclasses import dataclass

from alum.attacks.text.protocol import Misclassified
from alum.attacks.text.searches.gradients import Gradients
from alum.attacks.text.worded import Example
from alum.core.errors import InputError
from alum.evaluation.kinds.base import AttackedKind, TextVictim
from alum.evaluation.measured_model import LoadedModel, Reading
from alum.stages.classified_rows.arguments import ClassifiedRowsArguments
from alum.stages.evaluation.suite_data import SuiteSpec, load_suite


@dataclass(frozen=True)
class ClassifiedRow:
    """Number of a row in its file, its example and label, and the index of the text that may be changed."""

    number: int
    example: Example
    label: int
    text: int


@dataclass(frozen=True)
class ClassifiedRows:
    """Classifier with the rows that it is asked about, drawn of all, their text columns, and its labels' names."""

    rows: list[ClassifiedRow]
    num_rows_available: int
    text_columns: tuple[str, ...]
    label_names: tuple[str, ...]
    victim: TextVictim
    gradients: Callable[[], Gradients]


def load_classified_rows(arguments: ClassifiedRowsArguments) -> ClassifiedRows:
    """Loads a classifier and its rows; raises `InputError` for others, and what cannot be loaded."""
    file, name = arguments.validation_file, arguments.model_name_or_path
    suite = load_suite(SuiteSpec.of_file(file, arguments.task), arguments)
    if not isinstance(suite.evaluated, AttackedKind) or not suite.evaluated.has_gradients:
        kind = suite.evaluated.name.replace("_", " ")
        raise InputError(f"expected rows of a sequence classifier, but {suite.name} is {kind}.")
    model = LoadedModel.of(name, arguments.checkpoint(name), suite.evaluated)
    data, mapping = suite.in_labels_of(model.source.label_names)
    evaluated = data.evaluated
    assert isinstance(evaluated, AttackedKind)
    reading = Reading(arguments.max_seq_length, suite.max_length_tokens, arguments.per_device_eval_batch_size)
    on_task = model.on_task(evaluated, mapping, reading)
    on_task.check_first_pass(data.rows, name)
    rows = [
        ClassifiedRow(number, row.example, row.goal.label, row.attacked_texts[0])
        for number, row in zip(data.rows.numbers, evaluated.attackable_rows(data.rows, 0.0), strict=True)
        if isinstance(row.goal, Misclassified)
    ]
    return ClassifiedRows(
        rows,
        data.num_rows_available,
        data.rows.layout.text,
        data.rows.label_names,
        on_task.victim(data.rows),
        lambda: evaluated.gradients(on_task.text_model, on_task.mapping),
    )
