"""What ``import alum`` offers, and that it costs nothing until it is asked for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import alum


def in_a_fresh_process(script):
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


def test_import_alum_imports_no_library():
    modules = in_a_fresh_process("import sys, alum; dir(alum); print(*sys.modules)")
    assert "alum" in modules
    assert not {"torch", "transformers", "datasets", "numpy"} & set(modules)


def test_what_needs_no_torch_comes_without_it():
    names = "InputError, METHODS, Method, method_named, PretrainArguments, FinetuneArguments"
    assert "torch" not in in_a_fresh_process(f"import sys; from alum import {names}; print(*sys.modules)")


@pytest.mark.parametrize("name", alum.__all__)
def test_a_name_is_there_and_is_the_one_that_its_module_defines(name):
    value = getattr(alum, name)
    assert getattr(value, "__name__", name) == name
    assert name in dir(alum)


def test_a_star_imports_all_of_them_and_leaves_matplotlib_to_the_first_picture():
    names = in_a_fresh_process("from alum import *; import sys; print(*dir(), *sys.modules)")
    assert {*alum.__all__, "alum.stages.study.run"} <= set(names)
    assert "matplotlib" not in names


def test_dir_has_these_names_and_what_every_module_has():
    names = in_a_fresh_process("import alum, alum.stages.runs.settings; print(*dir(alum))")
    assert [name for name in names if not name.startswith("__")] == sorted(alum.__all__)
    assert {"__version__", "__all__", "__doc__", "__file__"} <= set(names)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"module 'alum' has no attribute 'AlumTrainr'"):
        alum.AlumTrainr  # noqa: B018
    with pytest.raises(ImportError):
        from alum import AlumTrainr  # noqa: F401


def test_type_checkers_see_the_same_names_from_the_same_modules():
    tree = ast.parse(Path(alum.__file__).read_text(encoding="utf-8"))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {name.name: found.module for found in checked.body for name in found.names}
    assert seen == alum._MODULE_OF
    assert set(seen) == set(alum.__all__)
