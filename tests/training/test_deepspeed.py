"""DeepSpeed in two processes on the CPU, beside DDP (``make test-deepspeed``: it is not installed with the others)."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertForMaskedLM

from places import TESTS
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows, write_text

pytest.importorskip("deepspeed")

JOINT = ["standard", "alum", "alum_virtual", "alum_paper", "noise", "r_drop"]
ONE_PASS = ["alum_one_pass", "fgm", "pgd", "freelb"]
CASES = [(method, stage) for stage in (1, 2, 3) for method in JOINT + (ONE_PASS if stage < 3 else [])]
WITHOUT_PADDING = [case for case in CASES if case[0] in ("alum", "alum_one_pass")]

SCRIPT = """
import json, os, sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tiny_models import classifier
from tiny_runs import config, labelled_sentences, logged
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from alum.training.trainer import AlumTrainer

torch.set_num_threads(1)
folder, engine, rank = Path(sys.argv[1]), json.loads(sys.argv[2]), int(os.environ["RANK"])
for method in json.loads(sys.argv[3]):
    for accumulation, padding_free in ((1, False), (2, False), *[(1, True)] * (method in ("alum", "alum_one_pass"))):
        unset_hf_deepspeed_config()  # which has models made in parts, so that a test's own weights are lost
        model = classifier(dropout=0.0)
        settings = {} if method in ("standard", "r_drop") else {"adv_epsilon": 0.3}
        args = config(
            folder,
            per_device_train_batch_size=4 // accumulation,
            gradient_accumulation_steps=accumulation,
            max_steps=3,
            ddp_backend="gloo",
            adv_method=method,
            padding_free=padding_free and bool(engine),
            **settings,
            **({"deepspeed": engine} if engine else {}),
        )
        trainer = AlumTrainer(model=model, args=args, train_dataset=labelled_sentences())
        trainer.train()
        state = trainer.accelerator.get_state_dict(trainer.model_wrapped) if engine else model.state_dict()
        if rank == 0:
            name = f"{method}-{sys.argv[4]}-{'padding_free' if padding_free else accumulation}"
            save_file({key: value.clone().contiguous() for key, value in state.items()}, folder / f"{name}.safetensors")
            logs = [logged(trainer, key) for key in ("task_loss", "adversarial_loss") if method != "standard"]
            (folder / f"{name}.json").write_text(json.dumps(logs))
torch.distributed.destroy_process_group()
"""

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), "DS_ACCELERATOR": "cpu"}
LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def engine(stage):
    """Settings of DeepSpeed."""
    return {
        "zero_optimization": {"stage": stage, "stage3_gather_16bit_weights_on_model_save": True},
        "zero_allow_untested_optimizer": True,
        **dict.fromkeys(("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping"), "auto"),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deepspeed")
    (folder / "script.py").write_text(SCRIPT)
    for stage in (0, 1, 2, 3):
        methods = [method for method in (*JOINT, *ONE_PASS) if stage == 0 or (method, stage) in CASES]
        words = [str(folder), json.dumps(engine(stage) if stage else None), json.dumps(methods), str(stage)]
        command = [*LAUNCHER, str(folder / "script.py"), *words]
        result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "stage", "way"),
    [(*case, way) for way in (1, 2) for case in CASES] + [(*case, "padding_free") for case in WITHOUT_PADDING],
)
def test_weights_are_those_that_ddp_trains(folder, method, stage, way):
    """By one batch and by two, and on the tokens of rows alone, which DDP has padded."""
    ddp, zero = (load_file(folder / f"{method}-{s}-{way}.safetensors") for s in (0, stage))
    assert ddp.keys() == zero.keys()
    for name, value in ddp.items():
        torch.testing.assert_close(zero[name], value, rtol=1e-4, atol=1e-5)
    expected, found = (json.loads((folder / f"{method}-{s}-{way}.json").read_text()) for s in (0, stage))
    for one, other in zip(expected, found, strict=True):
        assert other == pytest.approx(one, rel=1e-4, abs=1e-7)


# -- commands ----------------------------------------------------------------------------------------------------------

FINETUNE = "finetune --train_file train.jsonl --validation_file dev.jsonl --text_columns text --label_column label"
PRETRAIN = "pretrain --train_file text.txt --max_seq_length 16 --cache_dir cache --adv_start_fraction 0"
SETTINGS = (
    "--model_name_or_path model --deepspeed engine.json --use_cpu --ddp_backend gloo --per_device_train_batch_size 4 "
    "--save_strategy steps --save_steps 2 --lr_scheduler_type constant --learning_rate 1e-2 --seed 3"
)


def trained(folder, output_dir, command, *words):
    """Weights that a command ends with, in two processes that DeepSpeed joins."""
    words = ["-m", "alum", *command.split(), *SETTINGS.split(), "--output_dir", output_dir, *words]
    done = subprocess.run([*LAUNCHER, *words], env=ENVIRONMENT, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "\n0 parameters" not in done.stdout
    return load_file(folder / output_dir / "model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("command", [FINETUNE, PRETRAIN], ids=["finetune", "pretrain"])
@pytest.mark.parametrize(("stage", "method"), [(1, "alum"), (2, "alum_one_pass"), (3, "alum_virtual")])
def test_commands_train_and_go_on_from_a_checkpoint(tmp_path, command, stage, method):
    model = BertForMaskedLM.from_pretrained(save_untrained(tmp_path / "whole_model")).bert
    shutil.copytree(tmp_path / "whole_model", tmp_path / "model")
    model.save_pretrained(tmp_path / "model")  # each command makes a head of its own, and pretrain warms it up
    for name, num_rows in (("train", 48), ("dev", 8)):
        write_rows(tmp_path / f"{name}.jsonl", opinions(num_rows))
    write_text(tmp_path / "text.txt")
    (tmp_path / "engine.json").write_text(json.dumps(engine(stage)))
    command += f" --adv_method {method}" + (" --head_warmup_steps 2" if command.startswith("pretrain") else "")
    whole = trained(tmp_path, "whole", command, "--max_steps", "4")
    before = trained(tmp_path, "two_parts", command, "--max_steps", "2")
    after = trained(tmp_path, "two_parts", command, "--max_steps", "4", "--resume_from_checkpoint", "true")
    assert after.keys() == whole.keys()
    for name, value in whole.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=0)
    assert not all(torch.equal(before[name], value) for name, value in whole.items())
