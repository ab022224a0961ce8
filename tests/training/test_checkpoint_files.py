import re
import shutil
from pathlib import Path

import pytest

from alum.training.checkpoint_files import (
    MANIFEST,
    checkpoints_in,
    damage,
    give_replaced_back,
    is_model_only,
    misfit,
    newest_whole_checkpoint,
    set_later_ones_aside,
    write_manifest,
)
from tiny_checkpoints import cut_short, names, saving
from tiny_models import classifier
from tiny_runs import labelled_sentences, trained
from tiny_texts import tree


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run's folder with the checkpoints 2, 4 and 5."""
    folder = tmp_path_factory.mktemp("undisturbed")
    trained(classifier(), saving(folder), labelled_sentences())
    return folder


@pytest.fixture
def run(undisturbed, tmp_path):
    """A copy of that folder, to do harm to."""
    return Path(shutil.copytree(undisturbed, tmp_path / "run"))


def test_files_in_folders_of_the_checkpoint_count(tmp_path):
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "0.bin").write_bytes(b"0123")
    write_manifest(tmp_path)
    assert damage(tmp_path) is None
    (tmp_path / "shards" / "0.bin").write_bytes(b"012")
    assert damage(tmp_path) == "shards/0.bin has 3 bytes, not 4"


def change_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def delete(path):
    path.unlink()


DAMAGES = [
    (cut_short, "model.safetensors", r"model.safetensors has \d+ bytes, not \d+"),
    (cut_short, "optimizer.pt", r"optimizer.pt has \d+ bytes, not \d+"),
    (change_a_bit, "model.safetensors", r"model.safetensors has the digest [0-9a-f]{32}, not [0-9a-f]{32}"),
    (delete, "rng_state.pth", "rng_state.pth is missing"),
    (lambda path: path.write_bytes(path.read_bytes()[:100]), MANIFEST, "its manifest.json is damaged"),
    (lambda path: path.write_text("[]"), MANIFEST, "its manifest.json is damaged"),
    (delete, MANIFEST, "it has no manifest.json"),
]


@pytest.mark.parametrize(("harm", "name", "expected"), DAMAGES)
def test_damage_is_found_and_named(run, caplog, harm, name, expected):
    harm(run / "checkpoint-5" / name)
    newest = newest_whole_checkpoint(run)
    assert newest == run / "checkpoint-4"
    (warning,) = caplog.messages
    assert re.fullmatch(f"{run / 'checkpoint-5'} is passed over: {expected}.", warning)


def test_the_sizes_in_a_warning_are_expected_and_actual(run):
    path = run / "checkpoint-5" / "model.safetensors"
    size = path.stat().st_size
    cut_short(path)
    assert damage(run / "checkpoint-5") == f"model.safetensors has {size - 1} bytes, not {size}"


def test_checkpoints_are_in_the_order_of_their_steps(tmp_path):
    for name in ("checkpoint-10", "checkpoint-9", "checkpoint-100", "checkpoint-x", "old-checkpoint-200", ".drafts"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-11").touch()
    assert [path.name for path in checkpoints_in(tmp_path)] == ["checkpoint-9", "checkpoint-10", "checkpoint-100"]
    assert newest_whole_checkpoint(tmp_path) is None


@pytest.mark.parametrize(("step", "kept", "aside"), [(2, [2], [4, 5]), (4, [2, 4], [5]), (5, [2, 4, 5], [])])
def test_later_checkpoints_are_set_aside_whole(run, caplog, step, kept, aside):
    before = tree(run)
    set_later_ones_aside(run, run / f"checkpoint-{step}")
    assert names(run) == [*(f"checkpoint-{n}" for n in kept), *(f"old-checkpoint-{n}" for n in aside)]
    assert {name.removeprefix("old-"): content for name, content in tree(run).items()} == before
    assert len(caplog.messages) == len(aside)


def test_what_was_set_aside_before_stays(run):
    (run / "old-checkpoint-5").mkdir()
    set_later_ones_aside(run, None)
    assert names(run) == ["old-checkpoint-2", "old-checkpoint-4", "old-checkpoint-5", "old-checkpoint-5-2"]


def test_a_checkpoint_that_was_to_be_replaced_has_its_name_again(tmp_path):
    """Killed after the old one was moved away, and before the new one had its name."""
    for step in (3, 6):
        (tmp_path / ".drafts" / f"checkpoint-{step}.replaced").mkdir(parents=True)
        (tmp_path / ".drafts" / f"checkpoint-{step}.replaced" / "old").touch()
    (tmp_path / "checkpoint-6").mkdir()
    give_replaced_back(tmp_path)
    assert names(tmp_path) == [".drafts", "checkpoint-3", "checkpoint-6"]
    assert names(tmp_path / "checkpoint-3") == ["old"]
    assert names(tmp_path / "checkpoint-6") == []


def test_a_checkpoint_of_another_shape_is_told_before_it_is_loaded(undisturbed):
    checkpoint = undisturbed / "checkpoint-4"
    assert misfit(checkpoint, classifier()) is None
    wider = classifier(num_labels=5)
    of_model = list(wider.classifier.weight.shape)
    of_checkpoint = [classifier().config.num_labels, *of_model[1:]]
    assert misfit(checkpoint, wider) in (
        f"its classifier.{name} is of the shape {of_checkpoint[:count]}, and that of the model of {of_model[:count]}"
        for name, count in (("weight", 2), ("bias", 1))
    )


def test_a_checkpoint_of_a_model_alone_is_told(undisturbed, tmp_path):
    assert not is_model_only(undisturbed / "checkpoint-4")
    trained(classifier(), saving(tmp_path, save_only_model=True), labelled_sentences())
    assert is_model_only(tmp_path / "checkpoint-4")
