import pytest

from alum.core.errors import InputError
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.plan import plan_of
from tiny_texts import opinions, write_rows


@pytest.fixture
def rows(tmp_path):
    return str(write_rows(tmp_path / "rows.jsonl", opinions(8)))


def plan(rows, **settings):
    defaults = {"model_name_or_path": ["m"], "validation_file": rows, "text_columns": "text", "label_column": "label"}
    return plan_of(EvaluateArguments(**{**defaults, **settings}))


@pytest.mark.parametrize(
    ("specs", "names"),
    [
        (["runs/a"], ["a"]),
        (["runs/a", "runs/b"], ["a", "b"]),
        (["runs/1/model", "runs/2/model"], ["1-model", "2-model"]),
        (["base=runs/a", "org/name"], ["base", "name"]),
    ],
)
def test_models_are_named_by_what_tells_their_paths_apart(rows, specs, names):
    found = plan(rows, model_name_or_path=specs).models
    assert list(found) == names
    assert list(found.values()) == [spec.split("=")[-1] for spec in specs]


def test_a_path_with_an_equals_sign_that_is_there_is_a_path(rows, tmp_path):
    folder = tmp_path / "lr=3"
    folder.mkdir()
    assert plan(rows, model_name_or_path=[str(folder)]).models == {"lr=3": str(folder)}


def test_radii_rise_and_are_there_once(rows):
    (attack,) = plan(rows, attacks=["pgd"], epsilons=[0.3, 0.1, 0.3]).attacks
    assert attack.settings["epsilons"] == [0.1, 0.3]


def test_attacks_may_be_written_with_commas(rows):
    assert [attack.name for attack in plan(rows, attacks=["typing,pgd", "typos"]).attacks] == ["typing", "pgd", "typos"]


def test_rows_are_known_by_their_content(rows, tmp_path):
    digest = plan(rows).digests()["rows"]
    (tmp_path / "again").mkdir()
    again = tmp_path / "again" / "rows.jsonl"
    assert plan(str(write_rows(again, opinions(8)))).digests() == {"rows": digest}
    assert plan(str(write_rows(again, opinions(8, seed=1)))).digests()["rows"] != digest


def test_an_attack_by_gradients_fits_classifiers_alone(tmp_path):
    file = write_rows(tmp_path / "stsb.jsonl", [{"sentence1": "a b", "sentence2": "a", "label": 0.5}] * 2)
    with pytest.raises(InputError, match="hotflip attacks classifiers, but stsb is regression"):
        plan_of(EvaluateArguments(model_name_or_path=["m"], suites=[f"stsb={file}"], attacks=["hotflip"]))


def test_suites_of_different_kinds_are_refused(rows, tmp_path):
    row = {"premise": "a b", "question": "cause", "choice1": "a", "choice2": "b", "label": 1}
    file = write_rows(tmp_path / "copa.jsonl", [row])
    with pytest.raises(InputError, match=r"copa \(multiple_choice\), rows \(sequence_classification\).*them apart"):
        plan(rows, suites=[f"copa={file}"])


def test_suites_of_one_name_are_refused(rows, tmp_path):
    with pytest.raises(InputError, match="each suite needs a name of its own"):
        plan(rows, suites=[f"rows={rows}"])
