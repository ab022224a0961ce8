import pytest

from alum.core.errors import InputError
from alum.stages.study.reading.study_file import read_study, seeds_in, study_in
from alum.stages.study.settings import StudyArguments

MINIMAL = {
    "base": {"model_name_or_path": "m", "text_columns": "text", "label_column": "label"},
    "tasks": {"a": {"data_dir": "a"}},
    "arms": {"alum": {}},
}


def changed(**parts):
    return {**MINIMAL, **parts}


def test_values_are_read_as_yaml_1_2_has_them(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(
        "base: {model_name_or_path: m, text_columns: text, label_column: label, learning_rate: 1e-4, use_cpu: true}\n"
        "tasks: {a: {data_dir: a}}\n"
        "arms: {alum: {adv_dropout: off, adv_num_steps: 2}}\n"
        "seeds: 5:10\n"
    )
    study = read_study(file)
    assert study.seeds == (5, 6, 7, 8, 9)
    assert study.arms["alum"] == {"adv_method": "alum", "adv_dropout": "off", "adv_num_steps": 2}
    assert study.tasks["a"]["learning_rate"] == 1e-4
    assert study.tasks["a"]["use_cpu"] is True
    assert read_study(file, "1,3").seeds == (1, 3)


def test_what_is_written_is_read_again(tmp_path):
    study = study_in(
        changed(
            controls={"standard_plus": "seconds", "noise": "alum", "r_drop": True},
            search={"alum": {"adv_epsilon": [0.1, 0.3], "adv_dropout": ["off", "shared"]}},
            evaluation={"attacks": ["typing"]},
            seeds=[3, 1],
        )
    )
    (tmp_path / "study.yaml").write_text(study.written())
    assert read_study(tmp_path / "study.yaml") == study


def test_standard_training_is_always_there_and_controls_are_arms():
    arms = study_in(changed(controls={"standard_plus": True, "noise": "alum", "r_drop": True})).arms
    assert arms == {
        "standard": {"adv_method": "standard"},
        "alum": {"adv_method": "alum"},
        "standard_plus": {"adv_method": "standard", "cost_of_dearest": "flops"},
        "noise": {"adv_method": "noise", "divergence_of": "alum"},
        "r_drop": {"adv_method": "r_drop"},
    }


def test_an_arm_searches_all_combinations():
    study = study_in(changed(search={"alum": {"adv_epsilon": [0.1, 0.3], "adv_alpha": [1, 2]}}))
    assert len(list(study.searched("alum"))) == 4
    assert list(study.searched("standard")) == [{}]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"arm": {}}, "unknown key 'arm'.*Did you mean 'arms'"),
        ({"arms": {}}, "arms: expected one or more by name"),
        (
            {"arms": {"alum": {"adv_epsilom": 1}}},
            "arms, alum: unknown setting 'adv_epsilom'. Did you mean",
        ),
        ({"arms": {"alum": {"seed": 1}}}, "arms, alum: seed cannot be set there"),
        ({"arms": {"alum": {"train_file": "x"}}}, "arms, alum: train_file cannot be set there"),
        ({"arms": {"mine": {}}}, "arms, mine: give its adv_method"),
        ({"arms": {"standard": {"adv_method": "alum"}}}, "arms, standard must train by the method standard"),
        ({"arms": {"alum": 3}}, "arms, alum: expected lines of the form"),
        ({"tasks": {"a": {"data_dirr": "x"}}}, "tasks, a: unknown setting 'data_dirr'"),
        ({"base": {}}, "tasks, a: say which model is trained"),
        ({"controls": {"noisy": True}}, "unknown control 'noisy'.*Did you mean 'noise'"),
        ({"controls": {"noise": "standard"}}, "standard has no divergence of its own"),
        ({"controls": {"noise": "pgd"}}, "unknown arm that noise is to have the divergence of 'pgd'"),
        ({"controls": {"standard_plus": "euros"}}, "must be flops or seconds"),
        ({"search": {"alum": {"adv_alpha": 1}}}, "expected a list of values"),
        ({"search": {"alumm": {"adv_alpha": [1]}}}, "unknown arm in search 'alumm'"),
        ({"search": {"alum": {"adv_alpha": [1]}}, "seeds": "1000:1001"}, "seeds and search_seeds share 1000"),
        ({"evaluation": {"attack": ["pgd"]}}, "evaluation: unknown setting 'attack'. Did you mean 'attacks'"),
        ({"evaluation": {"suites": ["a"]}}, "evaluation: suites cannot be set there"),
        ({"keep_models": "yes"}, "keep_models must be true or false"),
        ({"seeds": "5:5"}, "seeds must be a range"),
    ],
)
def test_what_cannot_be_used_is_named(parts, message):
    with pytest.raises(InputError, match=message):
        study_in(changed(**parts))


@pytest.mark.parametrize("value", ["", "a", "3:1", "-1:2", [], [1.5], [True], {}, None])
def test_seeds_that_are_none(value):
    with pytest.raises(InputError, match="must be a range as 0:5"):
        seeds_in(value, "seeds")


def test_workers_are_one_or_more():
    with pytest.raises(InputError, match="workers must be 1 or more"):
        StudyArguments("study.yaml", "out", workers=0)
