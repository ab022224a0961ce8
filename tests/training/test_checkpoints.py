import hashlib
import json
import math
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import ExportableState

from alum.core.errors import InputError
from alum.training.checkpoint_files import (
    MANIFEST,
    checkpoints_in,
    damage,
    write_manifest,
)
from alum.training.checkpoints import AtomicCheckpoints
from alum.training.trainer import AlumTrainer
from tiny_checkpoints import cut_short, names, saving
from tiny_models import classifier, language_model
from tiny_runs import labelled_sentences, masked_sentences, plain_config, trained
from tiny_stages import record
from tiny_texts import tree


class PlainTrainer(AtomicCheckpoints, Trainer):
    """Saves atomically and is otherwise the Trainer."""


def weights_of(trainer):
    return {name: value.tolist() for name, value in trainer.model.state_dict().items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run's folder with the checkpoints 2, 4 and 5, and its last weights."""
    folder = tmp_path_factory.mktemp("undisturbed")
    trainer = trained(classifier(), saving(folder), labelled_sentences())
    return folder, weights_of(trainer)


@pytest.fixture
def run(undisturbed, tmp_path):
    """A copy of that folder, to do harm to."""
    return Path(shutil.copytree(undisturbed[0], tmp_path / "run"))


def go_on(folder, resume_from=True, **settings):
    trainer = AlumTrainer(model=classifier(), args=saving(folder, **settings), train_dataset=labelled_sentences())
    trainer.train(resume_from_checkpoint=resume_from)
    return trainer


class LogsNoNumbers(TrainerCallback):
    """The loss is no number, and the gain infinite, as where random perturbations move nothing."""

    def on_step_end(self, args, state, control, **kwargs):
        state.log_history.append({"step": state.global_step, "loss": math.nan, "adversarial_gain": math.inf})


def test_the_state_of_a_checkpoint_is_json_whatever_was_logged(tmp_path):
    trained(classifier(), saving(tmp_path, max_steps=2), labelled_sentences(), callbacks=[LogsNoNumbers()])
    state = record(tmp_path / "checkpoint-2" / "trainer_state.json")
    assert [(one["loss"], one["adversarial_gain"]) for one in state["log_history"] if one["loss"] is None] == [
        (None, None)
    ] * 2
    assert damage(tmp_path / "checkpoint-2") is None
    assert go_on(tmp_path, max_steps=3).state.global_step == 3


# -- what a checkpoint is ----------------------------------------------------------------------------------------------


def test_a_checkpoint_has_the_trainers_files_and_the_manifest_of_all_of_them(undisturbed, tmp_path):
    theirs = trained(classifier(), plain_config(tmp_path, save_strategy="steps"), labelled_sentences(), Trainer)
    assert theirs.state.global_step == 4
    files = tree(tmp_path / "checkpoint-4")
    del files["training_args.bin"]  # the Trainer's settings as a pickle, which nothing needs to go on
    for checkpoint in checkpoints_in(undisturbed[0]):
        ours = tree(checkpoint)
        entries = json.loads(ours.pop(MANIFEST))["files"]
        assert ours.keys() == files.keys() == entries.keys()
        for name, content in ours.items():
            digest = hashlib.blake2b(content, digest_size=16).hexdigest()
            assert entries[name] == {"bytes": len(content), "blake2b": digest}
        assert damage(checkpoint) is None


def test_only_checkpoints_are_left(undisturbed):
    assert names(undisturbed[0]) == ["checkpoint-2", "checkpoint-4", "checkpoint-5"]


@pytest.mark.parametrize("limit", [None, 1, 2])
@pytest.mark.parametrize("greater_is_better", [False, True])
def test_the_same_checkpoints_are_kept_as_by_the_trainer(tmp_path, limit, greater_is_better):
    """The loss falls until step 3: with ``greater_is_better`` the best checkpoint is the first."""
    settings = {
        "save_total_limit": limit,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": greater_is_better,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
    }
    runs = []
    for trainer_class in (Trainer, PlainTrainer):
        folder = tmp_path / trainer_class.__name__
        options = {"eval_dataset": labelled_sentences(seed=1)}
        trainer = trained(
            classifier(), plain_config(folder, **settings), labelled_sentences(), trainer_class, **options
        )
        kept = {path.name: json.loads((path / "trainer_state.json").read_text()) for path in checkpoints_in(folder)}
        best = {name: Path(state["best_model_checkpoint"]) for name, state in kept.items()}
        assert all(path.parent == folder for path in best.values())
        best["at the end"] = Path(trainer.state.best_model_checkpoint)
        assert best["at the end"].is_dir()
        runs.append((names(folder), {name: path.name for name, path in best.items()}, weights_of(trainer)))
    assert runs[0] == runs[1]
    assert runs[1][1]["at the end"] == ("checkpoint-1" if greater_is_better else "checkpoint-3")


@pytest.mark.parametrize(("limit", "kept"), [(1, {5}), (2, {4, 5}), (3, {2, 4, 5}), (4, {2, 4, 5, 200}), (None, None)])
def test_checkpoints_of_another_run_go_before_those_of_this_one(tmp_path, limit, kept):
    """They are of later steps, and by the number the newest."""
    for step in (100, 200):
        (tmp_path / f"checkpoint-{step}").mkdir()
    trained(classifier(), saving(tmp_path, save_total_limit=limit), labelled_sentences())
    assert {int(path.name.split("-")[1]) for path in checkpoints_in(tmp_path)} == (kept or {2, 4, 5, 100, 200})


def test_an_upload_starts_when_the_checkpoint_has_its_name(tmp_path):
    uploaded = []

    class Uploading(Trainer):
        def _push_from_checkpoint(self, checkpoint_folder):
            uploaded.append((checkpoint_folder, (Path(checkpoint_folder) / MANIFEST).is_file()))

    class Both(AtomicCheckpoints, Uploading):
        pass

    trainer = Both(model=classifier(), args=saving(tmp_path), train_dataset=labelled_sentences())
    trainer.args.push_to_hub = True
    trainer.train()
    assert uploaded == [(str(tmp_path / f"checkpoint-{step}"), True) for step in (2, 4, 5)]


# -- going on ----------------------------------------------------------------------------------------------------------


def test_a_run_goes_on_from_the_newest_whole_checkpoint_and_replaces_the_damaged(run, undisturbed):
    for step in (4, 5):
        cut_short(run / f"checkpoint-{step}" / "optimizer.pt")
    trainer = go_on(run)
    assert trainer.state.global_step == 5
    assert weights_of(trainer) == undisturbed[1]
    assert names(run) == ["checkpoint-2", "checkpoint-4", "checkpoint-5"]
    assert all(damage(checkpoint) is None for checkpoint in checkpoints_in(run))


def test_without_a_whole_checkpoint_there_is_nothing_to_go_on_from(tmp_path):
    with pytest.raises(InputError, match="no whole checkpoint to resume from"):
        go_on(tmp_path)


def test_a_finished_run_takes_no_further_step(run, undisturbed):
    """Step 5 is in the middle of an epoch."""
    before = tree(run)
    trainer = go_on(run)
    assert trainer.state.global_step == 5
    assert weights_of(trainer) == undisturbed[1]
    assert tree(run) == before


def test_a_finished_run_goes_on_if_it_is_to_have_more_steps(run, tmp_path):
    longer = trained(classifier(), saving(tmp_path / "longer", max_steps=7), labelled_sentences())
    assert weights_of(go_on(run, max_steps=7)) == weights_of(longer)


def test_left_over_drafts_are_removed(run):
    (run / ".drafts" / "checkpoint-4").mkdir(parents=True)
    (run / ".drafts" / "checkpoint-4" / "model.safetensors").write_bytes(b"half")
    go_on(run)
    assert names(run) == ["checkpoint-2", "checkpoint-4", "checkpoint-5"]


# -- saves that fail ---------------------------------------------------------------------------------------------------


class CutsOffTheSave(TrainerCallback, ExportableState):
    """Presses Ctrl-C while its state is saved, after model and optimizer, at step 5."""

    step = 0

    def on_step_end(self, args, state, control, **kwargs):
        self.step = state.global_step

    def state(self):
        if self.step == 5:
            raise KeyboardInterrupt
        return {"args": {}, "attributes": {}}


@pytest.mark.parametrize(("limit", "left"), [(None, ["checkpoint-2", "checkpoint-4"]), (1, ["checkpoint-4"])])
def test_a_save_that_is_cut_off_leaves_the_checkpoints_before_it(tmp_path, undisturbed, limit, left):
    settings = saving(tmp_path, save_total_limit=limit)
    with pytest.raises(KeyboardInterrupt):
        trained(classifier(), settings, labelled_sentences(), callbacks=[CutsOffTheSave()])
    assert names(tmp_path) == left
    assert weights_of(go_on(tmp_path)) == undisturbed[1]


def test_tied_weights_are_not_said_to_be_missing(tmp_path, monkeypatch):
    """A checkpoint holds them once, under the name that they are tied to; others are still missed."""
    said = []
    monkeypatch.setattr("transformers.trainer.logger.warning", said.append)
    rows = masked_sentences()
    trained(language_model(), saving(tmp_path / "run"), rows)
    again = AlumTrainer(model=language_model(), args=saving(tmp_path / "run"), train_dataset=rows)
    again.train(resume_from_checkpoint=True)
    assert again.model.all_tied_weights_keys
    assert said == []
    weights = {name: value for name, value in again.model.state_dict().items() if "LayerNorm" not in name}
    again._issue_warnings_after_load(again.model.load_state_dict(weights, strict=False))
    assert "LayerNorm" in said[0]


# -- what is never unpickled -------------------------------------------------------------------------------------------


class Payload:
    """A pickle of it makes a file when it is read by a reader that runs code."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.fixture
def payload(tmp_path):
    marker = tmp_path / "code was run"
    pickle.loads(pickle.dumps(Payload(marker)))
    assert marker.exists(), "the payload must work"
    marker.unlink()
    yield Payload(marker)
    assert not marker.exists()


STATES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")


@pytest.mark.parametrize("name", STATES)
def test_a_state_that_was_replaced_is_not_read(run, payload, name):
    torch.save({"state": payload}, run / "checkpoint-4" / name)
    with pytest.raises(InputError, match=rf"checkpoint-4 is damaged: {name} has .*, not \w+\."):
        go_on(run, str(run / "checkpoint-4"))


def without_scaler(init):
    def made(self, *args, **kwargs):
        init(self, *args, **kwargs)
        del self.scaler

    return made


@pytest.mark.parametrize("name", [*STATES, "scaler.pt"])
def test_code_in_a_state_is_told_in_our_words_where_the_manifest_has_its_digest(run, payload, name, monkeypatch):
    torch.save({"state": payload}, run / "checkpoint-4" / name)
    write_manifest(run / "checkpoint-4")
    if name == "scaler.pt":  # of which there is none on a CPU otherwise
        monkeypatch.setattr(Accelerator, "scaler", torch.amp.GradScaler("cpu"), raising=False)
        monkeypatch.setattr(Accelerator, "__init__", without_scaler(Accelerator.__init__))
    with pytest.raises(InputError, match=r"checkpoint-4 was not loaded: .*would run code") as refused:
        go_on(run, str(run / "checkpoint-4"))
    assert "weights_only" not in str(refused.value)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "optimizer.bin", "rng_state_0.pth", "shards/x.bin"])
def test_what_was_added_to_a_checkpoint_is_refused(run, payload, name):
    added = run / "checkpoint-4" / name
    added.parent.mkdir(exist_ok=True)
    torch.save(payload, added)
    with pytest.raises(InputError, match=f"{name} is not in its manifest.json, and was added"):
        go_on(run, str(run / "checkpoint-4"))
    added.unlink()
    (run / "checkpoint-4" / ".notes").write_text("of a file browser")
    assert damage(run / "checkpoint-4") is None


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "adapters/adapter_model.bin", "pytorch_model.bin.index.json"])
def test_pickled_weights_are_refused_also_with_a_manifest(run, payload, name, by_name):
    checkpoint = run / "checkpoint-5"
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "adapters").mkdir()
    torch.save(payload, checkpoint / name)
    write_manifest(checkpoint)
    with pytest.raises(InputError, match=f"checkpoint-5 holds {name}, pickled weights"):
        go_on(run, str(checkpoint) if by_name else True)


@pytest.mark.parametrize("shard", ["pytorch_model.bin", "../evil.safetensors", "/tmp/evil.safetensors", 5])
def test_an_index_names_safetensors_beside_it_alone(run, shard):
    checkpoint = run / "checkpoint-4"
    (checkpoint / "model.safetensors").unlink()
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    write_manifest(checkpoint)
    with pytest.raises(InputError, match=rf"model.safetensors.index.json of .*checkpoint-4 names {shard!r}"):
        go_on(run, str(checkpoint))


def test_a_checkpoint_without_a_manifest_is_not_gone_on_from(run):
    (run / "checkpoint-4" / MANIFEST).unlink()
    with pytest.raises(InputError, match=r"checkpoint-4 has no manifest.json.*--model_name_or_path"):
        go_on(run, str(run / "checkpoint-4"))


def test_the_best_checkpoint_is_looked_at_before_it_is_loaded(run, payload, tmp_path):
    """Its path stands in the state of the checkpoint that a run goes on from, and may lead anywhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    torch.save(payload, elsewhere / "pytorch_model.bin")
    trainer = go_on(run)
    trainer.state.best_model_checkpoint = str(elsewhere)
    with pytest.raises(InputError, match=r"elsewhere has no manifest.json"):
        trainer._load_best_model()
