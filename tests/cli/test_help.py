import dataclasses
import re

import pytest
from transformers import TrainingArguments

from alum.cli.main import main
from alum.cli.names import COMMANDS
from alum.cli.parser import CommandParser
from alum.stages.demo.arguments import DemoArguments
from alum.stages.evaluation.arguments import AttackArguments, EvaluateArguments
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig
from alum.stages.radius.arguments import RadiusArguments
from alum.stages.runs.settings import TrainingSettings
from alum.stages.study.comparing.arguments import CompareArguments
from alum.stages.study.settings import StudyArguments
from alum.training.config import AlumConfig


def shown(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main([*words])
    assert ended.value.code == 0
    return capsys.readouterr().out


def flags_in(text):
    return re.findall(r"^  --(\w+)", text, re.MULTILINE)


def names(of):
    return {field.name for field in dataclasses.fields(of)}


@pytest.mark.parametrize(("command", "own"), [("pretrain", PretrainArguments), ("finetune", FinetuneArguments)])
def test_help_has_what_most_people_use_in_groups(capsys, command, own):
    text = shown(capsys, command, "--help")
    _, *parts = re.split(r"^(Required|Settings|The adversary|Training):$", text, flags=re.MULTILINE)
    groups = {title: set(flags_in(part)) for title, part in zip(parts[::2], parts[1::2], strict=True)}
    assert list(groups)[-3:] == ["Settings", "The adversary", "Training"]
    assert names(own) <= groups["Settings"] | groups.get("Required", set())
    assert {name for name in names(AlumConfig) if name.startswith("adv_")} == groups["The adversary"]
    assert names(TrainingSettings) == groups["Training"]
    assert text.rstrip().endswith("--help_all lists every setting of TrainingArguments.")
    assert "torch_compile" not in text
    assert "(default: None)" not in text
    assert re.search(r"--max_seq_length", text)


REAL = {
    "pretrain": ((PretrainArguments,), PretrainConfig),
    "finetune": ((FinetuneArguments,), FinetuneConfig),
    "evaluate": ((EvaluateArguments,), None),
    "attack": ((AttackArguments,), None),
    "demo": ((DemoArguments,), None),
    "radius": ((RadiusArguments,), None),
    **dict.fromkeys(("methods", "tasks", "suites", "env"), ((), None)),
    "study": ((StudyArguments,), None),
    "compare": ((CompareArguments,), None),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_quick_help_is_that_of_the_parser_that_reads_the_flags(capsys, command):
    assert shown(capsys, command, "--help") == CommandParser(command, *REAL[command]).format_help()


@pytest.mark.parametrize("words", ["--help --seed many", "--seed many -h", "--config missing.yaml --help"])
def test_who_asks_for_help_gets_it_whatever_else_is_said(capsys, words):
    assert "usage: alum pretrain" in shown(capsys, "pretrain", *words.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_in_80_columns(capsys, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, shown(capsys, command, "--help").splitlines())) <= 80


def test_help_all_has_every_setting_and_help_is_much_shorter(capsys):
    text = shown(capsys, "pretrain", "--help_all")
    assert names(TrainingArguments) - {"_n_gpu"} <= set(flags_in(text))
    assert "(default: None)" not in text
    assert len(shown(capsys, "pretrain", "--help")) < len(text) / 2


def test_defaults_are_shown(capsys):
    text = " ".join(shown(capsys, "pretrain", "--help").split())
    assert re.search(r"--vocab_size VOCAB_SIZE Size of the vocabulary [^-]* \(default: 8192\)", text)


@pytest.mark.parametrize(
    ("command", "first"), [("evaluate", ["suites", "attacks"]), ("attack", ["text_pair", "attacked_text", "attack"])]
)
def test_a_commands_own_settings_are_listed_first(capsys, command, first):
    settings = shown(capsys, command, "--help").partition("\nSettings:\n")[2]
    assert flags_in(settings)[: len(first)] == first
