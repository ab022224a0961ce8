"""Compiled training in two processes on the CPU, beside one that is not compiled."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from places import TESTS

METHODS = ["alum_one_pass", "alum_virtual"]

SCRIPT = """
import functools, json, os, sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch._dynamo.utils import counters
from torch.nn.parallel import DistributedDataParallel
from tiny_models import classifier, token_batch
from tiny_runs import config, labelled_sentences, logged, trained, weights

from alum.core.errors import InputError
from alum.training.step import AlumStep

torch.set_num_threads(1)
small = functools.partial(classifier, num_hidden_layers=1)  # compiling takes long for each block
folder, rank, size = Path(sys.argv[1]), int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
shared = {"per_device_train_batch_size": 8 // size, "ddp_backend": "gloo" if size > 1 else None, "max_steps": 3}
compiled = {"torch_compile": True, "torch_compile_backend": "aot_eager"} if size > 1 else {}

for method in METHODS:
    trainer = trained(
        small(dropout=0.0), config(folder, **shared, **compiled, adv_method=method), labelled_sentences(24)
    )
    save_file(weights(trainer), folder / f"{method}-{rank}.safetensors")
if size > 1:
    known = {}
    # δ = 0: the divergence of a pass through DDP and one around it is that of their dropout masks.
    noise = config(folder, **shared, adv_method="noise", adv_init_std=0.0, torch_compile=True)
    trainer = trained(small(dropout=0.1), noise, labelled_sentences(24))
    known["divergence of masks"] = logged(trainer, "adversarial_loss")
    torch.compiler.reset()
    step = AlumStep(DistributedDataParallel(torch.compile(small(), backend="aot_eager")), "alum_one_pass")
    for seed in range(3):
        counters.clear()
        step({**token_batch(seed=seed), "labels": torch.tensor([0, 1])})
    known["compiled anew"] = sum(counters["frames"].values())
    try:
        AlumStep(torch.compile(DistributedDataParallel(small())), "alum")
    except InputError as error:
        known["wrapper and all"] = str(error)
    (folder / f"known-{rank}.json").write_text(json.dumps(known))
    torch.distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    script = folder / "script.py"
    script.write_text(SCRIPT.replace("METHODS", repr(METHODS)))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    for name, launcher in {
        "one": [sys.executable],
        "two": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
    }.items():
        (folder / name).mkdir()
        command = [*launcher, str(script), str(folder / name)]
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr[-3000:]
    return folder


@pytest.fixture(scope="module", params=[0, 1])
def known(request, folder):
    return json.loads((folder / "two" / f"known-{request.param}.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_two_compiled_processes_train_what_one_does_that_is_not_compiled(folder, method):
    one = load_file(folder / "one" / f"{method}-0.safetensors")
    for rank in (0, 1):
        two = load_file(folder / "two" / f"{method}-{rank}.safetensors")
        for name, value in one.items():
            torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_pass_through_the_wrapper_has_the_masks_of_those_around_it(known):
    assert known["divergence of masks"] == [pytest.approx(0, abs=1e-9)] * len(known["divergence of masks"])
    assert known["divergence of masks"]


@pytest.mark.slow
def test_a_later_step_of_a_loop_of_ones_own_compiles_nothing_anew(known):
    assert known["compiled anew"] == 0


@pytest.mark.slow
def test_a_wrapper_that_was_compiled_with_its_model_is_refused(known):
    assert "DistributedDataParallel was compiled with the model in it" in known["wrapper and all"]
