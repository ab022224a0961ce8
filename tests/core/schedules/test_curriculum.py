import dataclasses

import pytest

from alum.core.errors import InputError
from alum.core.methods import METHODS
from alum.core.schedules.curriculum import Curriculum

METHOD = dataclasses.replace(METHODS["alum"], alpha=10.0, epsilon=0.04)


def at(progress, **curriculum):
    method = Curriculum(**curriculum).at(progress, METHOD)
    return method.alpha, method.epsilon


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_without_a_curriculum_the_method_holds_throughout(progress):
    assert Curriculum().at(progress, METHOD) == METHOD


@pytest.mark.parametrize(("progress", "alpha"), [(0.0, 0.0), (0.499, 0.0), (0.5, 10.0), (1.0, 10.0)])
def test_the_adversary_enters_half_way(progress, alpha):
    assert at(progress, start_fraction=0.5) == (alpha, 0.04)


@pytest.mark.parametrize(("progress", "alpha"), [(0.5, 0.0), (0.55, 2.5), (0.6, 5.0), (0.7, 10.0), (1.0, 10.0)])
def test_alpha_grows_linearly_from_the_start_on(progress, alpha):
    assert at(progress, start_fraction=0.5, alpha_ramp_fraction=0.2) == (alpha, 0.04)


@pytest.mark.parametrize(("progress", "epsilon"), [(0.25, 0.01), (0.5, 0.02), (1.0, 0.04)])
def test_epsilon_grows_linearly(progress, epsilon):
    assert at(progress, epsilon_ramp_fraction=1.0) == (10.0, pytest.approx(epsilon))


def test_a_ball_without_a_radius_yet_means_no_adversary_yet():
    assert at(0.0, epsilon_ramp_fraction=1.0) == (0.0, 0.04)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Curriculum)])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_fractions_outside_0_to_1_are_refused(field, value):
    with pytest.raises(InputError, match=field):
        Curriculum(**{field: value})
