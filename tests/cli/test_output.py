"""What ``--json`` and ``--quiet`` leave on standard output and standard error."""

import dataclasses
import io
import json
import logging
import re
import sys
import warnings

import pytest

import alum
from alum.cli.main import main
from alum.cli.output import JsonSettings, QuietSettings, print_json, print_last, work_shown
from alum.core.measures.pass_counts import pass_counts
from alum.core.methods import METHODS
from alum.evaluation.suites import SUITES
from alum.reports.study.record import StudyRecord
from alum.stages.finetuning.result import FinetuneResult
from alum.stages.pretraining.run import PretrainResult
from alum.stages.study import run as study
from alum.stages.study.run import StudyResult
from alum.tasks.named import TASKS
from places import ROOT
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows

PLAN = "plan --architecture bert-tiny --methods standard alum"


@pytest.fixture
def here(tmp_path, monkeypatch):
    save_untrained(tmp_path / "model")
    write_rows(tmp_path / "rows.jsonl", opinions(8))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def document(capsys, line):
    capsys.readouterr()
    assert main(line.split()) == 0
    return json.loads(capsys.readouterr().out)


def fields_of(command):
    """Names of fields that the page on JSON has in the first column of a command's table."""
    page = (ROOT / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
    return fields_in(page.partition(f"\n## `alum {command} --json`\n")[2].partition("\n## ")[0])


def fields_in(part):
    assert part
    cells = re.findall(r"^\| ((?:`\w[\w-]*`(?:, )?)+) \|", part, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([\w-]+)`", cell)}


def test_tasks_are_a_document_and_each_field_is_documented(capsys):
    found = document(capsys, "tasks --json")
    assert [one["name"] for one in found] == list(TASKS)
    assert found[list(TASKS).index("mnli")]["splits"]["validation"] == "validation_matched"
    assert all(one.keys() == fields_of("tasks") for one in found)
    assert document(capsys, "tasks sst2 --json") == [one for one in found if one["name"] == "sst2"]


def test_no_library_says_a_line_twice(capsys):
    """By a handler of its own, and by the root's."""
    document(capsys, f"{PLAN} --json")
    loggers = {name: logging.getLogger(name) for name in ("transformers", "datasets", "huggingface_hub", "accelerate")}
    assert not [name for name, logger in loggers.items() if logger.handlers and logger.propagate]


@pytest.mark.parametrize(("command", "result"), [("finetune", FinetuneResult), ("pretrain", PretrainResult)])
def test_each_field_of_a_trainings_results_is_documented(command, result):
    page = (ROOT / "docs" / "reference" / "json.md").read_text(encoding="utf-8")
    part = page.partition(f"\n### `results.json` of `alum {command}`\n")[2]
    found = fields_in(re.split("\n##", part)[0]) - {"masked_lm", "causal_lm"}
    gain = {"step", "gain", "divergence", "strength"}
    assert found - gain == {field.name for field in dataclasses.fields(result)}


def test_suites_are_a_document_and_each_field_is_documented(capsys):
    found = document(capsys, "suites --json")
    assert [(one["name"], one["split"], one["licence"]) for one in found] == [
        (suite.name, suite.split, suite.source.licence) for suite in SUITES.values()
    ]
    assert all(one.keys() == fields_of("suites") for one in found)


def test_methods_are_a_document_and_each_field_is_documented(capsys):
    found = document(capsys, "methods --json")
    assert [one["name"] for one in found] == list(METHODS)
    assert all(one.keys() == fields_of("methods") for one in found)
    for one, method in zip(found, METHODS.values(), strict=True):
        assert one["cost_in_standard_steps"] == pytest.approx(pass_counts(method).in_standard_steps)
        without_effect = {name for name, value in one["settings"].items() if value is None}
        assert {f"adv_{name}" for name in method.idle_settings()} & one["settings"].keys() <= without_effect


def test_the_environment_is_a_document_and_each_field_is_documented(capsys, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("ALUM_DATA", "/home/somebody/data")
    found = document(capsys, "env --json")
    assert found["alum"] == alum.__version__
    assert (found["HF_TOKEN"], found["ALUM_DATA"]) == ("set", "set")
    assert found.keys() == fields_of("env")


def test_a_plan_is_a_document_and_each_field_is_documented(capsys, here):
    found = document(capsys, f"{PLAN} --json --output_file plan.json")
    assert [one["method"] for one in found["methods"]] == ["standard", "alum"]
    assert found.keys() | found["methods"][0].keys() == fields_of("plan")
    kept = json.loads((here / "plan.json").read_text())
    assert {**kept, "settings": None} == {**found, "settings": None}


def test_a_radius_is_a_document_and_each_field_is_documented(capsys, here):
    train = (
        "finetune --model_name_or_path model --train_file rows.jsonl --validation_file rows.jsonl --text_columns text "
        "--label_column label --max_steps 1 --save_strategy no --use_cpu --output_dir tuned --quiet"
    )
    assert main(train.split()) == 0
    assert capsys.readouterr() == (
        "Open tuned/README.md to read about the model; it, tokenizer and records are beside it.\n",
        "",
    )
    line = "radius --model_name_or_path tuned --train_file rows.jsonl --text_columns text --label_column label"
    found = document(capsys, f"{line} --epsilons 0.1 0.3 --json")
    assert [one["epsilon"] for one in found["effects"]["alum"]] == [0.1, 0.3]
    assert found.keys() == fields_of("radius")


def test_a_study_is_a_document_and_each_field_is_documented(capsys, monkeypatch):
    results = {name: [] for name in StudyRecord.__annotations__}

    def worked(arguments):
        print(f"worked on {arguments.study_file}")
        return StudyResult(results, arguments.output_dir)

    monkeypatch.setattr(study, "study", worked)
    assert main(["study", "arms.yaml", "--output_dir", "out", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == results
    assert results.keys() == fields_of("study")
    assert shown.err.startswith("worked on arms.yaml\nTo look at it open out/report.html")


def test_progress_goes_beside_the_document(capsys):
    with work_shown(JsonSettings(json=True)):
        print("working")
    print_last("files are in out", JsonSettings(json=True))
    assert capsys.readouterr() == ("", "working\nfiles are in out\n")


def test_quiet_drops_all_but_warnings(capsys, monkeypatch):
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    monkeypatch.setattr(logging.getLogger("py.warnings"), "handlers", [handler])
    with work_shown(QuietSettings(quiet=True)):
        print("working")
        print("a bar", file=sys.stderr)
        assert not sys.stderr.isatty()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("mind this", stacklevel=1)
    print_last("files are in out")
    assert capsys.readouterr() == ("files are in out\n", "")
    assert "mind this" in said.getvalue()


def test_without_either_all_is_printed(capsys):
    with work_shown(JsonSettings(), QuietSettings()):
        print("working")
        print("a bar", file=sys.stderr)
    assert capsys.readouterr() == ("working\n", "a bar\n")


def test_errors_are_printed_in_quiet_too(capsys, here):
    flags = ["--data_file", "no.jsonl", "--output_file", "b.jsonl", "--text_columns", "text"]
    assert main(["augment", "--quiet", *flags]) == 2
    assert re.match("alum: error: .*no.jsonl", capsys.readouterr().err)


def test_numbers_that_would_be_nowhere_are_refused(capsys):
    assert main(["triggers", "--quiet", "--model_name_or_path", "m", "--validation_file", "rows.jsonl"]) == 2
    assert "give output_dir" in capsys.readouterr().err


def test_numbers_that_json_has_not_are_null(capsys):
    print_json({"divergence": float("inf"), "effects": [{"loss": float("nan"), "rows": 3}]})
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "divergence": None,
        "effects": [{"loss": None, "rows": 3}],
    }


def test_what_a_terminal_might_obey_is_escaped(capsys):
    from alum.cli.output import print_json

    print_json({"name": "\u202ea\x1b[31m", "value": 0.5})
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert "\x1b" not in shown
    assert json.loads(shown)["name"] == "\u202ea\x1b[31m"
