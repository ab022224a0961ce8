"""The notebooks in examples/ run from top to bottom, cell by cell, and were put away without outputs."""

import ast
import json
import re
import shutil

import pandas
import pytest

from forked_code import ForkedCode
from places import ROOT

NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))

# What Jupyter does with the code of cells, without its dozens of packages: all cells share their names, and the value
# of an expression that ends a cell is displayed, as HTML where it has some.
RUN = """
import ast

names = {"__name__": "__main__"}
for number, cell in enumerate(CELLS, start=1):
    parts = ast.parse(cell, f"cell {number}")
    last = parts.body.pop() if parts.body and isinstance(parts.body[-1], ast.Expr) else None
    exec(compile(parts, f"cell {number}", "exec"), names)
    value = None if last is None else eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
    if value is not None:
        print("SHOWN", number, value._repr_html_() if hasattr(value, "_repr_html_") else repr(value))
"""


def cells_of(notebook):
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def code_of(notebook):
    return ["".join(cell["source"]) for cell in cells_of(notebook) if cell["cell_type"] == "code"]


def test_there_is_one():
    assert NOTEBOOKS


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_in_jupyters_format_without_outputs(notebook):
    """Fields that https://nbformat.readthedocs.io/en/latest/format_description.html asks for in version 4.5."""
    found = json.loads(notebook.read_text(encoding="utf-8"))
    assert (found["nbformat"], found["nbformat_minor"], set(found)) == (
        4,
        5,
        {"cells", "metadata", "nbformat", "nbformat_minor"},
    )
    assert len({cell["id"] for cell in found["cells"]}) == len(found["cells"])
    for cell in found["cells"]:
        of_code = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"cell_type", "id", "metadata", "source"} | of_code
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        assert (cell.get("outputs", []), cell.get("execution_count")) == ([], None)
    for code in code_of(notebook):
        assert max(map(len, code.splitlines())) <= 120
        ast.parse(code)


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    forked = ForkedCode(tmp_path_factory.mktemp("forked"))
    yield forked
    forked.close()


def run(forked, name, folder):
    """What a notebook prints and shows; what it writes that has no place of its own lies in ``folder``."""
    (folder / "temporary").mkdir()
    code = RUN.replace("CELLS", repr(code_of(ROOT / "examples" / name)))
    done = forked.run(code, folder, {"TMPDIR": str(folder / "temporary")})
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder / "temporary")
    return done.stdout


def test_the_notebook_evaluates_attacks_shows_and_exports(forked, tmp_path):
    shown = run(forked, "evaluate_in_memory.ipynb", tmp_path)
    assert "rows, deepwordbug" in shown  # the tables of the evaluation
    assert "<del>" in shown  # the attacked text
    texts = pandas.read_csv(tmp_path / "attacked.csv")
    lines = (tmp_path / "attacked.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(texts) == len(lines) == 2 * 60
    assert sorted(path.name for path in tmp_path.iterdir()) == ["attacked.csv", "attacked.jsonl"]
    shares = texts[texts["before"] == texts["label"]].groupby("model").size() / 60
    assert (shares > 0.8).all()


def test_the_notebook_fine_tunes_shows_card_and_logs_and_evaluates(forked, tmp_path):
    shown = run(forked, "finetune_and_evaluate.ipynb", tmp_path)
    assert "pipeline_tag: text-classification" in shown
    assert "'label': 'good'" in shown  # what the trained model says of a good film
    assert "adversarial_gain" in shown
    cells = r"<td>(\w+)</td>\s*<td>(\w+)</td>\s*<td>([\w.]+)</td>\s*<td>([\d.]+)</td>"  # model, attack, epsilon, value
    found = {tuple(row[:3]): float(row[3]) for row in re.findall(cells, shown)}
    clean = {model: value for (model, attack, _), value in found.items() if attack in ("NaN", "None")}
    assert clean.keys() == {"standard", "alum_virtual"}
    assert min(clean.values()) > 0.9
    assert found["alum_virtual", "pgd", "1.0"] > found["standard", "pgd", "1.0"] + 0.1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_notebook_finds_a_radius_and_compares_the_arms_of_a_study(forked, tmp_path):
    shown = run(forked, "study_and_radius.ipynb", tmp_path)
    assert "Recommended: --adv_epsilon" in shown
    assert len(re.findall(r"<td>(?:noise|alum_virtual)</td>", shown)) >= 4  # each arm, clean and under PGD
    assert re.search(r"^alum_virtual - alum_virtual is .* than standard", shown, re.M)
    assert not list(tmp_path.iterdir())
