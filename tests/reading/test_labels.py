"""A label is looked up by its text, whatever type a file gives it; what is no label is refused with its row."""

from datasets import ClassLabel, Dataset, Features, Value

from reading_cases import Case, Read, check, parametrized

TAGS = {"text_columns": "words", "label_column": "tags", "kind": "token_classification"}
CHOICES = {"choice_columns": "a,b"}


def table(labels, names=None, text="x"):
    """Rows for Parquet; with ``names`` the column declares its classes."""
    rows = {"text": [f"{text}{i}" for i in range(len(labels))], "label": labels}
    if names is None:
        return Dataset.from_dict(rows)
    return Dataset.from_dict(rows, features=Features({"text": Value("string"), "label": ClassLabel(names=names)}))


def csv(*labels):
    return "text,label\n" + "".join(f"x{i},{label}\n" for i, label in enumerate(labels))


def jsonl(*labels):
    """Labels as JSON writes them."""
    return "".join(f'{{"text": "x{i}", "label": {label}}}\n' for i, label in enumerate(labels))


# -- by text -----------------------------------------------------------------------------------------------------------

LOOKED_UP = [
    Case(
        "truth values beside a third label, all of them text in one file and truth values in the other",
        {"train.csv": csv("true", "false", "mixed"), "validation.csv": csv("true", "false")},
        Read(names=("false", "mixed", "true"), labels={"validation": ["true", "false"]}),
    ),
    Case(
        "the same from JSON lines",
        {"train.jsonl": jsonl('"true"', '"false"', '"mixed"'), "validation.jsonl": jsonl("true", "false")},
        Read(names=("false", "mixed", "true"), labels={"validation": ["true", "false"]}),
    ),
    Case(
        "truth values as Python writes them",
        {"train.csv": csv("True", "False", "mixed"), "validation.jsonl": jsonl("true", "false")},
        Read(names=("False", "True", "mixed"), labels={"validation": ["True", "False"]}),
    ),
    Case(
        "truth values alone, in two spellings",
        {"train.csv": csv("True", "False"), "validation.jsonl": jsonl("true", "false")},
        Read(names=("false", "true"), labels={"train": ["true", "false"], "validation": ["true", "false"]}),
    ),
    Case(
        "tags that are text in one file and numbers in the other",
        {
            "train.jsonl": '{"words": ["a", "b", "c"], "tags": ["1", "2", "x"]}\n',
            "validation.jsonl": '{"words": ["a", "b"], "tags": [1, 2]}\n',
        },
        Read(names=("1", "2", "x"), labels={"validation": [["1", "2"]]}),
        settings=TAGS,
    ),
    Case(
        "numbers among names are names",
        {"train.csv": csv("1", "2", "x"), "validation.csv": csv("2", "1")},
        Read(names=("1", "2", "x"), labels={"validation": ["2", "1"]}),
    ),
    Case(
        "numbers are in the order of numbers",
        {"train.csv": csv(*range(12)), "validation.csv": csv(10, 2)},
        Read(names=tuple(map(str, range(12))), labels={"validation": ["10", "2"]}),
    ),
    Case(
        "codes are no numbers",
        {"rows.csv": csv("01", "10", "02")},
        Read(kind="sequence_classification", names=("01", "02", "10"), labels={"train": ["01", "10", "02"]}),
    ),
    Case(
        "codes with an exponent",
        {"rows.csv": csv("1e5", "2e7")},
        Read(kind="sequence_classification", names=("1e5", "2e7"), labels={"train": ["1e5", "2e7"]}),
    ),
    Case(
        "declared classes are positions in their own order, even where names are numbers",
        {"rows.parquet": table([0, 1, 0], names=["1", "0"])},
        Read(names=("1", "0"), labels={"train": ["1", "0", "1"]}),
    ),
    Case(
        "declared classes in another order in another split",
        {
            "train.parquet": table([0, 1], names=["pos", "neg"]),
            "validation.parquet": table([0, 1], names=["neg", "pos"]),
        },
        Read(names=("pos", "neg"), labels={"train": ["pos", "neg"], "validation": ["neg", "pos"]}),
    ),
    Case(
        "plain numbers beside declared classes are their positions",
        {"train.parquet": table([0, 1], names=["pos", "neg"]), "validation.csv": csv(1, 0)},
        Read(labels={"validation": ["neg", "pos"]}),
    ),
    Case(
        "a number is no position among names that nobody declared",
        {"train.csv": csv("good", "bad"), "validation.csv": csv(1, 0)},
        refused=r"validation, row 1: label '1' in column 'label' is none of bad, good",
    ),
    Case(
        "a named task's numbers are positions, from CSV too",
        {"rows.csv": "sentence,label\nx,1\ny,0\n"},
        Read(labels={"train": ["positive", "negative"]}),
        settings={"task": "sst2", "text_columns": None, "label_column": None},
    ),
]


@parametrized(LOOKED_UP)
def test_a_label_is_looked_up_by_its_text(case, tmp_path):
    check(case, tmp_path)


# -- rows without a label ----------------------------------------------------------------------------------------------

ALL_MINUS_ONE = csv(-1, -1)

MISSING = [
    Case(
        "-1 and 1",
        {"rows.csv": csv(*[1] * 20, *[-1] * 20)},
        refused=r"train, row 21: label '-1' in column 'label' \(also in row 22, 23, 24, …\) is none of .*negative num",
    ),
    Case(
        "-1, 0 and 1 in JSON", {"rows.jsonl": jsonl(0, 1, -1)}, refused=r"train, row 3: label -1 in column 'label' is"
    ),
    Case(
        "-1 is a quantity in regression",
        {"rows.csv": csv(-2, -1, 0, 2)},
        Read(labels={"train": [-2, -1, 0, 2]}, num_unlabelled=0),
        settings={"kind": "regression"},
    ),
    Case(
        "-1 is a quantity among numbers with a fraction",
        {"rows.jsonl": jsonl(-1, 0.5)},
        Read(kind="regression", labels={"train": [-1, 0.5]}),
    ),
    Case(
        "-1 is no choice",
        {"rows.csv": "text,a,b,label\nx,y,z,-1\nx,y,z,0\n"},
        refused=r"train, row 1: label '-1' .* is not the number of one of the 2 choices",
        settings=CHOICES,
    ),
    Case(
        "-1 as a completion",
        {"rows.csv": "text,label\n1 - 2 =,-1\n1 - 1 =,0\n"},
        Read(labels={"train": ["-1", "0"]}),
        settings={"kind": "causal_lm"},
    ),
    Case(
        "words for what is missing as completions, among numbers",
        {"rows.csv": "text,label\na,1\nb,none\nc,NA\nd,-1\n"},
        Read(labels={"train": ["1", "none", "NA", "-1"]}, num_unlabelled=0),
        settings={"kind": "causal_lm"},
    ),
    Case(
        "lists as labels of texts",
        {"rows.jsonl": jsonl("[0]", "[1]")},
        refused=r"train, row 1: label \[0\] in column 'label' must be a name or a number",
        settings={"kind": "sentence_classification"},
    ),
    Case(
        "a test split of -1 alone has no labels",
        {"rows.csv": csv(0, 1), "test.csv": ALL_MINUS_ONE},
        Read(splits={"train", "validation", "test"}, labels={"train": ["0", "1"]}, texts={"test": [["x0", "x1"]]}),
        wanted=("test",),
    ),
    Case(
        "-1 in a named task",
        {"rows.jsonl": '{"sentence": "x", "label": 1}\n{"sentence": "y", "label": -1}\n'},
        Read(labels={"train": ["positive"]}, num_unlabelled=2),
        settings={"task": "sst2", "text_columns": None, "label_column": None},
    ),
    Case(
        "-1 where classes are declared",
        {"rows.parquet": table([1, -1, 0], names=["neg", "pos"])},
        Read(labels={"train": ["pos", "neg"]}, num_unlabelled=2),
    ),
    Case("empty cells", {"rows.csv": csv(0, "", 1)}, Read(labels={"train": ["0", "1"]}, num_unlabelled=2)),
    Case("null", {"rows.jsonl": jsonl(0, "null", 1)}, Read(labels={"train": ["0", "1"]}, num_unlabelled=2)),
    Case(
        "NaN among integers, as pandas keeps them",
        {"rows.parquet": table([0.0, float("nan"), 1.0])},
        Read(kind="sequence_classification", labels={"train": ["0", "1"]}, num_unlabelled=2),
    ),
    Case("NA among numbers", {"rows.csv": csv(0, "NA", 1, "nan")}, Read(names=("0", "1"), num_unlabelled=4)),
    Case("NA among names", {"rows.csv": csv("EU", "NA", "EU")}, Read(names=("EU", "NA"), num_unlabelled=0)),
]


@parametrized(MISSING)
def test_a_row_without_a_label_is_known_by_the_data(case, tmp_path):
    check(case, tmp_path)


# -- whole numbers -----------------------------------------------------------------------------------------------------

NUMBERS = [
    Case(
        "whole numbers written as floats, as pandas does once a cell was empty",
        {"rows.csv": csv("1.0", "0.0", "", "2.0")},
        Read(kind="sequence_classification", names=("0", "1", "2"), labels={"train": ["1", "0", "2"]}),
    ),
    Case(
        "the same in JSON, by name of the kind",
        {"rows.jsonl": jsonl("1.0", "0.0")},
        Read(names=("0", "1"), labels={"train": ["1", "0"]}),
        settings={"kind": "sentence_classification"},
    ),
    Case(
        "floats in one split and integers in the other",
        {"train.csv": csv(0, 1), "validation.csv": csv("1.0", "", "0.0")},
        Read(labels={"validation": ["1", "0"]}),
    ),
    Case(
        "the number of a choice as a float",
        {"rows.csv": "text,a,b,label\nx,y,z,1.0\nx,y,z,0.0\n"},
        Read(labels={"train": [1, 0]}),
        settings=CHOICES,
    ),
    Case(
        "numbers with a fraction",
        {"rows.csv": csv("0.5", "1", "2.25")},
        Read("regression", (), {"train": [0.5, 1, 2.25]}),
    ),
    Case(
        "a quantity where classes were learnt",
        {"train.csv": csv(0, 1), "validation.csv": csv("0.5")},
        refused=r"validation, row 1: label '0\.5' .* is none of 0, 1\. For labels that are quantities say --kind regr",
    ),
    Case(
        "labels from 1 on",
        {"rows.csv": csv(1, 2, 3, 4, 5)},
        Read(names=("1", "2", "3", "4", "5"), labels={"train": ["1", "2", "3", "4", "5"]}),
    ),
    Case("years", {"rows.csv": csv(2018, 2020, 2019)}, Read(names=("2018", "2019", "2020"))),
    Case("a class that does not occur", {"rows.csv": csv(0, 3, 1)}, Read(names=("0", "1", "2", "3"))),
    Case(
        "an id as label",
        {"rows.jsonl": jsonl(100000000, 3, 7)},
        refused=r"column 'label' are 3 numbers from 3 to 100000000, .*looks like an id",
    ),
    Case("0 and an id", {"rows.csv": csv(0, 100000000)}, refused="looks like an id"),
    Case("the number of the row", {"rows.csv": csv(*range(50))}, refused="each of the 50 rows .* looks like an id"),
    Case("a number of 23 digits", {"rows.csv": csv("1" * 23, "2" * 23)}, refused="looks like an id"),
]


@parametrized(NUMBERS)
def test_whole_numbers_are_classes(case, tmp_path):
    check(case, tmp_path)
