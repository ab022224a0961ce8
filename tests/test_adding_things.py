"""Examples of docs/architecture.md, put where it says, are all that a new method, attack, data set or kind takes."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from places import ROOT, TESTS
from tiny_stages import LENGTH_TOKENS, save_untrained
from tiny_texts import opinions, write_rows

BLOCK = re.compile(r"```python\n# (?P<file>[\w/]+\.py)(?:, (?P<table>at the end|\w+))?\n(?P<code>.*?)```", re.S)
IMPORTS = {  # of what rows name
    "tasks/lookup.py": "from alum.tasks.kinds.rating import RatingSupervision\n",
    "evaluation/kinds/lookup.py": "from alum.evaluation.kinds.rating import EvaluatedRating\n",
}


def with_row(source, table, row):
    """The module's source with one more row at the end of a table: a tuple, a dict, or a dict made from a tuple."""
    for node in ast.walk(ast.parse(source)):
        names = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if any(isinstance(name, ast.Name) and name.id == table for name in names):
            rows = node.value.generators[0].iter if isinstance(node.value, ast.DictComp) else node.value
            last = rows.values[-1] if isinstance(rows, ast.Dict) else rows.elts[-1]
            lines = source.splitlines(keepends=True)
            end = sum(map(len, lines[: last.end_lineno - 1])) + last.end_col_offset
            return f"{source[:end]},\n{row.strip()}{source[end:]}"
    raise AssertionError(f"no table {table}")


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """The folder of a copy of the package to which every example was added."""
    folder = tmp_path_factory.mktemp("extended")
    shutil.copytree(ROOT / "src" / "alum", folder / "alum", ignore=shutil.ignore_patterns("__pycache__"))
    blocks = list(BLOCK.finditer((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")))
    assert len(blocks) == 13
    for block in blocks:
        module = folder / "alum" / block["file"]
        if block["table"] is None:
            assert not module.exists()
            module.write_text(block["code"], encoding="utf-8")
        elif block["table"] == "at the end":
            with module.open("a", encoding="utf-8") as file:
                file.write(f"\n\n{block['code']}")
        else:
            source = with_row(module.read_text(encoding="utf-8"), block["table"], block["code"])
            imports = IMPORTS.get(block["file"], "")
            module.write_text(source.replace("\nfrom alum", f"\n{imports}from alum", 1), encoding="utf-8")
    return folder


RUN = """
import json, sys
from alum.cli.main import main

for words in json.loads(sys.argv[1]):
    if code := main(words):
        sys.exit(code)
    print("END OF COMMAND")
"""


def alum(extended, *commands):
    """What each command prints; they run one after another in one process."""
    command = [sys.executable, "-c", RUN, json.dumps([list(map(str, words)) for words in commands])]
    done = subprocess.run(command, env=environment(extended), capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-4000:]
    *shown, _ = done.stdout.split("END OF COMMAND")
    assert len(shown) == len(commands)
    return shown


def environment(extended):
    path = os.pathsep.join([str(extended), str(TESTS)])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


@pytest.fixture(scope="module")
def ratings(tmp_path_factory):
    rows = [{"text": row["text"], "stars": 1 + index % 5} for index, row in enumerate(opinions(40))]
    return write_rows(tmp_path_factory.mktemp("ratings") / "rows.jsonl", rows)


@pytest.mark.slow
def test_the_kind_the_method_and_the_attack_work_together(extended, ratings, tmp_path):
    own = ("--kind", "rating", "--text_columns", "text", "--label_column", "stars")
    model = save_untrained(tmp_path / "model")
    files = ("--train_file", ratings, "--validation_file", ratings, "--output_dir", tmp_path / "tuned")
    settings = ("--max_steps", 2, "--adv_method", "pgd_2", "--max_seq_length", LENGTH_TOKENS)
    training = ("finetune", "--model_name_or_path", model, *own, *files, *settings)
    measured = (
        "--attacks",
        "typing",
        "pgd",
        "insertions",
        "--epsilons",
        0.1,
        "--num_steps",
        1,
        "--max_seq_length",
        LENGTH_TOKENS,
    )
    tuned = ("--model_name_or_path", tmp_path / "tuned", "--validation_file", ratings)
    trained, evaluated = alum(extended, training, ("evaluate", *tuned, *own, *measured))
    assert "pgd_2" in trained
    assert "validation accuracy" in trained
    for name in ("clean", "typing", "pgd", "insertions"):
        assert name in evaluated


@pytest.mark.slow
def test_the_divergence_is_that_of_the_new_kind(extended):
    """Of 3 in one number √10 - 1, of 4 and 3 in two √17 + √10 - 2, and where nothing counts 0; its slope at 0 is 0."""
    code = (
        "import torch; from alum.core.divergences import pseudo_huber as d; from alum.tasks.lookup import SUPERVISED\n"
        "assert SUPERVISED['rating'].kind.distance is d\n"
        "p, q = torch.tensor([[3.0, 0.0], [4.0, 3.0], [9.0, 9.0]], requires_grad=True), torch.zeros(3, 2)\n"
        "found = d(p, q, torch.tensor([True, True, False]))\n"
        "torch.testing.assert_close(found, torch.tensor([10**0.5 - 1, 17**0.5 + 10**0.5 - 2, 0.0]))\n"
        "found.sum().backward(); assert p.grad[0, 1] == 0 < p.grad[0, 0] < 1"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(extended), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_command_is_listed_and_runs(extended):
    (shown,) = alum(extended, ["kinds"])
    assert re.search(r"pair_classification\W+2\b", shown)
    assert re.search(r"rating\W+1\b", shown)
    done = subprocess.run(
        [sys.executable, "-m", "alum", "--help"], env=environment(extended), capture_output=True, text=True, check=True
    )
    assert "list the kinds of task, each with its number of text columns" in done.stdout


@pytest.mark.slow
def test_the_data_set_is_a_task_and_a_suite(extended, tmp_path):
    rows = [{"text": row["text"], "label": index % 2} for index, row in enumerate(opinions(20))]
    (tmp_path / "subj").mkdir()
    for split in ("train", "test"):
        write_rows(tmp_path / "subj" / f"{split}.jsonl", rows)
    model, tuned = save_untrained(tmp_path / "model"), tmp_path / "tuned"
    task = ("--task", "subj", "--data_dir", tmp_path / "subj", "--max_steps", 1, "--max_seq_length", LENGTH_TOKENS)
    training = ("finetune", "--model_name_or_path", model, *task, "--output_dir", tuned)
    suite = ("--suites", f"subj={tmp_path / 'subj'}", "--attacks", "none", "--max_seq_length", LENGTH_TOKENS)
    evaluation = ("evaluate", "--model_name_or_path", tuned, *suite)
    tasks, suites, _, evaluated = alum(extended, ["tasks"], ["suites"], training, evaluation)
    assert "SetFit/subj" in tasks
    assert "SetFit/subj" in suites
    assert "subj" in evaluated


@pytest.mark.slow
def test_the_tests_of_the_tables_hold_for_the_new_rows(extended):
    tests = ["core", "attacks/text/test_table.py", "tasks/test_sources.py", "tasks/test_lookup.py"]
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", *(str(TESTS / name) for name in tests)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(extended), capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"pgd_2.* PASSED", done.stdout)
