"""The scripts in examples/ run as they stand there."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

from forked_code import ForkedCode
from places import ROOT

EXAMPLES = ROOT / "examples"
QUICK = ("plain_loop", "trainer")


def accuracy_in(shown):
    return float(re.search(r"^accuracy ([\d.]+)$", shown, re.MULTILINE)[1])


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    forked = ForkedCode(tmp_path_factory.mktemp("forked"))
    yield forked
    forked.close()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(path, marks=[] if path.stem in QUICK else pytest.mark.slow, id=path.name)
        for path in sorted(EXAMPLES.glob("*.py"))
    ],
)
def test_a_script_runs_and_learns(script, tmp_path, forked):
    done = forked.run(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')", tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) < 15
    assert accuracy_in(done.stdout) > 0.8
    gains = [float(gain) for gain in re.findall(r"adversarial[_ ]gain\W+([\d.]+)", done.stdout)]
    assert max(gains) > 5  # of noise 1; with another number of threads other numbers come of it
    if rates := re.findall(r"attack success rate ([\d.]+)", done.stdout):  # without an attack in training, and with it
        plain, attacked = map(float, rates)
        assert attacked < 0.2 < plain - 0.3
    assert not list(tmp_path.iterdir())


def test_the_page_of_examples_names_every_one_and_no_other():
    page = (ROOT / "docs/start/ways.md").read_text(encoding="utf-8").partition("## Examples")[2]
    named = set(re.findall(r"[`\[](\w+\.(?:py|ipynb))[`\]]", page))
    assert named == {path.name for suffix in ("py", "ipynb") for path in EXAMPLES.glob(f"*.{suffix}")}


def test_the_numbered_lines_are_all_that_alum_changes(capsys):
    """With what their comments say in their place, and the setting of the method gone, a Trainer script is left."""
    lines = (EXAMPLES / "trainer.py").read_text().splitlines()
    former = []
    for line in lines:
        if found := re.match(r"( *)(\w+ = |).*# (\d), instead of: (.*)", line):
            indent, target, _, code = found.groups()
            line = f"{indent}{target}{code}"
        if "adv_method" not in line:
            former.append(line)
    assert sum(a != b for a, b in zip(lines, former, strict=False)) >= 3
    script = "\n".join(former)
    assert "alum" not in script.split('"""')[2].lower()
    exec(compile(script, "trainer.py", "exec"), {"__name__": "__main__"})
    assert accuracy_in(capsys.readouterr().out) > 0.8


# -- sharded checkpoints -----------------------------------------------------------------------------------------------


def train_sharded(folder, num_processes, last_step):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={num_processes}"]
    script = str(EXAMPLES / "distributed" / "sharded_checkpoint.py")
    done = subprocess.run(
        [*launcher, script, "--steps", str(last_step), "--folder", str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def state_in(checkpoint, tmp_path):
    """All of a sharded checkpoint, by paths of names."""
    dcp_to_torch_save(checkpoint, tmp_path / "whole.pt")
    found = {}

    def gather(value, name):
        if isinstance(value, dict):
            for key, below in value.items():
                gather(below, f"{name}/{key}")
        else:
            found[name] = value

    gather(torch.load(tmp_path / "whole.pt", weights_only=True), "")
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sharded_checkpoint_is_gone_on_with_by_one_and_four_processes(tmp_path):
    train_sharded(tmp_path / "undisturbed", 2, 6)
    train_sharded(tmp_path / "stopped", 2, 3)
    expected = state_in(tmp_path / "undisturbed" / "step-6", tmp_path)
    moved = state_in(tmp_path / "stopped" / "step-3", tmp_path)
    assert expected["/training/adversary/num_calls"] == 6
    assert expected["/training/adversary/radius/factor"] != moved["/training/adversary/radius/factor"] != 1
    for num_processes in (1, 4):
        folder = shutil.copytree(tmp_path / "stopped", tmp_path / f"by-{num_processes}")
        train_sharded(folder, num_processes, 6)
        found = state_in(folder / "step-6", tmp_path)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, torch.Tensor):
                torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-6)
            else:  # numbers of the adversary, settings of the optimizer
                assert found[name] == (pytest.approx(value, rel=1e-3) if isinstance(value, float) else value)
    far = "/training/model/classifier.weight"
    assert (expected[far] - moved[far]).abs().max() > 1e-3  # what three steps change
