import itertools
import math

import pytest
import torch

from alum.core.errors import SettingError
from alum.core.methods import method_named
from alum.core.schedules.radius import Radius, check_target


def followed(divergence_of, target, steps, radius=None):
    """The radii that follow from a divergence which is a function of the factor."""
    radii = [radius or Radius()]
    for _ in range(steps):
        radii.append(radii[-1].after(divergence_of(radii[-1].factor), target))
    return radii


@pytest.mark.parametrize("at_own_radius", [1e-7, 1e-3, 0.1, 10.0, 1e5])
def test_a_divergence_of_second_order_is_met_exactly(at_own_radius):
    found = followed(lambda factor: at_own_radius * factor**2, target=0.1, steps=20)[-1].factor
    assert found == pytest.approx(math.sqrt(0.1 / at_own_radius))


def test_no_step_changes_the_radius_more_than_twofold():
    factors = [radius.factor for radius in followed(lambda factor: 1e-7 * factor**2, target=0.1, steps=12)]
    ratios = [after / before for before, after in itertools.pairwise(factors)]
    assert ratios[:9] == [2.0] * 9
    assert max(ratios) <= 2.0


def test_a_divergence_that_saturates_is_met():
    found = followed(lambda factor: math.tanh(1e-6 * factor**2), target=0.9, steps=50)[-1].factor
    assert math.tanh(1e-6 * found**2) == pytest.approx(0.9, rel=0.05)


def test_the_mean_of_a_divergence_that_scatters_is_the_target():
    # Log-normal, of standard deviation 0.66 around its mean: its median is a fifth below that.
    generator = torch.Generator().manual_seed(0)
    divergences, radius = [], Radius()
    for _ in range(4000):
        scatter = math.exp(0.6 * torch.randn((), generator=generator).item())
        divergences.append(0.01 * radius.factor**2 * scatter)
        radius = radius.after(divergences[-1], target=0.2)
    # The radius scatters with the divergences before, by which their mean is a little larger: 3 % here.
    assert sum(divergences[50:]) / len(divergences[50:]) == pytest.approx(0.2, rel=0.06)


def test_a_step_that_overflowed_halves_the_radius_and_is_remembered():
    radius = followed(lambda factor: factor**2, target=1.0, steps=10)[-1]
    after = radius.after(None, target=1.0)
    assert after.factor == radius.factor / 2
    assert after.after(after.factor**2, target=1.0).factor < 0.7 * radius.factor


@pytest.mark.parametrize(("divergence", "limit"), [(0.0, 1e6), (1e3, 1e-6)])
def test_what_cannot_be_reached_ends_at_a_bound(divergence, limit):
    radii = followed(lambda factor: divergence, target=0.1, steps=2000)
    assert radii[-1].factor == pytest.approx(limit)


@pytest.mark.parametrize(
    ("target", "name", "why"),
    [
        (0.0, "alum", "above 0"),
        (float("inf"), "alum", "finite"),
        (float("nan"), "alum", "finite"),
        (0.1, "pgd", "trains the task loss"),
        (0.1, "r_drop", "nothing is perturbed"),
    ],
)
def test_targets_that_no_radius_has_are_refused(target, name, why):
    with pytest.raises(SettingError, match=f"^target_divergence .*{why}"):
        check_target(target, method_named(name))


def test_where_only_the_text_is_changed_a_radius_beside_it_is_advised():
    with pytest.raises(SettingError, match=r"or choose 'both' as the space\.$"):
        check_target(0.1, method_named("alum", space="text"))
    check_target(0.1, method_named("alum", space="both"))
    with pytest.raises(SettingError, match=r"or choose 'noise'\.$"):
        check_target(0.1, method_named("r_drop", space="text"))


@pytest.mark.parametrize("name", ["noise", "alum", "alum_one_pass", "alum_virtual", "r3f"])
def test_others_are_taken(name):
    check_target(0.1, method_named(name))
