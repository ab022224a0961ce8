"""Folders of the commands whose outcome is one record."""

import json

import pytest

from alum.core.errors import InputError
from alum.stages.checklist.arguments import ChecklistArguments
from alum.stages.checklist.run import checklist
from alum.stages.radius.arguments import RadiusArguments
from alum.stages.radius.run import radius
from alum.stages.record_folder import opened_for_record
from alum.stages.reduction.arguments import ReduceArguments
from alum.stages.reduction.run import reduce_inputs
from alum.stages.triggers.arguments import TriggersArguments
from alum.stages.triggers.run import triggers
from tiny_texts import opinions, write_rows

COMMANDS = {
    "radius": (radius, RadiusArguments, "train_file", {"epsilons": [0.1]}),
    "checklist": (checklist, ChecklistArguments, "validation_file", {"tests": ["typo"]}),
    "reduce": (reduce_inputs, ReduceArguments, "validation_file", {}),
    "triggers": (triggers, TriggersArguments, "validation_file", {"num_words": 1}),
}


@pytest.fixture(params=COMMANDS)
def run(request, finetuned, tmp_path):
    """One of the commands, on a folder ``out``, and the file that it writes there."""
    call, arguments, rows, settings = COMMANDS[request.param]
    file = write_rows(tmp_path / "rows.jsonl", opinions(12))

    def run(**more):
        given = {"model_name_or_path": finetuned.output_dir, rows: str(file), "output_dir": str(tmp_path / "out")}
        given |= {"text_columns": "text", "label_column": "label", **settings, **more}
        return call(arguments(**given))

    return run


def records(folder):
    return sorted(path.name for path in folder.glob("*.json") if path.name != "run.json")


def test_what_another_run_wrote_stays_unless_it_may_be_moved_aside(run, tmp_path):
    run()
    (name,) = records(tmp_path / "out")
    record = tmp_path / "out" / name
    before = json.loads(record.read_text())
    record.write_text("{}")
    with pytest.raises(InputError, match=r"other settings.*seed"):
        run(seed=1)
    assert record.read_text() == "{}"
    run()  # the same again
    assert json.loads(record.read_text()) == before
    run(seed=1, overwrite_output_dir=True)
    assert json.loads((tmp_path / "out.old-1" / name).read_text()) == before
    assert json.loads((tmp_path / "out" / "run.json").read_text())["arguments"]["seed"] == 1


def test_a_folder_with_something_else_is_refused_and_one_that_came_to_nothing_is_removed(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="already holds what this command has not begun"):
        run()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    with pytest.raises(InputError):
        run(output_dir=str(tmp_path / "new"), model_name_or_path=str(tmp_path / "no-model"))
    assert not (tmp_path / "new").exists()


def test_no_folder_is_none():
    with opened_for_record(ReduceArguments(model_name_or_path="m", validation_file="v"), "reduce", "r.json") as folder:
        assert folder is None
