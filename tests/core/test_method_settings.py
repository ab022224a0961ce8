import dataclasses

import pytest
import torch

from alum.core.errors import InputError
from alum.core.methods import METHODS, method_named
from alum.core.perturbation import worst_case_perturbation


@pytest.mark.parametrize("name", ["alum_one_pass", "fgm", "freelb", "adv_softmax"])
def test_a_proximal_term_needs_the_clean_pass_to_the_end(name):
    with pytest.raises(InputError, match=f"proximal_weight must be 0 with method '{name}'"):
        method_named(name, proximal_weight=1.0)
    with pytest.raises(InputError, match="proximal_weight must be 0 with method 'smart'"):
        method_named("smart", clean_side="first")


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
        ("init_noise", "cauchy"),
        ("norm", "l1"),
        ("scope", "batch"),
        ("epsilon_unit", "percent"),
        ("step_rule", "adam"),
        ("projection", "box"),
        ("dropout", "on"),
        ("layer", "head"),
        ("proximal_weight", -1.0),
        ("proximal_momentum", 1.0),
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting, value):
    with pytest.raises(InputError, match=setting):
        method_named("alum", **{setting: value})


@pytest.mark.parametrize("settings", [{"num_steps": 2}, {"num_steps": 0}, {"step_rule": "raw"}])
def test_one_pass_takes_exactly_one_normalised_step(settings):
    with pytest.raises(InputError, match="alum_one_pass"):
        method_named("alum_one_pass", **settings)


# Two values of each setting of the perturbation, one of which is not the row's.
OTHERS = {
    "epsilon": (0.5, 0.25),
    "epsilon_unit": ("absolute", "relative"),
    "norm": ("linf", "l2"),
    "scope": ("sequence", "token"),
    "step_size": (0.25, 0.125),
    "step_rule": ("sign", "normalized"),
    "projection": ("rescale", "ball"),
    "init_noise": ("uniform", "normal"),
}


@pytest.mark.parametrize(
    "method", [row for row in METHODS.values() if not row.is_for_language_models], ids=lambda method: method.name
)
def test_idle_settings_are_those_that_do_not_change_the_perturbation(method):
    torch.manual_seed(0)
    embeddings, mask = torch.randn(2, 3, 4), torch.ones(2, 3)
    weights = 1e-3 * torch.randn(2, 3, 4)  # small, so that a raw step can stay inside the ball

    def found(method):
        generator = torch.Generator().manual_seed(0)
        # A step of many radii ends in a corner of a cube, whatever the settings of its way.
        method = dataclasses.replace(method, step_size=min(method.step_size, 1.0))
        return worst_case_perturbation(
            lambda delta: (weights * (delta + delta.square())).sum(), embeddings, mask, method, generator=generator
        ).delta

    def changes_nothing(setting):
        other = next(value for value in OTHERS[setting] if value != getattr(method, setting))
        return torch.equal(found(dataclasses.replace(method, **{setting: other})), found(method))

    assert set(method.idle_settings()) & set(OTHERS) == set(filter(changes_nothing, OTHERS))


def test_settings_of_the_divergence_are_idle_without_one():
    assert "clean_side" in METHODS["pgd"].idle_settings()
    assert "ascent" in METHODS["r_drop"].idle_settings()
    assert set(METHODS["alum"].idle_settings()) == {"proximal_momentum", "text_draws", "text_choice"}
    assert set(METHODS["smart"].idle_settings()) == {"text_draws", "text_choice"}


def test_at_the_output_embeddings_all_but_the_radius_and_the_weight_are_idle():
    assert set(OTHERS) - set(METHODS["adv_softmax"].idle_settings()) == {"epsilon", "epsilon_unit"}
