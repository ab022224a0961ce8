import dataclasses

import pytest
import torch

from alum.core.errors import InputError
from alum.core.methods import METHODS, method_named
from alum.core.perturbation import worst_case_perturbation

COSTS = {
    "standard": 1,
    "alum": 8 / 3,
    "alum_one_pass": 2,
    "alum_paper": 8 / 3,
    "alum_released": 8 / 3,
    "r3f": 2,
    "r_drop": 2,
    "fgm": 2,
    "pgd": 4,
}


def test_rows_carry_their_own_names_and_sources():
    assert {name: row.name for name, row in METHODS.items()} == {name: name for name in METHODS}
    assert all(row.source for row in METHODS.values())


def test_costs_are_counted_in_passes():
    assert {name: row.cost_in_standard_steps for name, row in METHODS.items()} == pytest.approx(COSTS)


def test_every_further_ascent_step_costs_two_passes():
    assert method_named("alum", num_steps=3).cost_in_standard_steps == pytest.approx((8 + 2 + 2) / 3)


def test_the_constants_of_the_paper():
    paper = METHODS["alum_paper"]
    assert (paper.num_steps, paper.init_std, paper.step_size, paper.epsilon) == (1, 1e-5, 1e-3, 1e-5)
    assert (paper.norm, paper.epsilon_unit, paper.step_rule, paper.projection) == ("linf", "absolute", "raw", "ball")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'alum_one_pass'"):
        method_named("alum-one-pass")


def test_a_name_near_nothing_lists_the_choices():
    with pytest.raises(InputError, match="standard, alum, alum_one_pass") as error:
        method_named("xyzzy")
    assert "Did you mean" not in str(error.value)


def test_overrides_replace_settings_and_none_leaves_them():
    method = method_named("alum", epsilon=0.5, alpha=None)
    assert method == dataclasses.replace(METHODS["alum"], epsilon=0.5)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("epsilon", 0.0),
        ("epsilon", -1.0),
        ("epsilon", float("nan")),
        ("epsilon", float("inf")),
        ("alpha", -1.0),
        ("alpha", float("nan")),
        ("num_steps", -1),
        ("step_size", -0.5),
        ("init_std", -1e-5),
        ("init_std", float("inf")),
        ("norm", "l1"),
        ("scope", "batch"),
        ("epsilon_unit", "percent"),
        ("step_rule", "adam"),
        ("projection", "box"),
        ("dropout", "on"),
        ("layer", "head"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting, value):
    with pytest.raises(InputError, match=setting):
        method_named("alum", **{setting: value})


@pytest.mark.parametrize("settings", [{"num_steps": 2}, {"num_steps": 0}, {"step_rule": "raw"}])
def test_one_pass_takes_exactly_one_normalised_step(settings):
    with pytest.raises(InputError, match="alum_one_pass"):
        method_named("alum_one_pass", **settings)


# What changes nothing when another value is given, by what core/perturbation.py and core/projections.py read.
NO_STEP = {"step_size", "step_rule"}
IDLE = {
    "r3f": NO_STEP,
    "r_drop": NO_STEP | {"epsilon", "epsilon_unit", "norm", "scope", "projection"},
    "alum_paper": {"scope"},
    "alum": set(),
    "alum_one_pass": set(),
    "alum_released": set(),
    "fgm": set(),
    "pgd": set(),
}
OTHERS = {
    "epsilon": 0.5,
    "epsilon_unit": "absolute",
    "norm": "linf",
    "scope": "sequence",
    "step_size": 0.25,
    "step_rule": "sign",
    "projection": "rescale",
}


@pytest.mark.parametrize(("name", "idle"), IDLE.items())
def test_idle_settings_are_those_that_do_not_change_the_perturbation(name, idle):
    method = METHODS[name]
    assert set(method.idle_settings()) == idle
    torch.manual_seed(0)
    embeddings, mask, weights = torch.randn(2, 3, 4), torch.ones(2, 3), torch.randn(2, 3, 4)

    def found(method):
        generator = torch.Generator().manual_seed(0)
        return worst_case_perturbation(
            lambda delta: (weights * (delta + delta.square())).sum(), embeddings, mask, method, generator=generator
        ).delta

    for setting in idle:
        changed = dataclasses.replace(method, **{setting: OTHERS[setting]})
        assert torch.equal(found(changed), found(method)), setting
