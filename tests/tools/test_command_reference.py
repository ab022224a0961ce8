"""Pages of the command line have every flag that a command takes, with the default that it has."""

import dataclasses
import re

import pytest
from transformers import TrainingArguments

from alum.cli.names import COMMANDS
from alum.cli.output import QuietSettings
from alum.stages.augmentation.arguments import AugmentArguments
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from command_reference import command_page, escaped
from places import ROOT

OPTION = re.compile(r"^````\{option\} (--\w+)(.*)\n\n(.*)\n````$", re.MULTILINE)


def options(command: str) -> dict[str, str]:
    return {flag: text for flag, _, text in OPTION.findall(command_page(command))}


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        ("finetune", (FinetuneArguments, QuietSettings, FinetuneConfig)),
        ("evaluate", (EvaluateArguments, QuietSettings)),
        ("augment", (AugmentArguments, QuietSettings)),
    ],
)
def test_every_field_is_a_flag_with_its_default(command, settings):
    shown = options(command)
    fields = {field.name: field for of in settings for field in dataclasses.fields(of) if field.init}
    assert shown.keys() == {f"--{name}" for name in fields}
    for name, field in fields.items():
        text = shown[f"--{name}"]
        if type(field.default) in (int, float) and "default" not in field.metadata["help"].lower():
            assert text.endswith(f"Default: `{field.default}`."), name


def test_a_flag_has_its_words_choices_and_kind_of_value():
    page = command_page("evaluate")
    assert "````{option} --epsilons NUMBER …\n" in page
    assert "````{option} --adversarial_gain BOOLEAN\n" in page
    assert "````{option} --check_gradient_masking BOOLEAN\n" in page
    assert "--no_" not in page
    assert "One of `first`, `last`, `both`. Default: `last`." in options("attack")["--attacked_text"]


def test_sections_are_those_of_the_help():
    page = command_page("finetune")
    titles = re.findall(r"^## (.*)$", page, re.MULTILINE)
    own = ["Required", "Settings", "The adversary", "Training", "Validation", "Checkpoints and logs"]
    assert titles == [*own, "Further settings of the Trainer"]
    rare = page.partition("## Further settings of the Trainer")[2]
    assert "--adam_beta1" in rare
    assert "--adv_method" not in rare
    flags = set(re.findall(r"\{option\} --(\w+)", rare))
    assert flags <= {field.name for field in dataclasses.fields(TrainingArguments)}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_a_page(command):
    page = (ROOT / "docs" / "reference" / "commands" / f"{command}.md").read_text(encoding="utf-8")
    assert page == f"# alum {command}\n\n```{{command-reference}} {command}\n```\n"
    assert f"\n{command}\n" in (ROOT / "docs" / "reference" / "commands" / "index.md").read_text(encoding="utf-8")


def test_words_are_never_read_as_markdown():
    assert escaped("a_b *c* <d> `e` [f](g)") == r"a\_b \*c\* \<d\> \`e\` \[f\](g)"
