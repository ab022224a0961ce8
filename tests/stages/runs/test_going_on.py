"""Fine-tunings that are to go on: what is checked before anything changes, and what is mended."""

import json
import shutil

import pytest
from transformers import BertConfig, BertForMaskedLM

from alum.core.errors import InputError
from alum.stages.finetuning.run import finetune
from alum.training.checkpoint_files import write_manifest
from tiny_stages import finetune_arguments, finetune_config, record, save_untrained
from tiny_texts import opinions, tree, write_rows

STEPS = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "per_device_train_batch_size": 8}


@pytest.fixture(scope="module")
def former(tmp_path_factory):
    """A model, rows, and a finished run of four steps with a checkpoint after each two of them."""
    folder = tmp_path_factory.mktemp("former")
    save_untrained(folder / "model")
    (folder / "data").mkdir()
    write_rows(folder / "data" / "train.jsonl", opinions(40))
    write_rows(folder / "data" / "validation.jsonl", opinions(8, seed=1))
    run(folder)
    return folder


@pytest.fixture
def place(former, tmp_path):
    """A copy of all that, in which paths are those of the copy."""
    shutil.copytree(former, tmp_path, dirs_exist_ok=True)
    for file in (tmp_path / "run").rglob("*.json"):
        text = file.read_text()
        if str(former) in text:
            file.write_text(text.replace(str(former), str(tmp_path)))
    for checkpoint in (tmp_path / "run").glob("checkpoint-*"):
        listed_anew(checkpoint)
    return tmp_path


def listed_anew(checkpoint):
    (checkpoint / "manifest.json").unlink()
    write_manifest(checkpoint)


def run(place, arguments=None, resume_from_checkpoint="auto", **settings):
    given = {**STEPS, "resume_from_checkpoint": resume_from_checkpoint, **settings}
    return finetune(
        finetune_arguments(place / "model", place / "data", **(arguments or {})),
        finetune_config(place / "run", **given),
    )


def refused(place, message, *args, **settings):
    """The run is refused, with one line, and nothing was changed."""
    before = tree(place)
    with pytest.raises(InputError, match=message):
        run(place, *args, **settings)
    assert tree(place) == before


def forget_the_end(place):
    """Makes the run one that was killed after its first checkpoint."""
    for path in (place / "run").iterdir():
        if path.name == "checkpoint-4":
            shutil.rmtree(path)
        elif path.is_file() and path.name not in ("run.json", "metrics.jsonl"):
            path.unlink()


def test_a_finished_run_stays_as_it_is(place):
    before = tree(place)
    result = run(place, logging_steps=3, disable_tqdm=False)
    assert tree(place) == before
    assert json.loads(json.dumps(vars(result))) == record(place / "run" / "results.json")


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({"learning_rate": 0.5}, {}),
        ({"adv_method": "standard"}, {}),
        ({"seed": 7}, {}),
        ({"per_device_train_batch_size": 4}, {}),
        ({"adam_epsilon": 1e-6}, {}),
        ({}, {"max_seq_length": 8}),
    ],
)
def test_settings_that_decide_the_weights(place, settings, arguments):
    forget_the_end(place)
    (name,) = {**settings, **arguments}
    refused(place, f"cannot go on with other settings: {name} was .* and is ", arguments, **settings)


def test_another_model_and_other_rows(place):
    forget_the_end(place)
    shutil.copytree(place / "model", place / "other")
    refused(place, "model_name_or_path was", {"model_name_or_path": str(place / "other")})
    write_rows(place / "data" / "train.jsonl", opinions(40, seed=5))
    refused(place, "train was '[0-9a-f]+' and is '[0-9a-f]+'")


def test_a_run_goes_on_to_what_it_was(place):
    whole = tree(place / "run")
    forget_the_end(place)
    (place / "run" / ".results.json.draft").write_text("{")
    (place / "run" / ".notes.draft").write_text("mine")
    run(place)
    assert (place / "run" / "model.safetensors").read_bytes() == whole["model.safetensors"]
    assert not (place / "run" / ".results.json.draft").exists()
    assert (place / "run" / ".notes.draft").read_text() == "mine"


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("content", ["{", "[]", "{}", "", None])
def test_a_damaged_record_is_mended_from_the_checkpoint(place, content):
    forget_the_end(place)
    file = place / "run" / "run.json"
    former = json.loads(file.read_text())
    file.unlink() if content is None else file.write_text(content)
    refused(place, "learning_rate was", learning_rate=0.5)
    run(place)
    assert {**record(file), "finished": None} == {**former, "finished": None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"run\.json is not JSON"),
        ("[]", r"run\.json: expected values by name"),
        ("{}", r"run\.json is no record of a run by alum finetune"),
        (None, r"there is no run\.json in .*run, so that the settings cannot be compared"),
    ],
)
def test_without_any_record_a_run_does_not_go_on(place, content, message):
    forget_the_end(place)
    (place / "run" / "checkpoint-2" / "run.json").unlink()
    listed_anew(place / "run" / "checkpoint-2")
    file = place / "run" / "run.json"
    file.unlink() if content is None else file.write_text(content)
    refused(place, message)


def test_a_damaged_record_before_the_first_checkpoint_loses_nothing(place):
    shutil.rmtree(place / "run")
    (place / "run").mkdir()
    (place / "run" / "run.json").write_text("{")
    run(place)
    assert record(place / "run" / "run.json")["finished"]


@pytest.mark.parametrize("content", ["{", "[]"])
def test_damaged_results_are_written_anew(place, content):
    file = place / "run" / "results.json"
    results = json.loads(file.read_text())
    file.write_text(content)
    run(place)
    times = {"train_seconds": None}
    assert {**record(file), **times} == {**results, **times}


def test_a_checkpoint_of_another_model_changes_nothing(place):
    """The folder of the model has the weights of a larger one by now."""
    forget_the_end(place)
    config = BertConfig.from_pretrained(place / "model", intermediate_size=32)
    BertForMaskedLM(config).save_pretrained(place / "model")
    shape = r"of another model: its \S+ is of the shape \[16(, 16)?\], and that of the model of \[(16, )?32\]"
    refused(place, shape)
    refused(place, shape, None, str(place / "run" / "checkpoint-2"))


def test_a_checkpoint_after_the_end(place):
    refused(place, "checkpoint-4 is of step 4, and max_steps is 2", max_steps=2)
    refused(place, "checkpoint-4 is of epoch 0.8, and num_train_epochs is 0.4", max_steps=-1, num_train_epochs=0.4)


def test_a_checkpoint_without_an_optimizer(place):
    shutil.rmtree(place / "run")
    run(place, save_only_model=True)
    (place / "run" / "model.safetensors").unlink()
    refused(place, "checkpoint-4 has a model alone", save_only_model=True)


def test_other_rows_to_predict_are_a_reason_to_go_on(place):
    write_rows(place / "data" / "test.jsonl", opinions(6, seed=2))
    weights = (place / "run" / "model.safetensors").read_bytes()
    run(place, {"test_file": str(place / "data" / "test.jsonl")}, do_predict=True)
    assert len((place / "run" / "predictions_test.jsonl").read_text().splitlines()) == 6
    assert (place / "run" / "model.safetensors").read_bytes() == weights


def test_a_folder_of_other_files_is_no_run(place):
    shutil.rmtree(place / "run")
    (place / "run").mkdir()
    (place / "run" / "letter.txt").write_text("Dear reader")
    refused(place, "no checkpoint to resume from")
