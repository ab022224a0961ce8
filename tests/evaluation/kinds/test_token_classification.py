import numpy as np
import pytest
from datasets import Dataset

from alum.data.table import Table
from alum.evaluation.kinds.lookup import evaluated_kind
from alum.tasks.layout import Layout
from alum.tasks.lookup import SUPERVISED
from alum.tasks.rows import TaskRows

IOB = ("O", "B-person", "I-person", "B-place", "I-place")
WORDS = ("noun", "verb", "article", "adverb", "other")


def rows_of(tags, names=IOB):
    words = [[f"w{i}" for i in range(len(row))] for row in tags]
    table = Table.of(Dataset.from_dict({"tokens": words, "tags": tags}), "made up")
    return TaskRows(table, Layout(text=("tokens",), label="tags")).with_label_names(names)


@pytest.mark.parametrize("names", [IOB, WORDS])
def test_f1_from_sums_is_the_score_of_any_rows(names):
    random = np.random.default_rng(0)
    gold = [random.integers(0, 5, size=random.integers(1, 9)).tolist() for _ in range(30)]
    noisy = [[tag if random.random() < 0.7 else int(random.integers(0, 5)) for tag in row] for row in gold]
    predictions = [[names[tag] for tag in row] for row in noisy]
    rows, kind = rows_of(gold, names), evaluated_kind(SUPERVISED["token_classification"])
    metric = kind.set_metric("f1", predictions, rows)
    assert len(metric.rows) == 30
    for chosen in (range(30), [0], [4, 9, 20]):
        part = [predictions[i] for i in chosen]
        expected = kind.supervision.score(part, rows.select(list(chosen)))["f1"]
        assert metric.at(list(chosen)).value == pytest.approx(expected)


def test_rows_without_entities_have_an_f1_of_zero_as_the_score_does():
    kind = evaluated_kind(SUPERVISED["token_classification"])
    rows = rows_of([[0, 0], [0]])
    assert kind.set_metric("f1", [["O", "O"], ["O"]], rows).value == 0.0
    assert kind.supervision.score([["O", "O"], ["O"]], rows)["f1"] == 0.0
