"""The scripts in examples/ run as they stand there."""

import re
import subprocess
import sys

import pytest

from places import ROOT

EXAMPLES = ROOT / "examples"


def accuracy_in(shown):
    return float(re.search(r"^accuracy ([\d.]+)$", shown, re.MULTILINE)[1])


@pytest.mark.slow
@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_a_script_runs_and_learns(script, tmp_path):
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) < 15
    assert accuracy_in(done.stdout) > 0.8
    gains = [float(gain) for gain in re.findall(r"adversarial[_ ]gain\W+([\d.]+)", done.stdout)]
    assert max(gains) > 10
    if rates := re.findall(r"attack success rate ([\d.]+)", done.stdout):  # without an attack in training, and with it
        plain, attacked = map(float, rates)
        assert attacked < 0.2 < plain - 0.3
    assert not list(tmp_path.iterdir())


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
