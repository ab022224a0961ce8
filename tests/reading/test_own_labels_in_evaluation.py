"""Labels of rows of one's own are those of the model, by their names, in whatever type a file has them."""

from dataclasses import dataclass

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from alum.core.errors import InputError
from alum.stages.evaluation.suite_data import SuiteSpec, load_suite
from alum.tasks.labels import label_ids
from reading_cases import write


@dataclass
class Arguments:
    text_columns: str = "text"
    label_column: str = "label"
    kind: str | None = None
    choice_columns: str | None = None
    max_eval_samples: int | None = None
    seed: int = 0


def declared(labels, names):
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    return Dataset.from_dict({"text": ["x"] * len(labels), "label": labels}, features=features)


TRUE_FIRST = ("true", "false")
CSV, JSONL = "text,label\nsun,{}\nrain,{}\n", '{{"text": "sun", "label": {}}}\n{{"text": "rain", "label": {}}}\n'

# Names of the model's outputs, the file, and the output that is right for each row.
LABELS = {
    "truth values in CSV": (TRUE_FIRST, "a.csv", CSV.format("true", "false"), [0, 1]),
    "truth values in JSON": (TRUE_FIRST, "a.jsonl", JSONL.format("true", "false"), [0, 1]),
    "truth values as text": (TRUE_FIRST, "a.jsonl", JSONL.format('"true"', '"false"'), [0, 1]),
    "truth values in capitals": (TRUE_FIRST, "a.csv", CSV.format("True", "False"), [0, 1]),
    "names in another order": (("good", "bad"), "a.csv", CSV.format("bad", "good"), [1, 0]),
    "names in other letters": (("Good", "Bad"), "a.csv", CSV.format("bad", "good"), [1, 0]),
    "positions": (("good", "bad"), "a.csv", CSV.format(1, 0), [1, 0]),
    "positions as floats": (("good", "bad"), "a.csv", CSV.format("1.0", "0.0"), [1, 0]),
    "one position of several": (("bad", "fair", "good"), "a.jsonl", JSONL.format(2, 2), [2, 2]),
    "numbers that are names": (("1", "2", "3"), "a.csv", CSV.format(2, 1), [1, 0]),
    "numbers that are names in another order": (("2", "1"), "a.jsonl", JSONL.format(2, 1), [0, 1]),
    "declared classes in another order": (("pos", "neg"), "a.parquet", declared([0, 1], ["neg", "pos"]), [1, 0]),
    "declared classes that are numbers": (("bad", "good"), "a.parquet", declared([1, 0], ["0", "1"]), [1, 0]),
}


@pytest.mark.parametrize("name", LABELS)
def test_the_right_output_is_found_by_name(name, tmp_path):
    model_names, file, content, expected = LABELS[name]
    write(tmp_path, file, content)
    suite = load_suite(SuiteSpec("own", str(tmp_path / file)), Arguments())
    data, mapping = suite.in_labels_of(model_names)
    output_of = {label: output for output, label in enumerate(mapping.labels)}
    assert [output_of[label] for label in label_ids(data.rows)] == expected


@pytest.mark.parametrize(
    ("model_names", "labels"),
    [
        (("good", "bad"), (1, 2)),  # counted from 1
        (("1", "2", "x"), (0, 1)),  # 0 is no name, and where 1 is one it is no position
        (("good", "bad"), (1, -1)),
    ],
)
def test_numbers_that_fit_no_output_are_refused(model_names, labels, tmp_path):
    write(tmp_path, "a.csv", CSV.format(*labels))

    def read():
        data, _ = load_suite(SuiteSpec("own", str(tmp_path / "a.csv")), Arguments()).in_labels_of(model_names)
        return label_ids(data.rows)

    with pytest.raises(InputError, match="label"):
        read()
