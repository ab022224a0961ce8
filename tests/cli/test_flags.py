"""Flags of alum's own settings against those that transformers makes of the same dataclass."""

from dataclasses import dataclass, field
from typing import Literal

import pytest
from transformers import HfArgumentParser

from alum.cli.flags import parser_of
from alum.stages.augmentation.arguments import AugmentArguments
from alum.stages.demo.arguments import DemoArguments
from alum.stages.evaluation.arguments import AttackArguments, EvaluateArguments
from alum.stages.finetuning.arguments import FinetuneArguments, FinetuneSettings
from alum.stages.pretraining.arguments import PretrainArguments, PretrainSettings
from alum.stages.reduction.arguments import ReduceArguments
from alum.stages.triggers.arguments import TriggersArguments
from alum.training.settings import AdversarySettings

SETTINGS = [
    AdversarySettings,
    AttackArguments,
    DemoArguments,
    EvaluateArguments,
    FinetuneArguments,
    FinetuneSettings,
    PretrainArguments,
    PretrainSettings,
]


def described(parser):
    """Flags of a parser by name, in whatever order it has them."""
    names = ("option_strings", "dest", "nargs", "const", "default", "choices", "required", "help", "metavar")
    return {
        action.option_strings[0]: {"action": type(action).__name__}
        | {name: getattr(action, name) for name in names}
        | {"choices": action.choices and tuple(action.choices)}
        for action in parser._actions
    }


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_flags_are_those_of_transformers(settings):
    assert described(parser_of(settings)) == described(HfArgumentParser(settings, add_help=False))


@dataclass(kw_only=True)
class Inherited:
    first: int = field(default=1, metadata={"help": ""})
    redeclared: int = field(default=1, metadata={"help": ""})


@dataclass(kw_only=True)
class Inheriting(Inherited):
    own: int = field(metadata={"help": ""})
    redeclared: int = field(default=2, metadata={"help": ""})


def test_own_fields_come_before_inherited_ones():
    assert [action.dest for action in parser_of(Inheriting)._actions] == ["own", "redeclared", "first"]


@dataclass
class OneOfEach:
    words: str = field(metadata={"help": ""})
    count: int = field(default=1, metadata={"help": ""})
    share: float | None = field(default=None, metadata={"help": ""})
    name: str | None = field(default=None, metadata={"help": ""})
    files: list[str] = field(default_factory=list, metadata={"help": ""})
    weights: list[float] = field(default_factory=lambda: [1.0], metadata={"help": ""})
    choice: Literal["one", "two"] = field(default="one", metadata={"help": ""})
    other_choice: Literal["one", "two"] | None = field(default=None, metadata={"help": ""})
    turned_off: bool = field(default=False, metadata={"help": ""})
    turned_on: bool = field(default=True, metadata={"help": ""})


@pytest.mark.parametrize(
    "flags",
    [
        "",
        "--count 3 --share 1e-2 --name a",
        "--files a b c --weights 1 2.5",
        "--choice two --other-choice one",
        "--turned_off --turned-on no",
        "--no_turned_on",
        "--no-turned-on --turned_off TRUE",
        "--turned_off 0 --turned_on Y",
        "--unknown",
    ],
)
def test_values_are_those_of_transformers(flags):
    argv = ["--words", "some", *flags.split()]
    expected = HfArgumentParser(OneOfEach).parse_args_into_dataclasses(
        argv, return_remaining_strings=True, look_for_args_file=False
    )
    values, rest = parser_of(OneOfEach).parse_known_args(argv)
    assert (OneOfEach(**vars(values)), rest) == (expected[0], expected[1])


@pytest.mark.parametrize(
    "flags", ["", "--words a --turned_on perhaps", "--words a --choice three", "--words a --count"]
)
def test_what_is_none_of_them_is_refused_by_both(flags, capsys):
    for parser in (parser_of(OneOfEach), HfArgumentParser(OneOfEach)):
        with pytest.raises(SystemExit) as ended:
            parser.parse_known_args(flags.split())
        assert ended.value.code == 2


@pytest.mark.parametrize(
    ("settings", "reports"), [(EvaluateArguments, True), (AttackArguments, False), (AugmentArguments, False)]
)
def test_only_what_reports_on_meaning_says_so(settings, reports):
    """`alum evaluate` has figures on how changed words fit and how similar texts stay, the others have none."""
    helps = {action.dest: action.help for action in parser_of(settings)._actions}
    assert ("how well" in helps["masked_lm"]) == reports
    assert ("how much" in helps["similarity_model"]) == reports


@pytest.mark.parametrize("settings", [ReduceArguments, TriggersArguments])
def test_classifiers_have_no_flag_of_choices(settings):
    assert "choice_columns" not in {action.dest for action in parser_of(settings)._actions}
