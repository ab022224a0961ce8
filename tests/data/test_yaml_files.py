import pytest

from alum.core.errors import InputError
from alum.data.yaml_files import MOST_VALUES, read_yaml


@pytest.fixture
def read(tmp_path):
    def read(text):
        (tmp_path / "it.yaml").write_text(text)
        return read_yaml(tmp_path / "it.yaml")

    return read


def test_words_are_those_of_yaml_1_2(read):
    found = read("a: off\nb: yes\nc: 5:10\nd: 1e-4\ne: 2020-01-01\nf: 0o7\ng: true\nh: 010\ni: .5\nj: null\nk: 3\n")
    assert found == {
        "a": "off", "b": "yes", "c": "5:10", "d": 1e-4, "e": "2020-01-01", "f": "0o7", "g": True, "h": "010", "i": 0.5,
        "j": None, "k": 3,
    }  # fmt: skip


def test_anchors_stand_for_what_they_name(read):
    assert read("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}") == {"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "is not YAML"),
        ("a: \x1b[31mred\n", "is not YAML: unacceptable character #x001b"),
        ("a: 1\n---\nb: 2\n", "is not YAML"),
        ("? [a]\n: 1\n", "is not YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", "is not YAML"),
        ("a: &x\n  b: *x\n", "an alias for something that the alias is a part of"),
        ("a: " + "[" * 5000 + "]" * 5000, "nests too deep"),
        ("a: [" + "1," * MOST_VALUES + "]", "more than 10,000 values"),
    ],
)
def test_what_is_no_file_of_settings_is_refused(read, text, words):
    with pytest.raises(InputError, match=words):
        read(text)


def test_nine_lines_of_aliases_do_not_fill_the_memory(read):
    lines = ["a0: &a0 [" + ", ".join("x" * 9) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 9)]
    with pytest.raises(InputError, match="Use fewer aliases"):
        read("\n".join(lines))
