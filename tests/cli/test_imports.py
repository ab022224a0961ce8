"""Lists and helps answer at once: what takes seconds to import is not imported."""

import subprocess
import sys

import pytest

from alum.cli.names import COMMANDS

SCRIPT = """
import sys
from alum.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print(*sys.modules, file=sys.stderr)
"""
SLOW = {"torch", "transformers", "datasets", "tokenizers", "sklearn", "scipy", "pyarrow"}


@pytest.mark.quick_cases(10)
@pytest.mark.parametrize(
    "words",
    [
        "",
        "--help",
        "--version",
        "nope",
        "tasks",
        "tasks sst2",
        "tasks --json",
        "suites",
        "methods",
        "methods --json",
        *(f"{command} --help" for command in COMMANDS),
    ],
)
def test_it_answers_without_the_libraries_that_take_seconds(words):
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words.split()], capture_output=True, text=True, check=False)
    modules = done.stderr.splitlines()[-1].split()
    assert "alum.cli.commands" in modules
    assert not SLOW & set(modules)
    assert done.stdout or words == "nope"


@pytest.mark.parametrize("words", ["tasks --nothing", "demo --fats", "attack --text a", "env more"])
def test_so_do_refusals(words):
    done = subprocess.run([sys.executable, "-c", SCRIPT, *words.split()], capture_output=True, text=True, check=False)
    assert done.stderr.startswith("alum: error: ")
    assert not SLOW & set(done.stderr.splitlines()[-1].split())
