import re
from collections import defaultdict

import pytest

from alum.core.errors import InputError
from alum.stages.demo.docstrings import MOST_OF_A_FILE, Passage, module_names, passages_of, split_of, without_names

PACKAGE = "rich"  # small, and a dependency


@pytest.fixture(scope="module")
def passages():
    return passages_of(PACKAGE, 10_000)


def test_passages_are_distinct_paragraphs_of_prose(passages):
    texts = [passage.text for passage in passages]
    assert len(texts) > 20
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert 12 <= len(text.split()) <= 120
        assert ">>>" not in text
        assert "\n" not in text


def test_no_file_gives_more_than_its_share(passages):
    per_file = defaultdict(int)
    for passage in passages:
        per_file[passage.file] += 1
    assert max(per_file.values()) <= MOST_OF_A_FILE


def test_the_order_is_fixed_by_the_seed_and_fewer_are_the_first(passages):
    assert passages_of(PACKAGE, 10_000) == passages
    assert passages_of(PACKAGE, 10) == passages[:10]
    assert passages_of(PACKAGE, 10_000, seed=1) != passages


def test_a_package_that_is_not_installed_is_refused():
    with pytest.raises(InputError, match="package no_such_package is not installed"):
        passages_of("no_such_package", 10)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes a package of the given files, which fail when they are imported."""

    def make(**files):
        root = tmp_path / "sample_package"
        root.mkdir()
        (root / "__init__.py").touch()
        for name, source in files.items():
            (root / f"{name}.py").write_text(f"raise RuntimeError\n{source}")
        monkeypatch.syspath_prepend(tmp_path)
        return "sample_package"

    return make


PROSE = "This paragraph has plain words only and so many of them that it is taken as prose."


def test_only_prose_is_taken_and_files_are_never_imported(package):
    name = package(
        one=f'def f():\n    """Short.\n\n    {PROSE}\n\n    >>> {PROSE}\n\n    Args: {PROSE}\n    """',
        two=f'class A:\n    """{PROSE}"""',  # said already
        broken=f'"""{PROSE} Again, but the file is no Python."""\ndef (',
    )
    assert [passage.text for passage in passages_of(name, 10)] == [PROSE]


def test_all_passages_of_a_file_are_in_one_split(passages):
    splits = defaultdict(set)
    for passage in passages:
        splits[passage.file].add(split_of(passage))
    assert {len(names) for names in splits.values()} == {1}


def test_a_tenth_of_the_files_is_for_validation_and_a_tenth_for_testing():
    counts = defaultdict(int)
    for number in range(2000):
        counts[split_of(Passage("", PACKAGE, f"{PACKAGE}/{number}.py"))] += 1
    assert counts["train"] + counts["validation"] + counts["test"] == 2000
    # Four standard deviations of 2000 draws with probability 0.1 are 54.
    assert abs(counts["validation"] - 200) < 54
    assert abs(counts["test"] - 200) < 54


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Use SciPy or scikit-learn.", "Use name or name-name."),
        ("See scipy.special.expit for it.", "See name for it."),
        ("A special function of order n.", "A special function of order n."),  # modules' names are words, too
        ("Call torch.nn.functional first.", "Call name first."),
    ],
)
def test_names_of_packages_and_modules_are_masked(text, masked):
    names = module_names([Passage("", "scipy", "scipy/special/_basic.py")])
    assert without_names(Passage(text, "scipy", ""), names) == masked


def test_no_package_name_survives_masking(passages):
    names = module_names(passages)
    for passage in passages:
        words = re.findall(r"[a-z]+", without_names(passage, names).lower())
        assert not {"torch", "numpy", "pandas", "sympy", "networkx"} & set(words)
