from pathlib import Path

import pytest

from alum.stages.finetuning.run import finetune
from alum.stages.pretraining.run import pretrain
from tiny_stages import finetune_arguments, finetune_config, pretrain_arguments, pretrain_config
from tiny_texts import opinions, write_rows, write_text


@pytest.fixture(scope="session")
def text(tmp_path_factory):
    return write_text(tmp_path_factory.mktemp("text") / "text.txt")


@pytest.fixture(scope="session")
def pretrained(text, tmp_path_factory):
    """The result of pre-training from scratch; the adversary enters half way."""
    config = pretrain_config(tmp_path_factory.mktemp("runs") / "pretrained", adv_start_fraction=0.5)
    return pretrain(pretrain_arguments(text), config)


@pytest.fixture(scope="session")
def opinions_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("opinions")
    write_rows(folder / "train.jsonl", opinions(96))
    write_rows(folder / "validation.jsonl", opinions(32, seed=1))
    return folder


@pytest.fixture(scope="session")
def finetuned(pretrained, opinions_folder, tmp_path_factory):
    config = finetune_config(tmp_path_factory.mktemp("runs") / "finetuned")
    return finetune(finetune_arguments(Path(pretrained.output_dir), opinions_folder), config)
