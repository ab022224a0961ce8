"""What a finished run leaves in its folder, and what of it goes to the hub."""

import pickletools
import re
import shlex
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import HfApi
from huggingface_hub.utils import filter_repo_objects

from alum.core.errors import InputError
from alum.stages.finetuning.run import finetune
from alum.stages.publishing import public_files
from places import ROOT
from tiny_stages import finetune_arguments, finetune_config, record

HUB_ID = "somebody/tuned"


def is_pickle(path):
    """Whether a file, or one in a zip as PyTorch writes it, begins as Python's own format that can run code does."""
    content = path.read_bytes()
    if content.startswith(b"PK"):
        return b"data.pkl" in content
    try:
        next(pickletools.genops(content[:2]))
    except ValueError:
        return False
    return content.startswith(b"\x80")


def holds(path, text):
    return text.encode() in path.read_bytes()


@pytest.fixture
def hub(monkeypatch):
    """Stands in for the hub: each upload as the names of the files that its client would send, with their card."""
    uploads = []

    def upload_folder(self, *, repo_id, folder_path, allow_patterns=None, ignore_patterns=None, **_):
        names = [str(path.relative_to(folder_path)) for path in Path(folder_path).rglob("*") if path.is_file()]
        kept = filter_repo_objects(names, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns)
        uploads.append((repo_id, sorted(kept), (Path(folder_path) / "README.md").read_text(encoding="utf-8")))

    monkeypatch.setattr(HfApi, "create_repo", lambda self, name, **_: SimpleNamespace(repo_id=HUB_ID))
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    return uploads


@pytest.fixture(scope="module")
def run(pretrained, opinions_folder, tmp_path_factory):
    """A finished run with checkpoints of which the best is kept, by absolute paths."""
    config = finetune_config(
        tmp_path_factory.mktemp("somebodys") / "tuned",
        num_train_epochs=2,
        save_strategy="epoch",
        eval_strategy="epoch",
        load_best_model_at_end=True,
    )
    return Path(finetune(finetune_arguments(pretrained.output_dir, opinions_folder), config).output_dir)


def test_no_pickle_lies_beside_the_model_and_none_that_is_not_needed_in_checkpoints(run):
    assert not [path.name for path in run.iterdir() if path.is_file() and is_pickle(path)]
    of_checkpoints = {path.name for path in run.glob("checkpoint-*/*") if is_pickle(path)}
    assert of_checkpoints == {"optimizer.pt", "scheduler.pt", "rng_state.pth"}  # what going on needs


def test_what_is_public_names_no_place_on_the_machine(run, pretrained, opinions_folder):
    assert public_files(run) == [
        "README.md",
        "config.json",
        "loss.png",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    places = (str(run.parent), str(Path(pretrained.output_dir).parent), str(opinions_folder.parent), str(Path.home()))
    assert holds(run / "run.json", places[0])  # so that the search can find something
    assert not [(name, place) for name in public_files(run) for place in places if holds(run / name, place)]
    assert not holds(run / "trainer_state.json", places[0])
    assert re.fullmatch(r"checkpoint-\d+", record(run / "trainer_state.json")["best_model_checkpoint"])


def test_the_command_of_the_page_leaves_out_the_same_files(run):
    page = (ROOT / "docs/guides/tracking.md").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"^    (hf upload .*)$", page, re.M)
    words = shlex.split(line)
    excluded = [pattern for flag, pattern in pairwise(words) if flag == "--exclude"]
    names = [str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()]
    assert sorted(filter_repo_objects(names, ignore_patterns=excluded)) == public_files(run)


def test_templates_of_chats_are_public_and_hidden_files_and_predictions_not(tmp_path):
    for name in (
        "additional_chat_templates/tool.jinja",
        "chat_template.jinja",
        "predictions-test.jsonl",
        ".a",
        "runs/x",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert public_files(tmp_path) == ["additional_chat_templates/tool.jinja", "chat_template.jinja"]


def test_a_finished_run_is_pushed_once_with_its_card(hub, pretrained, opinions_folder, tmp_path):
    config = finetune_config(
        tmp_path / "tuned", num_train_epochs=1, save_strategy="epoch", push_to_hub=True, hub_model_id=HUB_ID
    )
    finetune(finetune_arguments(pretrained.output_dir, opinions_folder), config)
    ((hub_id, files, card),) = hub
    assert hub_id == HUB_ID
    assert files == public_files(tmp_path / "tuned")
    assert f'pipeline("text-classification", "{HUB_ID}")' in card
    assert (tmp_path / "tuned" / "README.md").read_text(encoding="utf-8") == card


def test_a_push_that_fails_leaves_a_finished_run_and_says_how_to_push_it(
    hub, pretrained, opinions_folder, tmp_path, monkeypatch
):
    def refuse(self, **_):
        raise OSError("403 Forbidden: you may not write there.\nMore.")

    monkeypatch.setattr(HfApi, "upload_folder", refuse)
    arguments = finetune_arguments(pretrained.output_dir, opinions_folder)
    settings = {"max_steps": 1, "push_to_hub": True, "hub_model_id": HUB_ID}
    with pytest.raises(
        InputError, match=r"not pushed to somebody/tuned: 403 .* there\. The run is finished.*hf upload"
    ):
        finetune(arguments, finetune_config(tmp_path / "tuned", **settings))
    assert "finished" in record(tmp_path / "tuned" / "run.json")


def test_without_a_login_nothing_is_trained(pretrained, opinions_folder, tmp_path):
    """No test has a network; the hub's client says so itself."""
    config = finetune_config(tmp_path / "tuned", push_to_hub=True, hub_model_id=HUB_ID)
    with pytest.raises(InputError, match=r"nowhere to push the model to: .* hf auth login"):
        finetune(finetune_arguments(pretrained.output_dir, opinions_folder), config)
    assert not (tmp_path / "tuned").exists()


def test_checkpoints_are_not_pushed_while_training_goes_on(tmp_path):
    with pytest.raises(InputError, match="hub_strategy must be end, not every_save: a model is pushed when"):
        finetune_config(tmp_path, push_to_hub=True, hub_strategy="every_save")
    assert finetune_config(tmp_path, hub_strategy="every_save").hub_strategy == "every_save"  # of no effect
