"""Plans of studies that pre-train, alone or before tasks, on a ledger that is filled by hand."""

import dataclasses

import pytest

from alum.core.errors import InputError
from alum.stages.study.cells.ledger import Ledger
from alum.stages.study.cells.pretrain_cell import PretrainCell
from alum.stages.study.inputs import StudyInputs
from alum.stages.study.planning import CellPlace, StudyPlan
from alum.stages.study.reading.study_file import study_in

PRETRAINING = {"train_file": "a.txt", "max_steps": 100, "test_file": ["news.txt", "tales.txt"]}
TASKS = {"a": {"data_dir": "a", "text_columns": "text", "label_column": "label", "num_train_epochs": 2}}
DATA = {"train": "t", "validation": "v", "test": "e"}


@pytest.fixture
def planned(tmp_path):
    def planned(**parts):
        study = study_in({"pretraining": PRETRAINING, "tasks": TASKS, "arms": {"alum": {}}, "seeds": "0:2", **parts})
        inputs = StudyInputs(
            tmp_path,
            {task: {**DATA, "train": task} for task in study.tasks},
            {"m": "digest"},
            dict.fromkeys(study.tasks, "accuracy"),
            texts={"train": "x", "validation": "y"},
            held_out={"news": "n", "tales": "l"},
        )
        return StudyPlan(study, inputs, Ledger(tmp_path))

    return planned


def finish(plan, cell, **record):
    is_first = isinstance(cell, PretrainCell)
    metrics = {"validation": {"loss": 2.0}} if is_first else {"accuracy": 0.5}
    defaults = {"metrics": metrics, "train_flops": 100.0, "train_seconds": 1.0, "divergence": 0.25, "has_model": True}
    plan.ledger.place(cell.key).mkdir(parents=True, exist_ok=True)
    plan.ledger.add(cell.key, {**defaults, **record})


def finish_all(plan, **by_arm):
    """Finishes all that can be trained, in turn; ``by_arm`` has FLOPs of pre-training and fine-tuning."""
    while cells := plan.missing():
        for cell in cells:
            flops = by_arm.get(cell.arm, (100.0, 100.0))[0 if isinstance(cell, PretrainCell) else 1]
            finish(plan, cell, train_flops=flops)


GRID = {
    "alum": {},
    "before": {"pretrain": {"adv_method": "alum"}},
    "both": {"adv_method": "alum", "pretrain": {"adv_method": "alum"}},
}


def test_arms_and_tasks_share_a_pre_training(planned):
    plan = planned(tasks={**TASKS, "b": {**TASKS["a"], "data_dir": "b"}}, arms=GRID)
    first = plan.missing()
    assert {(type(cell), cell.settings["adv_method"], cell.seed) for cell in first} == {
        (PretrainCell, method, seed) for method in ("standard", "alum") for seed in (0, 1)
    }
    assert len(first) == 4
    assert plan.cell(CellPlace("a", "both", 0)) is None
    finish_all(plan)
    assert plan.is_finished()
    cells = {place: plan.cell(place) for place in plan.places() if place.task in "ab"}
    assert len({cell.key for cell in cells.values()}) == 2 * 4 * 2
    begun = {place: cell.pretrained for place, cell in cells.items()}
    assert begun["a", "both", 0] == begun["b", "before", 0] == plan.pretraining("both", 0).key
    assert begun["a", "standard", 1] == begun["a", "alum", 1] == plan.pretraining("standard", 1).key
    assert len(set(begun.values())) == 4


def test_a_pre_training_is_another_where_its_outcome_may_be(planned):
    cell = planned().pretraining("alum", 0)
    same = dataclasses.replace(cell, arm="other", is_fine_tuned=False, settings={**cell.settings, "train_file": "b"})
    assert same.key == cell.key
    for other in (
        {"seed": 1},
        {"settings": {**cell.settings, "learning_rate": 1.0}},
        {"texts": {**cell.texts, "train": "z"}},
        {"model": "other"},
        {"tokenizer": "other"},
        {"held_out": {"news": "z"}},
        {"held_out": None},
    ):
        changed = dataclasses.replace(cell, **other)
        assert changed.key != cell.key
        assert (changed.model_key == cell.model_key) == ("held_out" in other)


def test_texts_are_measured_by_pre_trainings_and_tasks_by_what_comes_of_them(planned):
    plan = planned()
    assert plan.cell(CellPlace("news", "alum", 0)) == plan.cell(CellPlace("tales", "alum", 0))
    places = list(plan.places())
    assert len(places) == 3 * 2 * 2  # two texts and a task, two arms, two seeds


def test_standard_plus_has_the_cost_of_the_dearest_arm_over_both_stages(planned):
    plan = planned(arms=GRID, controls={"standard_plus": "flops"})
    costs = {"standard": (1000.0, 100.0), "alum": (1000.0, 250.0)}
    costs |= {"before": (3000.0, 100.0), "both": (3000.0, 250.0), "standard_plus": (3000.0, 250.0)}
    while cells := plan.missing():
        for cell in cells:  # cells are shared, so that costs go by the method
            method = cell.settings["adv_method"]
            is_longer = cell.settings.get("max_steps", 2) > 100 or cell.settings.get("num_train_epochs", 2) > 2
            arm = "standard_plus" if is_longer else {"standard": "standard", "alum": "both"}[method]
            finish(plan, cell, train_flops=costs[arm][0 if isinstance(cell, PretrainCell) else 1])
    assert plan.pretraining("standard_plus", 0).settings["max_steps"] == 300
    longer = plan.cell(CellPlace("a", "standard_plus", 0))
    assert longer.settings["num_train_epochs"] == pytest.approx(2 * 2.5)
    assert longer.pretrained == plan.pretraining("standard_plus", 0).key
    total = {arm: plan.cost(CellPlace("a", arm, 0), "train_flops") for arm in costs}
    assert total["standard_plus"] == total["both"] == 3250.0
    assert plan.cost(CellPlace("news", "both", 0), "train_flops") == 3000.0


def test_what_the_dearest_pre_training_leaves_is_for_fine_tuning(planned):
    """Of arms that are dear in one stage each: pre-training as long as the dearest, and what is left of 1,350."""
    plan = planned(arms={"alum": {}, "before": GRID["before"]}, controls={"standard_plus": "flops"})
    while cells := plan.missing():
        for cell in cells:
            is_dear = cell.settings["adv_method"] == "alum"
            dear, cheap = (1200.0, 1000.0) if isinstance(cell, PretrainCell) else (350.0, 50.0)
            finish(plan, cell, train_flops=dear if is_dear else cheap)
    assert plan.pretraining("standard_plus", 0).settings["max_steps"] == 120
    longer = plan.cell(CellPlace("a", "standard_plus", 0))
    assert longer.settings["num_train_epochs"] == pytest.approx(2 * (1350 - 1200) / 50)


def test_noise_has_the_divergence_of_its_arm_in_each_stage_that_has_one(planned):
    plan = planned(arms=GRID, controls={"noise": "both"})
    for cell in plan.missing():
        finish(plan, cell, divergence=0.5)
    noise = plan.pretraining("noise", 0)
    assert (noise.settings["adv_method"], noise.settings["adv_target_divergence"]) == ("noise", 0.5)
    finish_all(plan)
    settings = plan.cell(CellPlace("a", "noise", 0)).settings
    assert (settings["adv_method"], settings["adv_target_divergence"]) == ("noise", 0.25)
    arms = planned(arms=GRID, controls={"noise": "before"}).study.arms
    assert arms["noise"] == {
        "adv_method": "standard",
        "pretrain": {"adv_method": "noise", "divergence_of": "before"},
    }
    arms = planned(arms=GRID, controls={"noise": "alum"}).study.arms
    assert arms["noise"] == {
        "adv_method": "noise",
        "divergence_of": "alum",
        "pretrain": {"adv_method": "standard"},
    }


def test_each_stage_is_searched_by_its_own_validation(planned):
    search = {"both": {"adv_epsilon": [0.1, 0.3], "pretrain": {"adv_alpha": [1, 10]}}}
    plan = planned(arms=GRID, search=search, search_seeds=[7])
    searching = [cell for cell in plan.missing() if cell.seed == 7]
    assert {cell.settings["adv_alpha"] for cell in searching} == {1, 10}
    assert all(cell.held_out is None for cell in searching)
    assert plan.pretraining("both", 0) is None
    for cell in searching:
        finish(plan, cell, metrics={"x": {"loss": {1: 3.0, 10: 1.0}[cell.settings["adv_alpha"]]}, "y": {"loss": 2.0}})
    choice = plan.pretraining_choice("both")
    assert (choice.metric, choice.chosen, [loss for _, loss in choice.tried]) == ("loss", {"adv_alpha": 10}, [2.5, 1.5])
    assert plan.pretraining("both", 0).settings["adv_alpha"] == 10
    searching = [cell for cell in plan.missing() if cell.seed == 7]  # what was chosen is trained with it already
    assert {cell.settings["adv_epsilon"] for cell in searching} == {0.1, 0.3}
    (begun,) = {cell.pretrained for cell in searching}
    assert begun == plan.pretraining("both", 7, is_measured=False).key
    for cell in searching:
        finish(plan, cell, metrics={"accuracy": cell.settings["adv_epsilon"]})
    finish_all(plan)
    assert plan.is_finished()
    assert plan.cell(CellPlace("a", "both", 1)).settings["adv_epsilon"] == 0.3


def test_a_model_that_was_not_kept_is_trained_again_when_it_is_needed(planned):
    alone = planned(tasks=None)
    for cell in alone.missing():
        finish(alone, cell, has_model=False)
    assert alone.is_finished()
    plan = planned()
    assert {cell.key for cell in plan.missing()} == {plan.pretraining("standard", seed).key for seed in (0, 1)}
    finish_all(plan)
    assert plan.is_finished()


def test_an_arm_with_a_model_of_its_own_is_not_pre_trained(planned):
    plan = planned(arms={"alum": {}, "as_it_is": {"adv_method": "standard", "model_name_or_path": "m"}})
    cell = plan.cell(CellPlace("a", "as_it_is", 0))
    assert (cell.model, cell.pretrained) == ("digest", None)
    assert CellPlace("news", "as_it_is", 0) not in plan.places()
    finish_all(plan)
    assert plan.is_finished()


def test_further_seeds_change_no_cell(planned):
    parts = {"arms": GRID, "controls": {"standard_plus": "flops", "noise": "both"}}
    plan = planned(**parts)
    finish_all(plan, both=(300.0, 250.0))
    keys = {place: cell.key for place, cell in plan.cells().items()}
    more = planned(**parts, seeds="0:4")
    assert {place: cell.key for place, cell in more.cells().items()}.items() >= keys.items()
    assert {cell.seed for cell in more.missing()} == {2, 3}


def test_without_tasks_arms_have_settings_of_pre_training(planned):
    study = planned(tasks=None, arms={"alum": {"adv_epsilon": 0.1}}, controls={"r_drop": True, "noise": "alum"}).study
    assert study.arms == {
        "standard": {"pretrain": {"adv_method": "standard"}},
        "alum": {"pretrain": {"adv_method": "alum", "adv_epsilon": 0.1}},
        "r_drop": {"pretrain": {"adv_method": "r_drop"}},
        "noise": {"pretrain": {"adv_method": "noise", "divergence_of": "alum"}},
    }
    assert list(study.texts) == ["news", "tales"]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"base": {"model_name_or_path": "m"}, "tasks": {"a": {**TASKS["a"], "model_name_or_path": "m"}}},
            "models are",
        ),
        ({"arms": {"alum": {"pretrain": {"adv_epsilom": 1}}}}, "arms, alum, pretrain: unknown setting 'adv_epsilom'"),
        ({"arms": {"alum": {"pretrain": {"vocab_size": 9}}}}, "arms, alum, pretrain: vocab_size cannot be set there"),
        ({"arms": {"alum": {"model_name_or_path": "m", "pretrain": {}}}}, "a model of its own"),
        ({"tasks": None, "arms": {"mine": {}}}, "arms, mine: give its adv_method"),
        ({"tasks": None, "arms": {"alum": {"label_column": "x"}}}, "arms, alum: unknown setting 'label_column'"),
        ({"tasks": None, "base": {"task": "sst2"}}, "base has settings of fine-tuning, but there are no tasks"),
        ({"tasks": None, "pretraining": {"train_file": "a.txt"}}, "give test_file"),
        ({"pretraining": {**PRETRAINING, "test_file": ["a/x.txt", "b/x.txt"]}}, "x is there twice"),
        ({"pretraining": {**PRETRAINING, "test_file": "a.txt"}}, "a is there twice"),
        ({"pretraining": {**PRETRAINING, "tset_file": "x"}}, "pretraining: unknown setting 'tset_file'"),
        (
            {"pretraining": None, "base": {"model_name_or_path": "m"}, "arms": {"alum": {"pretrain": {}}}},
            "needs a part",
        ),
        ({"controls": {"noise": "alum"}, "search": {"noise": {"adv_alpha": [1]}}}, "it has the divergence of alum"),
    ],
)
def test_what_cannot_be_used_is_named(planned, parts, message):
    with pytest.raises(InputError, match=message):
        planned(**parts)


def test_what_is_written_is_read_again(planned):
    for tasks in (TASKS, None):
        study = planned(
            tasks=tasks,
            arms={"alum": {}, "mine": {"adv_method": "alum"}},
            controls={"standard_plus": True, "noise": "mine", "r_drop": True},
            search={"mine": {"adv_epsilon": [0.1]}},
        ).study
        import yaml

        assert study_in(yaml.safe_load(study.written())) == study
