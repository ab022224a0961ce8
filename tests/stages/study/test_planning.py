"""Plans on a ledger that is filled by hand: nothing is trained."""

import dataclasses

import pytest

from alum.core.errors import InputError
from alum.stages.study.cells.finetune_cell import FinetuneCell
from alum.stages.study.cells.ledger import Ledger
from alum.stages.study.inputs import StudyInputs
from alum.stages.study.planning import CellPlace, StudyPlan
from alum.stages.study.reading.study_file import study_in

DATA = {"train": "t", "validation": "v", "test": "e"}
BASE = {"model_name_or_path": "m", "text_columns": "text", "label_column": "label", "num_train_epochs": 2}


@pytest.fixture
def planned(tmp_path):
    """Makes the plan of a study of task a with an empty ledger."""

    def planned(**parts):
        given = {"base": BASE, "tasks": {"a": {"data_dir": "a"}}, "arms": {"alum": {}}, "seeds": "0:2", **parts}
        study = study_in(given)
        metrics = dict.fromkeys(study.tasks, "accuracy")
        inputs = StudyInputs(tmp_path, dict.fromkeys(study.tasks, DATA), {"m": "digest"}, metrics)
        return StudyPlan(study, inputs, Ledger(tmp_path))

    return planned


def finish(plan, cell, **record):
    defaults = {"metrics": {"accuracy": 0.5}, "train_flops": 100.0, "train_seconds": 1.0, "divergence": 0.25}
    plan.ledger.place(cell.key).mkdir(parents=True, exist_ok=True)
    plan.ledger.add(cell.key, {**defaults, **record})


def test_standard_plus_is_as_much_longer_as_the_dearest_arm_costs_more(planned):
    plan = planned(arms={"alum": {}, "pgd": {}}, controls={"standard_plus": "flops"})
    assert plan.cell(CellPlace("a", "standard_plus", 0)) is None
    assert len(plan.missing()) == 6
    for (_, arm, _), cell in plan.cells().items():
        finish(plan, cell, train_flops={"standard": 100.0, "alum": 250.0, "pgd": 400.0}[arm])
    assert not plan.is_finished()
    longer = plan.cell(CellPlace("a", "standard_plus", 0))
    assert longer.settings["num_train_epochs"] == pytest.approx(2 * 400 / 100)
    assert longer.settings["adv_method"] == "standard"
    assert {cell.arm for cell in plan.missing()} == {"standard_plus"}
    for cell in plan.missing():
        finish(plan, cell)
    assert plan.is_finished()


def test_its_seconds_are_those_of_the_dearest_too(planned):
    plan = planned(controls={"standard_plus": "seconds"}, tasks={"a": {"data_dir": "a", "max_steps": 30}})
    for (_, arm, _), cell in plan.cells().items():
        finish(plan, cell, train_seconds={"standard": 2.0, "alum": 3.0}[arm], train_flops=None)
    assert plan.cell(CellPlace("a", "standard_plus", 1)).settings["max_steps"] == 45


def test_standard_plus_is_standard_where_nothing_is_dearer(planned):
    plan = planned(controls={"standard_plus": "flops"})
    for cell in plan.cells().values():
        finish(plan, cell)
    plus, standard = (plan.cell(CellPlace("a", arm, 0)) for arm in ("standard_plus", "standard"))
    assert plus.key == standard.key
    assert plan.is_finished()


def test_noise_has_the_divergence_of_its_arm_with_the_same_seed(planned):
    plan = planned(controls={"noise": "alum"})
    assert plan.cell(CellPlace("a", "noise", 0)) is None
    for (_, _, seed), cell in plan.cells().items():
        finish(plan, cell, divergence=[0.123456, 0.5][seed])
    found = [plan.cell(CellPlace("a", "noise", seed)).settings["adv_target_divergence"] for seed in (0, 1)]
    assert found == [0.1235, 0.5]


def test_noise_of_no_divergence_is_refused(planned):
    plan = planned(controls={"noise": "alum"})
    for cell in plan.cells().values():
        finish(plan, cell, divergence=0.0)
    with pytest.raises(InputError, match="alum has a divergence of 0"):
        plan.cell(CellPlace("a", "noise", 0))


def test_a_search_chooses_by_the_mean_over_its_own_seeds_and_without_test_rows(planned):
    plan = planned(search={"alum": {"adv_epsilon": [0.1, 0.3, 0.5]}}, search_seeds="7:9")
    first = [cell for cell in plan.missing() if cell.arm == "alum"]
    assert {cell.seed for cell in first} == {7, 8}
    assert all(cell.evaluation is None for cell in first)
    assert plan.cell(CellPlace("a", "alum", 0)) is None
    scores = {(0.1, 7): 0.9, (0.1, 8): 0.5, (0.3, 7): 0.75, (0.3, 8): 0.75, (0.5, 7): 0.1, (0.5, 8): 1.0}
    for cell in first:
        finish(plan, cell, metrics={"accuracy": scores[cell.settings["adv_epsilon"], cell.seed]})
    choice = plan.choice("a", "alum")
    assert choice.chosen == {"adv_epsilon": 0.3}
    assert [round(score, 3) for _, score in choice.tried] == [0.7, 0.75, 0.55]
    assert plan.cell(CellPlace("a", "alum", 0)).settings["adv_epsilon"] == 0.3


def test_standard_plus_has_what_was_chosen_for_standard(planned):
    plan = planned(controls={"standard_plus": "flops"}, search={"standard": {"learning_rate": [1e-5, 1e-4]}})
    for cell in [cell for cell in plan.missing() if cell.evaluation is None]:
        finish(plan, cell, metrics={"accuracy": cell.settings["learning_rate"]})
    for cell in plan.missing():
        finish(plan, cell, train_flops={"standard": 1.0, "alum": 2.0}[cell.arm])
    settings = plan.cell(CellPlace("a", "standard_plus", 0)).settings
    assert (settings["learning_rate"], settings["num_train_epochs"]) == (1e-4, 4)


def test_a_key_is_of_settings_and_data_alone(planned):
    plan = planned()
    cell = plan.cell(CellPlace("a", "alum", 1))
    other_order = planned(arms={"pgd": {}, "alum": {}}, seeds="1:4", base=dict(reversed(BASE.items())))
    assert other_order.cell(CellPlace("a", "alum", 1)).key == cell.key
    renamed = planned(arms={"mine": {"adv_method": "alum"}}, tasks={"b": {"data_dir": "elsewhere"}})
    assert renamed.cell(CellPlace("b", "mine", 1)).key == cell.key
    default = planned(base={**BASE, "learning_rate": 3e-5})
    assert default.cell(CellPlace("a", "alum", 1)).key == cell.key


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 2},
        {"settings": {**BASE, "adv_method": "alum", "learning_rate": 1e-3}},
        {"data": {**DATA, "train": "other"}},
        {"data": {**DATA, "test": "other"}},
        {"model": "other"},
        {"evaluation": {"attacks": ["typing"]}},
        {"evaluation": None},
    ],
)
def test_a_key_differs_where_the_outcome_may(other):
    cell = FinetuneCell("a", "alum", {**BASE, "adv_method": "alum"}, 1, DATA, "digest", {"attacks": ["none"]})
    assert dataclasses.replace(cell, **other).key != cell.key


def test_a_search_does_not_know_the_test_rows():
    cell = FinetuneCell("a", "alum", {**BASE, "adv_method": "alum"}, 1, DATA, "digest")
    assert dataclasses.replace(cell, data={**DATA, "test": "other"}).key == cell.key


def test_further_seeds_change_no_cell(planned):
    parts = {"controls": {"standard_plus": "flops", "noise": "alum"}}
    plan = planned(**parts)
    while missing := plan.missing():
        for cell in missing:
            finish(plan, cell, train_flops=100.0 + 40 * cell.seed + 100 * (cell.arm != "standard"))
    keys = {place: cell.key for place, cell in plan.cells().items()}
    more = planned(**parts, seeds="0:5")
    assert {place: cell.key for place, cell in more.cells().items()}.items() >= keys.items()
    assert {cell.seed for cell in more.missing()} == {2, 3, 4}


def test_arms_may_begin_with_models_of_their_own(planned, tmp_path):
    plan = planned(arms={"alum": {}, "continued": {"adv_method": "alum", "model_name_or_path": "other"}})
    inputs = dataclasses.replace(plan.inputs, models={"m": "digest", "other": "another digest"})
    plan = dataclasses.replace(plan, inputs=inputs)
    cells = [plan.cell(CellPlace("a", arm, 0)) for arm in ("alum", "continued")]
    assert [cell.model for cell in cells] == ["digest", "another digest"]
    assert cells[0].key != cells[1].key
