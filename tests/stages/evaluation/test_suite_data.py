import dataclasses
import json

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from alum.core.errors import InputError
from alum.evaluation.suites import SUITES
from alum.stages.evaluation import suite_data as evaluation_data
from alum.stages.evaluation.suite_data import SuiteSpec, load_suite
from alum.tasks.labels import label_ids
from places import DATA
from tiny_texts import write_rows

NLI = ("entailment", "neutral", "contradiction")


@dataclasses.dataclass
class Arguments:
    kind: str | None = None
    text_columns: str | None = None
    label_column: str | None = None
    choice_columns: str | None = None
    max_eval_samples: int | None = None
    seed: int = 0


def loaded(spec, **arguments):
    return load_suite(SuiteSpec.parse(str(spec)), Arguments(**arguments))


def sentences(count):
    return [{"sentence": f"sentence {i}", "label": i % 2, "idx": i} for i in range(count)]


@pytest.mark.parametrize("spec", ["=rows.jsonl", "", " =rows.jsonl"])
def test_a_suite_without_a_name_is_refused(spec):
    with pytest.raises(InputError, match=f"expected a suite as NAME or NAME=PATH, not '{spec}': give it a name"):
        SuiteSpec.parse(spec)


# -- real data ---------------------------------------------------------------------------------------------------------

# The file of each suite's split.
FOLDERS = {
    "sst2": "glue_sst2/validation",
    "cola": "glue_cola/validation",
    "mrpc": "glue_mrpc/validation",
    "rte": "glue_rte/validation",
    "stsb": "glue_stsb/validation",
    "wnli": "glue_wnli/validation",
    "qqp": "glue_qqp_sample/validation",
    "snli": "snli_sample/test",
    "cad_nli": "cad_nli_revised/validation",
    "sick": "sick/test",
    "anli_r1_dev": "anli/dev_r1",
    "hans": "hans_sample/validation",
    "cad_imdb": "cad_imdb_revised/validation",
    "customer_reviews": "customer_reviews/test",
    "adv_qqp": "adv_glue_qqp/validation",
    "adv_qnli": "adv_glue_qnli/validation",
    "adv_rte": "adv_glue_rte/validation",
    "squad": "squad_sample/validation",
    "squad_addsent": "squad_adversarial_addsent/validation",
    "codah": "codah/test",
    "copa": "copa_sample/validation",
}


@pytest.mark.data
@pytest.mark.parametrize("name", FOLDERS)
def test_every_folder_of_real_data_loads(name):
    file = DATA / f"{FOLDERS[name]}.jsonl"
    if not file.is_file():
        pytest.skip(f"needs {file}: set ALUM_DATA to the folder of the data")
    data = loaded(f"{name}={file.parent}")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    suite = SUITES[name]
    expected = [row for row in rows if row[suite.source.layout.label] != -1]
    assert data.num_rows_available == len(expected)
    assert data.rows.table.column(suite.source.layout.text[0]) == [row[suite.source.layout.text[0]] for row in expected]
    assert data.source == str(file)
    placeholders = {"question_answering": "", "sequence_classification": (suite.source.layout.label_names or ("",))[0]}
    predictions = [placeholders.get(suite.source.kind, 0)] * len(expected)
    scores = data.evaluated.supervision.score(predictions, data.rows)  # refuses labels that do not fit
    assert data.main_metric in scores
    if suite.source.kind == "sequence_classification":
        share = sum(row["label"] == 0 for row in expected) / len(expected)
        assert scores["accuracy"] == pytest.approx(share)


@pytest.mark.data
def test_groups_of_real_data():
    if not (DATA / "hans_sample").is_dir():
        pytest.skip(f"needs {DATA}/hans_sample: set ALUM_DATA to the folder of the data")
    groups = loaded(f"hans={DATA / 'hans_sample'}").groups
    assert set(groups) == {"lexical_overlap", "subsequence", "constituent"}
    assert loaded(f"hans={DATA / 'hans_sample'}", max_eval_samples=5).groups != groups[:5]


# -- rows in the hub's columns -----------------------------------------------------------------------------------------

HUB_ROWS = {
    "mnli_mismatched": {"premise": "a", "hypothesis": "b", "label": 1, "idx": 0},
    "adv_mnli": {"premise": "a", "hypothesis": "b", "label": 1, "idx": 0},
    "adv_mnli_mismatched": {"premise": "a", "hypothesis": "b", "label": 1, "idx": 0},
    "adv_sst2": {"sentence": "a", "label": 1, "idx": 0},
    "paws": {"id": 1, "sentence1": "a", "sentence2": "b", "label": 0},
    "breaking_nli": {"sentence1": "a", "category": "drinks", "gold_label": "contradiction", "annotator_labels": ["c"],
                     "pairID": 1, "sentence2": "b", "label": 2},
    "anli_r3_test": {"uid": "u", "premise": "a", "hypothesis": "b", "label": 0, "reason": ""},
    "swag": {"sent1": "a", "sent2": "b", "ending0": "c", "ending1": "d", "ending2": "e", "ending3": "f", "label": 3},
    "hellaswag": {"ctx_a": "a", "ctx_b": "b", "ctx": "a b", "endings": ["c", "d", "e", "f"], "label": "3"},
    "squad_addonesent": {"id": "x-high-conf", "title": "t", "context": "In Rome.", "question": "Where?",
                         "answers": {"text": ["Rome"], "answer_start": [3]}},
    "imdb_contrast": {"text": "a", "label": 1},
    "qnli": {"question": "a", "sentence": "b", "label": 1, "idx": 0},
    "mnli": {"premise": "a", "hypothesis": "b", "label": 1, "idx": 0},
}  # fmt: skip


def test_every_suite_is_loaded_here():
    of_families = {f"anli_r{n}_{split}" for n in (1, 2, 3) for split in ("dev", "test")}
    assert set(SUITES) == set(FOLDERS) | set(HUB_ROWS) | of_families


@pytest.mark.parametrize("name", HUB_ROWS)
def test_rows_in_the_columns_of_the_hub(name, tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", [HUB_ROWS[name]] * 3)
    data = loaded(f"{name}={file}")
    assert data.num_rows_available == len(data.rows) == 3
    assert data.groups == (["drinks"] * 3 if name == "breaking_nli" else None)


@pytest.mark.parametrize("converted", [None, "plain_text"])
def test_what_the_hub_client_loads(converted, tmp_path, monkeypatch):
    """A local folder in the place of a data set on the hub, and in the layout of the hub's own conversion."""
    features = Features({"premise": Value("string"), "hypothesis": Value("string"),
                         "label": ClassLabel(names=["entailment", "non-entailment"])})  # fmt: skip
    rows = Dataset.from_dict({"premise": ["a", "c"], "hypothesis": ["b", "d"], "label": [1, -1]}, features=features)
    folder = tmp_path / "plain_text" / "validation" if converted else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(str(folder / ("0000.parquet" if converted else "validation.parquet")))
    source = dataclasses.replace(SUITES["hans"].source, hub_id=str(tmp_path), converted=converted)
    hans = dataclasses.replace(SUITES["hans"], source=source)
    monkeypatch.setitem(evaluation_data.SUITES, "hans", hans)
    data = loaded("hans")
    assert data.rows.table.column("premise") == ["a"]  # the other row has no label
    assert data.rows.table.column("label") == [1]
    assert "validation" in data.source


# -- which rows --------------------------------------------------------------------------------------------------------


def test_a_part_of_the_rows_is_random_in_their_order_and_in_every_larger_part(tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", sentences(200))

    def part(count, seed=0):
        data = loaded(f"sst2={file}", max_eval_samples=count, seed=seed)
        assert data.num_rows_available == 200
        assert list(data.rows.numbers) == [row + 1 for row in data.rows.table.column("idx")]
        return data.rows.table.column("idx")

    few = part(20)
    assert len(few) == 20
    assert few == sorted(few)
    assert few != list(range(20))
    assert part(20) == few
    assert part(20, seed=1) != few
    assert set(few) < set(part(60))
    assert list(part(200)) == list(part(None)) == list(range(200))


def test_rows_without_labels_are_left_out(tmp_path):
    rows = [*sentences(4), {"sentence": "no label", "label": -1, "idx": 4}]
    assert loaded(f"sst2={write_rows(tmp_path / 'a.jsonl', rows)}").num_rows_available == 4


@pytest.mark.parametrize(
    ("files", "name", "expected"),
    [
        (("train", "validation", "test"), "sst2", "validation"),
        (("train", "validation", "test"), "snli", "test"),
        (("train", "validation"), "snli", "validation"),
        (("train", "test"), "sst2", "test"),
        (("train", "dev_r2", "dev_r1"), "anli_r1_dev", "dev_r1"),
        (("rows",), "sst2", "rows"),
    ],
)
def test_the_file_of_a_folder(files, name, expected, tmp_path):
    row = {"premise": "a", "hypothesis": "b", "sentence": "c", "label": 0}
    for file in files:
        write_rows(tmp_path / f"{file}.jsonl", [{**row, "id": file}])
    data = loaded(f"{name}={tmp_path}")
    assert data.rows.table.column("id") == [expected]
    assert data.source == str(tmp_path / f"{expected}.jsonl")


def test_a_suite_in_csv_and_parquet(tmp_path):
    rows = Dataset.from_list(sentences(3))
    rows.to_csv(str(tmp_path / "a.csv"))
    rows.to_parquet(str(tmp_path / "b.parquet"))
    for file in ("a.csv", "b.parquet"):
        assert label_ids(loaded(f"sst2={tmp_path / file}").rows) == [0, 1, 0]


# -- rows of one's own -------------------------------------------------------------------------------------------------


def test_own_rows_are_named_by_the_user_and_show_their_labels(tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", [{"words": "a", "mood": "bad"}, {"words": "b", "mood": "good"}])
    data = loaded(f"moods={file}", text_columns="words", label_column="mood")
    assert (data.name, data.suite, data.evaluated.name) == ("moods", None, "sequence_classification")
    assert data.rows.label_names == ("bad", "good")
    assert (data.metrics, data.main_metric) == ((), "accuracy")
    assert data.described() == {
        "name": "moods",
        "kind": "sequence_classification",
        "main_metric": "accuracy",
        "num_rows": 2,
        "num_rows_available": 2,
        "source": str(file),
        "licence": "not stated",
        "citation": "",
        "label_names": ["bad", "good"],
    }
    fitted, mapping = data.in_labels_of(("good", "fair", "bad"))
    assert (fitted.rows.label_names, mapping.labels) == (("good", "fair", "bad"), (0, 1, 2))


def test_numbers_of_ones_own_are_a_regression(tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", [{"a": "x", "b": "y", "score": 0.5}])
    data = loaded(f"scores={file}", text_columns="a,b", label_column="score")
    assert data.evaluated.name == "regression"
    assert data.in_labels_of(("LABEL_0",)) == (data, None)
    with pytest.raises(InputError, match="labels of scores are numbers"):
        data.in_labels_of(("bad", "good"))


def test_the_labels_of_a_suite_stay_and_finer_models_are_joined(tmp_path):
    row = {"premise": "a", "hypothesis": "b", "label": 1}
    data = loaded(f"hans={write_rows(tmp_path / 'rows.jsonl', [row])}")
    fitted, mapping = data.in_labels_of(NLI)
    assert fitted.rows.layout == data.rows.layout == SUITES["hans"].source.layout
    assert mapping.labels == (0, 1, 1)


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_names_that_are_no_suite(tmp_path):
    with pytest.raises(InputError, match=r"unknown suite 'han'.*Did you mean 'hans'\? .*give han=PATH"):
        loaded("han")
    file = write_rows(tmp_path / "rows.jsonl", sentences(1))
    with pytest.raises(InputError, match=r"'anli_r4' is none of the suites .* are sentence, label, idx: say"):
        loaded(f"anli_r4={file}")


def test_the_name_of_a_file_says_nothing_about_its_columns(tmp_path):
    file = str(write_rows(tmp_path / "hans.jsonl", [{"text": "a", "opinion": "good"}, {"text": "b", "opinion": "bad"}]))
    with pytest.raises(InputError, match=r"the columns of .*hans\.jsonl are text, opinion: say what they mean, with"):
        load_suite(SuiteSpec.of_file(file), Arguments())
    data = load_suite(SuiteSpec.of_file(file), Arguments(text_columns="text", label_column="opinion"))
    assert (data.name, data.suite, data.rows.label_names) == ("hans", None, ("bad", "good"))
    with pytest.raises(InputError, match="Rows of hans have the columns of its data set"):
        load_suite(SuiteSpec.of_file(file, "hans"), Arguments())
    with pytest.raises(InputError, match=r"no file at .*gone\.csv"):
        load_suite(SuiteSpec.of_file(str(tmp_path / "gone.csv")), Arguments())


def test_the_columns_of_a_suite_may_be_named(tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", [{"text": "a", "opinion": 1}])
    data = loaded(f"sst2={file}", text_columns="text", label_column="opinion")
    assert (data.main_metric, data.rows.label_names) == ("accuracy", ("negative", "positive"))
    assert data.rows.texts() == [["a"]]


@pytest.mark.parametrize("name", ["cad_imdb", "cad_nli", "imdb_contrast"])
def test_suites_that_the_hub_does_not_have_need_a_file(name):
    with pytest.raises(InputError, match=rf"{name} cannot be loaded from the hub: .*give a file, {name}=PATH"):
        loaded(name)


def test_without_a_network_a_file_is_asked_for():
    with pytest.raises(InputError, match=r"nyu-mll/glue/sst2, validation cannot be loaded .*sst2=PATH"):
        loaded("sst2")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"text": "a", "label": 0}], r"has no column 'sentence': .*--text_columns"),
        ([{"sentence": "a"}], "has no column 'label'"),
        ([{"sentence": "a", "label": 0}, {"sentence": "b", "label": 7}], r"row 2: label 7 .* none of 0 \(negative\)"),
        ([{"sentence": "a", "label": -1}], "no labelled rows"),
        ([], "is empty"),
    ],
)
def test_rows_that_do_not_fit_a_suite(rows, message, tmp_path):
    with pytest.raises(InputError, match=message):
        loaded(f"sst2={write_rows(tmp_path / 'rows.jsonl', rows)}")


@pytest.mark.parametrize(
    ("suite", "row", "message"),
    [
        ("sst2", {"sentence": None, "label": 0}, "row 1: column 'sentence' must be text"),
        ("stsb", {"sentence1": "a", "sentence2": "b", "label": "much"}, "row 1: label 'much' .* is no number"),
        ("copa", {"premise": "a", "choice1": "b", "choice2": "c", "question": "cause", "label": 2}, "row 1: label 2"),
        ("squad", {"question": "a", "context": "b", "answers": {"text": ["c"], "answer_start": [0]}}, "row 1"),
    ],
)
def test_labels_and_texts_of_every_kind_are_checked_at_once(suite, row, message, tmp_path):
    with pytest.raises(InputError, match=message):
        loaded(f"{suite}={write_rows(tmp_path / 'rows.jsonl', [row])}")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match="no file at"):
        loaded(f"sst2={tmp_path / 'nothing.jsonl'}")
    with pytest.raises(InputError, match=r"expected validation.jsonl, test.jsonl .*the files are none"):
        loaded(f"sst2={tmp_path}")
    for name in ("a", "b"):
        write_rows(tmp_path / f"{name}.jsonl", sentences(1))
    with pytest.raises(InputError, match=r"the files are a.jsonl, b.jsonl: name the file"):
        loaded(f"sst2={tmp_path}")


def test_rows_are_grouped_by_any_column(tmp_path):
    rows = [{"text": "a film", "label": "good", "source": source} for source in ("b", "a", "b")]
    write_rows(tmp_path / "rows.jsonl", rows)
    arguments = Arguments(text_columns="text", label_column="label")
    spec = SuiteSpec("rows", str(tmp_path / "rows.jsonl"))
    assert load_suite(spec, arguments, "source").groups == ["b", "a", "b"]
    assert load_suite(spec, arguments).groups is None
    with pytest.raises(InputError, match="topic"):
        load_suite(spec, arguments, "topic")


def clusters_of(name, rows, folder, **arguments):
    spec = SuiteSpec(name, str(write_rows(folder / "rows.jsonl", rows)))
    return load_suite(spec, Arguments(), **arguments).clusters


def test_rows_of_a_counterfactual_pair_are_one_cluster(tmp_path):
    """Of NLI by a premise or hypothesis that stayed as it was, of reviews by the number that their files have."""
    pairs = [("a", "x"), ("a", "y"), ("b", "x"), ("c", "z"), ("d", "z")]
    rows = [{"premise": premise, "hypothesis": hypothesis, "label": 0} for premise, hypothesis in pairs]
    first, second, third, fourth, fifth = clusters_of("cad_nli", rows, tmp_path)
    assert first == second == third != fourth == fifth
    reviews = [{"text": f"film {number}", "label": number % 2, "batch_id": number // 2} for number in range(4)]
    assert clusters_of("cad_imdb", reviews, tmp_path) == ["0", "0", "1", "1"]
    assert clusters_of("cad_imdb", [{"text": "a", "label": 0}], tmp_path) is None


def test_a_premise_is_no_hypothesis_of_the_same_words(tmp_path):
    rows = [{"premise": "a", "hypothesis": "b", "label": 0}, {"premise": "b", "hypothesis": "a", "label": 1}]
    first, second = clusters_of("cad_nli", rows, tmp_path)
    assert first != second


def test_rows_are_clustered_by_any_column(tmp_path):
    rows = [{"text": f"film {pair}", "label": number % 2, "pair": pair} for number, pair in enumerate("aabb")]
    assert clusters_of("cad_imdb", rows, tmp_path, cluster_column="pair") == ["a", "a", "b", "b"]
    with pytest.raises(InputError, match="no column 'pairs'"):
        clusters_of("cad_imdb", rows, tmp_path, cluster_column="pairs")


def test_a_named_task_at_a_path_is_a_suite(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", [{"premise": "a", "hypothesis": "b", "label": 1}])
    data = load_suite(SuiteSpec("scitail", str(rows)), Arguments())
    assert (data.rows.label_names, data.main_metric) == (("entails", "neutral"), "accuracy")
    pairs = [{"premise": "a", "hypothesis": "b", "label": 0}, {"premise": "a", "hypothesis": "c", "label": 2}]
    assert clusters_of("anli", pairs, tmp_path) == ["a", "a"]
    with pytest.raises(InputError, match="unknown suite 'scitail'"):
        load_suite(SuiteSpec("scitail"), Arguments())
