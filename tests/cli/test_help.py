import dataclasses
import re

import pytest
from transformers import TrainingArguments

from alum.cli.command_settings import CompletionArguments, TasksArguments
from alum.cli.main import main
from alum.cli.names import COMMANDS
from alum.cli.output import JsonSettings, QuietSettings
from alum.cli.parser import CommandParser
from alum.core.methods import METHODS
from alum.stages.adv_glue.arguments import AdvGlueArguments
from alum.stages.augmentation.arguments import AugmentArguments
from alum.stages.checklist.arguments import ChecklistArguments
from alum.stages.demo.arguments import DemoArguments
from alum.stages.evaluation.arguments import AttackArguments, EvaluateArguments
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.plan.arguments import PlanArguments
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig
from alum.stages.radius.arguments import RadiusArguments
from alum.stages.reduction.arguments import ReduceArguments
from alum.stages.runs.settings import StageSettings
from alum.stages.study.comparing.arguments import CompareArguments
from alum.stages.study.settings import StudyArguments
from alum.stages.triggers.arguments import TriggersArguments
from alum.training.config import AlumConfig


def shown(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main([*words])
    assert ended.value.code == 0
    return capsys.readouterr().out


def flags_in(text):
    return re.findall(r"^  --(\w+)", text, re.MULTILINE)


def groups_in(text):
    """Flags by the title that they stand under."""
    _, *parts = re.split(r"^(\w[\w ,]*):$", text, flags=re.MULTILINE)
    return {title: set(flags_in(part)) for title, part in zip(parts[::2], parts[1::2], strict=True)}


def names(of):
    return {field.name for field in dataclasses.fields(of)}


@pytest.mark.parametrize(("command", "own"), [("pretrain", PretrainArguments), ("finetune", FinetuneArguments)])
def test_help_has_what_most_people_use_in_groups(capsys, command, own):
    text = shown(capsys, command, "--help")
    groups = groups_in(text)
    assert list(groups) == ["Required", "Settings", "The adversary", "Training", "Validation", "Checkpoints and logs"]
    assert names(own) <= groups["Settings"] | groups["Required"]
    assert {name for name in names(AlumConfig) if name.startswith("adv_")} == groups["The adversary"]
    of_training = groups["Training"] | groups["Validation"] | groups["Checkpoints and logs"] | {"output_dir"}
    assert names(StageSettings) == of_training - {"early_stopping_patience", "padding_free"}
    assert {"eval_strategy", "eval_steps", "per_device_eval_batch_size"} <= groups["Validation"]
    assert not any("eval" in name for name in groups["Training"])
    assert "output_dir" in groups["Required"]
    assert text.rstrip().endswith("--help_all lists every setting of TrainingArguments.")
    assert "torch_compile" not in text
    assert "(default: None)" not in text
    assert re.search(r"--max_seq_length", text)


REAL = {
    "pretrain": ((PretrainArguments, QuietSettings), PretrainConfig),
    "finetune": ((FinetuneArguments, QuietSettings), FinetuneConfig),
    "evaluate": ((EvaluateArguments, QuietSettings), None),
    "attack": ((AttackArguments,), None),
    "demo": ((DemoArguments, QuietSettings), None),
    "augment": ((AugmentArguments, QuietSettings), None),
    "plan": ((PlanArguments, JsonSettings), None),
    "advglue": ((AdvGlueArguments, QuietSettings), None),
    "radius": ((RadiusArguments, QuietSettings, JsonSettings), None),
    "checklist": ((ChecklistArguments, QuietSettings), None),
    "reduce": ((ReduceArguments, QuietSettings), None),
    "triggers": ((TriggersArguments, QuietSettings), None),
    **dict.fromkeys(("methods", "suites", "env"), ((JsonSettings,), None)),
    "tasks": ((TasksArguments,), None, "task"),
    "completion": ((CompletionArguments,), None, "shell"),
    "study": ((StudyArguments, QuietSettings, JsonSettings), None, "study_file"),
    "compare": ((CompareArguments,), None, "runs"),
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
    assert max(map(len, shown(capsys, command, "--help_all").splitlines())) <= 80


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


def test_the_adversarys_defaults_are_those_of_each_method(capsys):
    text = " ".join(shown(capsys, "finetune", "--help").split())
    for setting in ("epsilon", "num_steps", "norm", "clean_side", "init_std", "dropout", "layer", "proximal_weight"):
        said = re.search(rf"--adv_{setting} .*?\(default: ([^)]*)\)\.", text)[1]
        first, *others = said.split("; ")
        value_by_method = dict.fromkeys(METHODS, first)
        for other in others:
            names, value = other.split(": ")
            value_by_method |= dict.fromkeys(names.split(", "), value)
        assert value_by_method.keys() == METHODS.keys()
        for name, method in METHODS.items():
            if setting not in method.idle_settings():
                value = getattr(method, setting)
                expected = value if isinstance(value, str) else pytest.approx(value, rel=5e-3)
                assert (value_by_method[name] if isinstance(value, str) else float(value_by_method[name])) == expected


@pytest.mark.parametrize(("command", "first"), [("pretrain", "train_file"), ("plan", "model_name_or_path")])
def test_help_begins_with_what_must_be_given(capsys, command, first):
    text = shown(capsys, command, "--help")
    assert next(iter(groups_in(text))) == "Required"
    assert flags_in(text)[0] == first


def test_settings_are_turned_off_in_one_spelling(capsys):
    text = shown(capsys, "finetune", "--help_all")
    assert "--no_" not in text
    assert "--average_tokens_across_devices [true|false]" in text
    parsed = [
        CommandParser("evaluate", (EvaluateArguments,)).parse(["--model_name_or_path", "m", *flags])[0]
        for flags in ([], ["--check_gradient_masking", "false"], ["--no_check_gradient_masking"])
    ]
    assert [one.check_gradient_masking for one in parsed] == [True, False, False]


def test_texts_of_transformers_that_are_wrong_here_are_mended(capsys):
    text = " ".join(shown(capsys, "finetune", "--help_all").split())
    assert "Not directly used by Trainer" not in text
    assert "'random' (default)" not in text
    assert "Has no effect" in text.partition("--do_train")[2][:120]


@pytest.mark.parametrize(
    ("command", "usage"), [("study", "STUDY_FILE "), ("tasks", "[TASK] "), ("compare", "RUNS "), ("suites", "")]
)
def test_the_usage_has_the_word_that_may_stand_without_its_flag(capsys, command, usage):
    assert shown(capsys, command, "--help").startswith(f"usage: alum {command} {usage}[--config FILE.yaml]")


@pytest.mark.parametrize("command", ["demo", "evaluate", "plan", "augment"])
def test_only_what_trains_by_the_trainer_speaks_of_its_settings(capsys, command):
    assert "TrainingArguments" not in shown(capsys, command, "--help")
