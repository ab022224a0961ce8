"""DeepSpeed in two processes on the CPU, beside DDP (``make test-deepspeed``: it is not installed with the others)."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from places import TESTS

pytest.importorskip("deepspeed")

JOINT = ["standard", "alum", "alum_virtual", "alum_paper", "noise", "r_drop"]
ONE_PASS = ["alum_one_pass", "fgm", "pgd", "freelb"]
CASES = [(method, stage) for stage in (1, 2, 3) for method in JOINT + (ONE_PASS if stage < 3 else [])]

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
folder, stage, rank = Path(sys.argv[1]), int(sys.argv[2]), int(os.environ["RANK"])
engine = {
    "zero_optimization": {"stage": stage, "stage3_gather_16bit_weights_on_model_save": True},
    "zero_allow_untested_optimizer": True,
    **dict.fromkeys(("train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping"), "auto"),
}
for method in json.loads(sys.argv[3]):
    for accumulation in (1, 2):
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
            **settings,
            **({"deepspeed": engine} if stage else {}),
        )
        trainer = AlumTrainer(model=model, args=args, train_dataset=labelled_sentences())
        trainer.train()
        state = trainer.accelerator.get_state_dict(trainer.model_wrapped) if stage else model.state_dict()
        if rank == 0:
            name = f"{method}-{stage}-{accumulation}"
            save_file({key: value.clone().contiguous() for key, value in state.items()}, folder / f"{name}.safetensors")
            logs = [logged(trainer, key) for key in ("task_loss", "adversarial_loss") if method != "standard"]
            (folder / f"{name}.json").write_text(json.dumps(logs))
torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deepspeed")
    (folder / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), "DS_ACCELERATOR": "cpu"}
    for stage in (0, 1, 2, 3):
        methods = [method for method in (*JOINT, *ONE_PASS) if stage == 0 or (method, stage) in CASES]
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command += [str(folder / "script.py"), str(folder), str(stage), json.dumps(methods)]
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr[-3000:]
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize(("method", "stage"), CASES)
def test_weights_are_those_that_ddp_trains(folder, method, stage, accumulation):
    ddp, zero = (load_file(folder / f"{method}-{s}-{accumulation}.safetensors") for s in (0, stage))
    assert ddp.keys() == zero.keys()
    for name, value in ddp.items():
        torch.testing.assert_close(zero[name], value, rtol=1e-4, atol=1e-5)
    expected, found = (json.loads((folder / f"{method}-{s}-{accumulation}.json").read_text()) for s in (0, stage))
    for one, other in zip(expected, found, strict=True):
        assert other == pytest.approx(one, rel=1e-4, abs=1e-7)
