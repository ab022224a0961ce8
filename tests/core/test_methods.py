import dataclasses

import pytest

from alum.core.errors import InputError
from alum.core.methods import METHODS, method_named


def test_rows_carry_their_own_names_and_sources():
    assert {name: row.name for name, row in METHODS.items()} == {name: name for name in METHODS}
    assert all(row.source for row in METHODS.values())


def test_the_constants_of_the_paper():
    paper = METHODS["alum_paper"]
    assert (paper.num_steps, paper.init_std, paper.step_size, paper.epsilon) == (1, 1.0, 1e-3, 1e-5)
    assert (paper.norm, paper.epsilon_unit, paper.step_rule, paper.projection) == ("linf", "absolute", "raw", "ball")


def test_the_constants_of_smart():
    smart = METHODS["smart"]
    sigma, eta = smart.init_std * smart.epsilon, smart.step_size * smart.epsilon
    assert (smart.num_steps, sigma, eta, smart.epsilon) == (1, 1e-5, pytest.approx(1e-3), 1e-5)
    assert (smart.alpha, smart.proximal_weight, smart.proximal_momentum) == (1.0, 1.0, 0.999)
    assert (smart.norm, smart.epsilon_unit, smart.projection) == ("linf", "absolute", "ball")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'alum_one_pass'"):
        method_named("alum-one-pass")


def test_an_unknown_setting_suggests_the_nearest():
    with pytest.raises(
        InputError, match=r"unknown setting of a method 'adv_epsilon': expected one of alpha, .* mean 'epsilon'"
    ):
        method_named("alum", adv_epsilon=0.1)


def test_a_name_near_nothing_lists_the_choices():
    with pytest.raises(InputError, match="standard, alum, alum_one_pass") as error:
        method_named("xyzzy")
    assert "Did you mean" not in str(error.value)


def test_overrides_replace_settings_and_none_leaves_them():
    method = method_named("alum", epsilon=0.5, alpha=None)
    assert method == dataclasses.replace(METHODS["alum"], epsilon=0.5)
