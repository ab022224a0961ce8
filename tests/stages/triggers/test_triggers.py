import contextlib
import io
import json
import re

import pytest

from alum.attacks.text.protocol import Misclassified
from alum.attacks.text.searches.universal_trigger import TriggeredRow
from alum.core.errors import InputError
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.run import evaluate
from alum.stages.triggers.arguments import TriggersArguments
from alum.stages.triggers.run import random_triggers, triggers
from tiny_texts import opinions, write_rows
from word_resources import BagOfWordsGradients

COLUMNS = {"text_columns": "text", "label_column": "label"}


@pytest.fixture(scope="module")
def found(finetuned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("triggers")
    file = write_rows(folder / "rows.jsonl", opinions(48, seed=2))
    settings = {"label": "good", "num_words": 2, "output_dir": str(folder / "out"), **COLUMNS}
    arguments = TriggersArguments(model_name_or_path=finetuned.output_dir, validation_file=str(file), **settings)
    progress = io.StringIO()
    with contextlib.redirect_stderr(progress):
        return triggers(arguments), folder, progress.getvalue()


def test_the_trigger_does_what_is_said_of_it_when_its_rows_are_evaluated(found, finetuned, tmp_path, capsys):
    """Of all right rows of the label, those of the search and the held-out ones, so many are wrong after it."""
    result, folder, progress = found
    rows = [row for row in opinions(48, seed=2) if row["label"] == "good"]

    def num_right(rows):
        file = write_rows(tmp_path / "rows.jsonl", rows)
        measured = evaluate(
            EvaluateArguments(
                model_name_or_path=[finetuned.output_dir], validation_file=str(file), attacks=["none"], **COLUMNS
            )
        )
        return round(measured.score("accuracy") * len(rows))

    total = result.num_search_rows + result.num_held_out_rows
    assert total == num_right(rows)
    assert total == len(rows), "right before, or the rows that were turned cannot be told from the others"
    turned = result.success_rate * result.num_held_out_rows + result.search_success_rate * result.num_search_rows
    assert total - num_right([{**row, "text": f"{result.trigger} {row['text']}"} for row in rows]) == round(turned)
    assert result.success_rate >= result.random_success_rate
    assert len(result.trigger.split()) == 2
    assert json.loads((folder / "out" / "triggers.json").read_text())["trigger"] == result.trigger
    assert re.search(r"^looking for a trigger: \d+ rounds in \d", progress, re.MULTILINE)
    result.show()
    shown = capsys.readouterr().out
    assert f"Trigger: {result.trigger}" in shown
    assert f"{total} of {len(rows)} rows were right, drawn of {len(rows)} of the label good." in shown


def test_rows_are_drawn_of_those_of_the_label(finetuned, tmp_path):
    rows = opinions(48, seed=2)
    file = write_rows(tmp_path / "rows.jsonl", rows)
    settings = {"label": "good", "num_words": 1, "max_eval_samples": 12, **COLUMNS}
    result = triggers(TriggersArguments(model_name_or_path=finetuned.output_dir, validation_file=str(file), **settings))
    num_of_label = sum(row["label"] == "good" for row in rows)
    assert (result.num_rows, result.num_rows_available) == (12, num_of_label)
    assert result.num_search_rows + result.num_held_out_rows <= 12


def test_random_words_beside_a_trigger_are_no_negations():
    words = ("zulu", "yankee", "never", "Nothing", "without", "hardly")
    arguments = TriggersArguments(model_name_or_path="", validation_file="", num_words=5)
    row = TriggeredRow(("a text",), Misclassified(1), -1)
    drawn = random_triggers(arguments, row, BagOfWordsGradients({}, words))
    assert all(len(one) == 5 for one in drawn)
    assert {word for one in drawn for word in one} == {"zulu", "yankee"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": "fine"}, "unknown label 'fine'"),
        ({"kind": "regression"}, "expected rows of a sequence classifier, but rows is regression"),
    ],
)
def test_what_has_no_trigger_is_refused(finetuned, tmp_path, settings, message):
    rows = opinions(8) if "kind" not in settings else [{"text": "a", "label": 1.5}, {"text": "b", "label": 2.5}]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    arguments = TriggersArguments(
        model_name_or_path=finetuned.output_dir, validation_file=str(file), **COLUMNS, **settings
    )
    with pytest.raises(InputError, match=message):
        triggers(arguments)
