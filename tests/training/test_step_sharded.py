"""Models whose weights are sharded (FSDP2, HSDP) in two and four processes on the CPU, against whole ones in one."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from places import TESTS

CASES = {
    "standard": {},
    "alum": {},
    "alum, 1": {"layer": 1},
    "alum, first": {"clean_side": "first"},
    "alum_one_pass": {},
    "alum_one_pass, embeddings": {"layer": "embeddings"},
    "alum_one_pass, 1": {"layer": 1},
    "alum_virtual": {},
    "alum_virtual, constant": {"clean_side": "constant"},
    "fgm": {},
    "fgm, 1": {"layer": 1},
    "pgd": {},
    "freelb": {},
    "r_drop": {},
    "alum_paper": {},
    "alum_released": {},
    "noise": {"epsilon": 0.3},
    "noise, 1": {"layer": 1, "epsilon": 0.3},
    "r3f": {},
    "standard, without padding": {"padding_free": True},
    "alum, without padding": {"padding_free": True},
    "alum_one_pass, 1, without padding": {"layer": 1, "padding_free": True},
}
NO_ADVERSARY = ("standard", "standard, without padding", "r_drop", "alum_paper", "r3f")
SCRIPT = """
import json, os, sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from tiny_models import MASK, VOCAB_SIZE, classifier

from alum.core.errors import InputError
from alum.models.hooks.padding_free import PaddingFree
from alum.training.step import AlumStep

torch.set_num_threads(1)
folder, mesh_shape, cases = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
rows = slice(rank * 8 // size, (rank + 1) * 8 // size)
ids = torch.randint(MASK + 1, VOCAB_SIZE, (8, 9), generator=torch.Generator().manual_seed(1))
batch = {"input_ids": ids[rows], "labels": (torch.arange(8) % 2)[rows]}
lengths = torch.tensor([9, 3, 5, 7, 2, 9, 6, 4]).unsqueeze(1)
mask = (torch.arange(9) < lengths).long()
padded = {**batch, "input_ids": (ids * mask)[rows], "attention_mask": mask[rows]}
names = ("replicated", "sharded")[-len(mesh_shape) :]
mesh = init_device_mesh("cpu", tuple(mesh_shape), mesh_dim_names=names) if size > 1 else None


def model():
    built = classifier(dropout=0.0).train()
    if mesh is not None:
        for block in built.bert.encoder.layer:
            fully_shard(block, mesh=mesh)
        fully_shard(built, mesh=mesh)
    return built


for case, settings in cases.items():
    trained, padding_free = model(), settings.pop("padding_free", False)
    if padding_free and mesh is not None:  # one process has the padded rows
        PaddingFree(trained)
    step = AlumStep(trained, case.split(",")[0], **settings)
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.1)
    for _ in range(3):
        step(padded if padding_free else batch)
        optimizer.step()
        optimizer.zero_grad()
    whole = {name: weight.full_tensor() if mesh is not None else weight for name, weight in trained.named_parameters()}
    save_file({name: weight.detach().clone() for name, weight in whole.items()}, folder / f"{case}-{rank}.safetensors")
try:
    AlumStep(model(), "smart")
except InputError as error:
    (folder / f"refused-{rank}.txt").write_text(str(error))
if mesh is not None:
    torch.distributed.destroy_process_group()
"""


def run(folder, mesh, cases):
    """Trains with one process for each place of the mesh; one in all where it has none."""
    folder.mkdir()
    (folder / "script.py").write_text(SCRIPT)
    num_processes = int(torch.tensor(mesh or [1]).prod())
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={num_processes}"]
    arguments = [str(folder / "script.py"), str(folder), json.dumps(mesh), json.dumps(cases)]
    command = [sys.executable, *(start if num_processes > 1 else []), *arguments]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def environment():
    return {**os.environ, "PYTHONPATH": f"{TESTS}:{os.environ.get('PYTHONPATH', '')}", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return run(tmp_path_factory.mktemp("sharded") / "one", [], CASES)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return run(tmp_path_factory.mktemp("sharded") / "two", [2], CASES)


def furthest(found, expected):
    return max((found[name] - weight).abs().max().item() for name, weight in expected.items())


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_what_one_does(one, two, case):
    expected = load_file(one / f"{case}-0.safetensors")
    for rank in range(2):
        assert furthest(load_file(two / f"{case}-{rank}.safetensors"), expected) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case not in NO_ADVERSARY])
def test_an_adversary_can_be_told_from_none(one, case):
    """Without dropout R-Drop's divergence is zero, and the radius of the paper and of R3F is 1e-5."""
    assert furthest(load_file(one / f"{case}-0.safetensors"), load_file(one / "standard-0.safetensors")) > 1e-4


@pytest.mark.slow
def test_four_processes_in_a_mesh_that_shards_and_replicates_train_what_one_does(one, tmp_path):
    cases = {case: CASES[case] for case in ("alum", "alum_one_pass, 1")}
    four = run(tmp_path / "four", [2, 2], cases)
    for case in cases:
        expected = load_file(one / f"{case}-0.safetensors")
        assert furthest(load_file(four / f"{case}-3.safetensors"), expected) < 1e-5


@pytest.mark.slow
def test_an_average_of_weights_is_refused(two):
    for rank in range(2):
        assert "fully_shard keeps a part of them in each process" in (two / f"refused-{rank}.txt").read_text()
