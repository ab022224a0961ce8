import dataclasses
import re

import pytest
from transformers import HfArgumentParser, TrainingArguments

from alum.core.errors import InputError
from alum.core.methods import METHODS
from alum.training.config import OF_METHOD, AlumConfig


def config(**settings):
    return AlumConfig(use_cpu=True, **settings)


def test_it_is_training_arguments_with_a_prefix():
    own = {field.name for field in dataclasses.fields(AlumConfig)}
    trainers = {field.name for field in dataclasses.fields(TrainingArguments)}
    assert own >= trainers
    assert all(name.startswith("adv_") for name in own - trainers - {"padding_free"})


@dataclasses.dataclass
class OtherArguments(TrainingArguments):
    logging_steps: float = 10
    loss_type: str = "nll"


@dataclasses.dataclass
class Joined(OtherArguments, AlumConfig):
    pass


def test_arguments_of_another_trainer_keep_their_defaults():
    joined = Joined(use_cpu=True, adv_epsilon=0.1)
    assert (joined.logging_steps, joined.loss_type, joined.method().epsilon) == (10, "nll", 0.1)
    with pytest.raises(InputError, match="adv_alpha"):
        Joined(use_cpu=True, adv_alpha=-1.0)


def test_an_order_that_would_lose_defaults_is_refused():
    with pytest.raises(InputError, match=r"defaults of OtherArguments \(logging_steps\).*Wrong\(OtherArguments, AlumC"):

        class Wrong(AlumConfig, OtherArguments):
            pass


@pytest.mark.parametrize("name", METHODS)
def test_what_is_not_set_is_the_methods_own(name):
    assert config(adv_method=name).method() == METHODS[name]


def test_settings_override_the_method():
    method = config(adv_method="alum", adv_alpha=10.0, adv_norm="linf", adv_layer="3", adv_num_steps=2).method()
    assert method == dataclasses.replace(METHODS["alum"], alpha=10.0, norm="linf", layer=3, num_steps=2)


def test_a_setting_that_is_changed_afterwards_counts():
    settings = config(adv_method="alum", adv_epsilon=0.1)
    settings.adv_epsilon = 0.2
    assert settings.method().epsilon == 0.2


def test_every_setting_of_the_method_can_be_set():
    values = {
        "alpha": 0.5,
        "epsilon": 0.5,
        "epsilon_unit": "absolute",
        "norm": "linf",
        "scope": "sequence",
        "num_steps": 2,
        "step_size": 0.5,
        "step_rule": "sign",
        "projection": "rescale",
        "init_std": 0.5,
        "init_noise": "uniform",
        "dropout": "off",
        "layer": "embeddings",
    }
    method = config(adv_method="alum", **{f"adv_{name}": value for name, value in values.items()}).method()
    assert {name: getattr(method, name) for name in values} == values


def test_the_curriculum():
    curriculum = config(adv_start_fraction=0.5, adv_alpha_ramp_fraction=0.2, adv_epsilon_ramp_fraction=0.1).curriculum()
    assert dataclasses.astuple(curriculum) == (0.5, 0.2, 0.1)


@pytest.mark.parametrize(
    "settings",
    [
        {"adv_method": "alumn"},
        {"adv_epsilon": 0.0},
        {"adv_norm": "l1"},
        {"adv_layer": "top"},
        {"adv_start_fraction": 2.0},
        {"adv_gain_draws": -1},
        {"adv_method": "alum_one_pass", "adv_num_steps": 3},
    ],
)
def test_bad_settings_are_refused_at_once(settings):
    with pytest.raises(InputError):
        config(**settings)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"adv_alpha": 2.0, "adv_method": "standard"}, "'standard' has no adversary"),
        ({"adv_layer": "1", "adv_method": "standard"}, "'standard' has no adversary"),
        ({"adv_every_steps": 2, "adv_method": "standard"}, "'standard' has no adversary"),
        ({"adv_epsilon": 0.1, "adv_method": "r_drop"}, "nothing is perturbed"),
        ({"adv_special_tokens": "keep", "adv_method": "r_drop"}, "nothing is perturbed"),
        ({"adv_step_size": 0.5, "adv_method": "noise"}, "no ascent step"),
        ({"adv_scope": "sequence", "adv_method": "alum_paper"}, "each coordinate"),
        ({"adv_step_rule": "sign", "adv_method": "alum", "adv_num_steps": 0}, "no ascent step"),
    ],
)
def test_a_setting_that_the_method_ignores_is_refused(settings, why):
    name, value = next(iter(settings.items()))
    with pytest.raises(InputError, match=f"^{name} {value} has no effect with adv_method .*: .*{why}.* Leave it out"):
        config(**settings)


@pytest.mark.parametrize(
    ("settings", "helps"),
    [
        ({"adv_text_changes": "typing"}, "choose adv_space text"),
        ({"adv_text_word_share": 0.5, "adv_method": "fgm"}, "choose adv_space text"),
        ({"adv_text_draws": 2}, "choose adv_space text"),
        ({"adv_text_choice": "gradient", "adv_space": "text"}, "give adv_text_draws 2 or more"),
        (
            {"adv_text_choice": "gradient", "adv_space": "embedding"},
            "choose adv_space text with adv_text_draws 2 or more",
        ),
        ({"adv_epsilon": 0.1, "adv_space": "text"}, "choose adv_space both"),
        ({"adv_special_tokens": "keep", "adv_space": "text"}, "choose adv_space both"),
        ({"adv_epsilon": 0.1, "adv_space": "text", "adv_method": "r_drop"}, "choose another method"),
        ({"adv_text_changes": "typing", "adv_method": "standard"}, "choose another method"),
        ({"adv_text_changes": "typing", "adv_method": "freelb"}, "choose another method"),
        ({"adv_dropout": "independent", "adv_space": "text"}, "choose adv_space both"),
    ],
)
def test_what_is_advised_gives_the_setting_an_effect(settings, helps):
    name, value = next(iter(settings.items()))
    given = {"adv_method": "alum_one_pass", **settings}
    with pytest.raises(InputError, match=f"^{name} {value} has no effect .*Leave it out, or {helps}\\.$"):
        config(**given)
    if "another" not in helps:
        (space,) = re.findall(r"adv_space (\w+)", helps) or [given.get("adv_space")]
        draws = {"adv_text_draws": 2} if "2 or more" in helps else {}
        config(**{**given, "adv_space": space, **draws})


def test_texts_may_be_compared_without_dropout_and_the_masks_of_a_row_of_the_table_are_taken():
    assert config(adv_method="alum", adv_space="text", adv_dropout="off").method().dropout == "off"
    assert config(adv_method="r_drop", adv_space="text", adv_dropout="independent").method().space == "text"


@pytest.mark.parametrize("name", METHODS)
def test_the_methods_own_values_can_be_written_out(name):
    row = dataclasses.asdict(METHODS[name])
    own = {field.name: field.default for field in dataclasses.fields(AlumConfig) if field.name.startswith("adv_")}
    own |= {f"adv_{setting}": str(row[setting]) if setting == "layer" else row[setting] for setting in OF_METHOD}
    assert config(**{**own, "adv_method": name}).method() == METHODS[name]


def test_a_comparison_of_weights_or_arms_may_have_one_without_an_adversary():
    assert config(adv_method="alum", adv_alpha=0.0, adv_epsilon=0.1).method().epsilon == 0.1
    assert config(adv_method="standard", adv_start_fraction=0.5).adv_start_fraction == 0.5


@pytest.mark.parametrize(
    "settings",
    [
        {"adv_epsilon": 0.0},
        {"adv_alpha": -1.0},
        {"adv_norm": "l1"},
        {"adv_layer": "top"},
        {"adv_start_fraction": 2.0},
        {"adv_num_steps": 3},
        {"adv_step_rule": "raw"},
    ],
)
def test_errors_have_the_name_that_was_given(settings):
    (name,) = settings
    with pytest.raises(InputError, match=f"^{name} "):
        config(**settings)


def test_flags_of_the_command_line():
    (parsed,) = HfArgumentParser(AlumConfig).parse_args_into_dataclasses(
        ["--use_cpu", "true", "--adv_method", "alum", "--adv_epsilon", "0.05", "--adv_norm", "linf", "--adv_layer", "2"]
    )
    method = parsed.method()
    assert (method.name, method.epsilon, method.norm, method.layer) == ("alum", 0.05, "linf", 2)
