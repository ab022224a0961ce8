import io
import re

import pytest
from rich.console import Console

from alum.core.measures.pass_counts import pass_counts
from alum.core.methods import METHODS
from alum.reports.methods import show_methods
from terminal_tables import table_cells


def shown(width):
    console = Console(file=io.StringIO(), width=width)
    show_methods(console)
    return console.file.getvalue()


def cells(text):
    """Value of each setting by method, of all tables."""
    found, heads = {}, []
    for name, *values in table_cells(text):
        heads = values if name == "setting" else heads
        found |= {(method, name): value for method, value in zip(heads, values, strict=False)}
    return found


@pytest.mark.parametrize("width", [80, 300])
def test_each_setting_of_each_method_stands_there(width):
    found = cells(shown(width))
    for name, method in METHODS.items():
        for setting in ("alpha", "epsilon", "num_steps", "step_size", "norm", "dropout", "clean_side", "layer"):
            value, text = getattr(method, setting), found[name, f"adv_{setting}"]
            if setting in method.idle_settings():
                assert text == "–"
            else:
                assert text == str(value) or float(text) == pytest.approx(value, rel=5e-3)
        assert float(found[name, "cost in steps"]) == pytest.approx(pass_counts(method).in_standard_steps, rel=5e-3)


def test_each_method_has_its_source():
    text = re.sub(r"\s+", " ", shown(200))
    assert text.count("arXiv:2004.08994") >= 3
    assert all(re.search(rf"\b{name} +\S", text) for name in METHODS)
