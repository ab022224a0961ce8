"""Evaluations that are stopped anywhere and gone on with find what an undisturbed one does, to the last digit."""

import random

import pytest
from transformers import BertModel

from alum.evaluation.scores.row_records import RowRecords
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.run import evaluate
from alum.stages.runs.stopping import Interrupted
from tiny_stages import save_untrained
from tiny_texts import opinions, tree, write_rows

NUM_ROWS = 24
ATTACKS = ["typing", "pgd", "deepwordbug", "masked_lm", "bert_attack", "hotflip"]


@pytest.fixture(scope="module")
def settings(finetuned, tmp_path_factory):
    """Of texts that differ in length, so that a row's batch has other rows and padding where others are measured."""
    folder = tmp_path_factory.mktemp("resumed")
    rng = random.Random(0)
    rows = [{**row, "text": " ".join([row["text"]] * rng.randint(1, 3))} for row in opinions(NUM_ROWS, seed=1)]
    encoder = save_untrained(folder / "encoder")
    BertModel.from_pretrained(encoder).save_pretrained(encoder)
    return {
        "model_name_or_path": [finetuned.output_dir],
        "validation_file": str(write_rows(folder / "rows.jsonl", rows)),
        "text_columns": "text",
        "label_column": "label",
        "attacks": ATTACKS,
        "epsilons": [0.1, 0.5],
        "num_steps": 2,
        "check_gradient_masking": False,
        "masked_lm": str(save_untrained(folder / "masked_lm")),
        "similarity_model": str(encoder),
        "min_similarity": 0.5,
        "max_queries": 15,
        "per_device_eval_batch_size": 8,
    }


@pytest.fixture(scope="module")
def undisturbed(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "out"
    evaluate(EvaluateArguments(**settings, output_dir=str(folder)))
    return rows_in(folder)


def rows_in(folder):
    return {name: content for name, content in tree(folder / "rows").items() if name.endswith(".jsonl")}


@pytest.mark.slow
@pytest.mark.parametrize("stops", [[1], [27, 73], [98, 7, 23]])
@pytest.mark.timeout(300)
def test_it_finds_the_same_to_the_last_digit(settings, undisturbed, monkeypatch, tmp_path, stops):
    """Stopped after so many records of each of its processes."""
    add = RowRecords.add
    arguments = EvaluateArguments(**settings, output_dir=str(tmp_path / "out"))
    for num_records in stops:
        left = iter(range(num_records))

        def add_or_stop(records, rows, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt
            add(records, rows)

        with monkeypatch.context() as patched:
            patched.setattr(RowRecords, "add", add_or_stop)
            with pytest.raises(Interrupted):
                evaluate(arguments)
    evaluate(arguments)
    assert rows_in(tmp_path / "out") == undisturbed
    assert sum(content.count(b"\n") for content in undisturbed.values()) == NUM_ROWS * (len(ATTACKS) + 2)
