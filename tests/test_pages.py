"""Guides and the reference of Python do what they show: commands and snippets run as they stand, on their rows."""

import csv
import json
import re
import shlex
import sys
import types
from dataclasses import fields

import pytest
from transformers import BertConfig, BertForMaskedLM

from adversary_settings import PAGE, written
from alum.data.pretraining.tokenizer import train_byte_level_bpe, train_wordpiece
from alum.stages.study.reading.study_file import read_study
from alum.training.settings import AdversarySettings
from command_reference import parser_of
from documented import FILES, ROOT, all_commands, commands, page, run, snippets, write_files
from tiny_models import language_model

PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if all_commands(path.read_text(encoding="utf-8"))
)
API = sorted(path.stem for path in (ROOT / "docs" / "reference" / "api").glob("*.md"))
NOT_RUN = {"alum.study(", 'FinetuneArguments("continued"'}  # need files and minutes, and are run by tests of their own


def save_models(text: str, folder) -> None:
    """The models that pages name: an encoder and a decoder without training, who know the words of the page's rows."""
    texts = [line for _, body in FILES.findall(text) for line in body.splitlines()]
    tokenizer = train_wordpiece(texts * 3, 300, 64)
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **size)).save_pretrained(
        folder / "pretrained"
    )
    tokenizer.save_pretrained(folder / "pretrained")
    tokenizer = train_byte_level_bpe(texts * 3, 400, 64, "causal_lm")
    language_model("gpt2", vocab_size=len(tokenizer)).save_pretrained(folder / "decoder")
    tokenizer.save_pretrained(folder / "decoder")


@pytest.fixture
def shown(request, tmp_path, monkeypatch):
    """A page's text, in a folder that holds the files and models that it names."""
    text = page(request.param)
    write_files(text, tmp_path)
    save_models(text, tmp_path)
    monkeypatch.chdir(tmp_path)
    return text


@pytest.mark.parametrize("shown", ["guides/finetuning.md"], indirect=True)
def test_every_kind_of_task_trains_by_its_command(shown, tmp_path, capsys):
    rows = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    (tmp_path / "sst2").mkdir()
    for split in ("train", "validation"):
        renamed = [{"sentence": row["text"], "label": int(row["opinion"] == "positive")} for row in rows]
        (tmp_path / "sst2" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, renamed)))
    found = commands(shown)
    assert len(found) == 7
    for command in found:
        assert run(command) == 0, capsys.readouterr().err
        folder = tmp_path / command[command.index("--output_dir") + 1]
        assert json.loads((folder / "results.json").read_text())["method"] == "alum_virtual"


@pytest.mark.parametrize("shown", ["guides/decoders.md"], indirect=True)
def test_a_decoder_is_tuned_and_measured_as_a_classifier(shown, capsys):
    found = commands(shown)
    assert [command[0] for command in found] == ["finetune", "evaluate"]
    for command in found:
        assert run(command) == 0, capsys.readouterr().err
    assert re.search(r"pgd: \d+ rows", capsys.readouterr().err)


@pytest.mark.parametrize("shown", ["start/own-data.md"], indirect=True)
def test_a_table_of_one_s_own_comes_to_a_report(shown, tmp_path, capsys):
    found = commands(shown)
    assert [command[0] for command in found] == ["finetune", "finetune", "radius", "evaluate"]
    for command in found:
        assert run(command) == 0, capsys.readouterr().err
    assert (tmp_path / "measured" / "report.html").is_file()
    (snippet,) = snippets(shown)
    exec(snippet, {})
    assert re.search(r"'label': '(positive|negative)'", capsys.readouterr().out)
    study = read_study(tmp_path / "study.yaml")
    assert (list(study.tasks), study.seeds) == (["reviews"], (0, 1, 2, 3, 4))


@pytest.mark.parametrize("shown", ["guides/strength.md"], indirect=True)
def test_a_radius_is_shown_and_follows_a_divergence(shown, tmp_path, capsys):
    rows = page("start/own-data.md").replace(".csv`", ".jsonl`")
    header, *lines = csv.reader(FILES.search(rows)[2].splitlines())
    for name in ("train.jsonl", "dev.jsonl"):
        (tmp_path / name).write_text("\n".join(json.dumps(dict(zip(header, line, strict=True))) for line in lines * 6))
    save_models(rows, tmp_path)
    radius, tuning = commands(shown)
    assert run(tuning) == 0, capsys.readouterr().err
    (tmp_path / "tuned-to-target").rename(tmp_path / "tuned")
    assert run(radius) == 0, capsys.readouterr().err
    assert {path.name for path in (tmp_path / "radius").iterdir()} >= {"radius.json", "radius.png"}
    (snippet,) = snippets(page("guides/tracking.md"))
    exec(snippet, {})
    assert re.search(r"'label': '(positive|negative)'", capsys.readouterr().out)


@pytest.mark.parametrize("path", PAGES)
def test_every_command_that_a_page_shows_is_read(path):
    for name, *words in all_commands((ROOT / path).read_text(encoding="utf-8")):
        if words[:1] == ["merge"]:  # of studies, which has no flags
            continue
        parser_of(name).parse(words)


def test_the_commands_of_the_first_model_are_read():
    """Their model and rows are of the hub: that flags and values are right is all that can be told without it."""
    parsers = {name: parser_of(name) for name in ("finetune", "evaluate", "attack")}
    found = commands(page("start/first-model.md"))
    assert [command[0] for command in found] == ["finetune", "finetune", "evaluate", "attack"]
    for name, *words in found:
        parsers[name].parse(words)


WRONG = (
    "finetune {rows} --output_dir done",
    "finetune {rows} --output_dir done",
    "finetune {rows} --output_dir done --learning_rate 0.1 --resume_from_checkpoint auto",
    "finetune {rows} --output_dir new --text_columns sentence",
    "finetune {rows} --output_dir new --report_to wandb",
    "finetune {rows} --output_dir new --adv_method standard --adv_epsilon 0.1",
    "finetune {rows} --output_dir new --adv_num_steps 3",
    "finetune {rows} --output_dir new --adv_layer 9",
    "finetune {rows} --output_dir new --adv_layer 1 --activation_checkpointing",
    "finetune {rows} --output_dir new --adv_method smart --torch_compile",
    "finetune --train_file ids.jsonl --validation_file ids.jsonl --text_columns text --label_column label "
    "--model_name_or_path pretrained --output_dir new",
    "finetune --train_file train.jsonl --text_columns text --label_column opinion --model_name_or_path pretrained "
    "--output_dir new",
    "finetune --task sst2 --model_name_or_path pretrained --output_dir new",
    "evaluate --model_name_or_path pretrained --suites mine=dev.jsonl --text_columns text --label_column opinion",
    "evaluate --model_name_or_path done --suites mine=stars.jsonl --text_columns text --label_column stars",
    "evaluate --model_name_or_path done --suites mine=dev.jsonl --text_columns text --label_column opinion "
    "--attacks masked_lm",
    "attack --model_name_or_path done --text Bright --label happy",
)
ROWS = (
    "--train_file train.jsonl --validation_file dev.jsonl --text_columns text --label_column opinion "
    "--model_name_or_path pretrained"
)


@pytest.mark.parametrize("shown", ["guides/finetuning.md"], indirect=True)
def test_messages_of_the_page_on_troubles_are_those_that_are_printed(shown, tmp_path, capsys, caplog):
    ids = [json.dumps({"text": f"film {number}", "label": 10000 + 37 * number}) for number in range(12)]
    (tmp_path / "ids.jsonl").write_text("\n".join(ids))
    messages = re.findall(r"^```text\n(.*?)\n```$", page("guides/troubleshooting.md"), re.MULTILINE)
    patterns = {message: re.compile(".*".join(map(re.escape, message.split("…")))) for message in messages}
    printed = []
    for command in WRONG:
        code = run(shlex.split(command.format(rows=ROWS)))
        printed.append(" ".join((capsys.readouterr().err + caplog.text).split()))
        caplog.clear()
        assert code == (0 if len(printed) == 1 else 2), printed[-1]
    for line, command in zip(printed, WRONG, strict=True):
        assert any(pattern.search(line) for pattern in patterns.values()), (command, line)
    never = {message for message, pattern in patterns.items() if not any(map(pattern.search, printed))}
    assert len(never) == 1  # the warning of methods that were published so needs more steps
    assert "Use adv_method 'alum' or 'alum_one_pass'" in never.pop()


@pytest.mark.parametrize(
    ("name", "library", "trainers"), [("trl", "trl", 3), ("sentence-transformers", "sentence_transformers", 3)]
)
def test_a_recipe_for_another_library_trains_with_an_adversary(name, library, trainers, tmp_path, monkeypatch):
    pytest.importorskip(library, reason=f"needs the extra {name}")
    text = page(f"guides/{name}.md")
    words = "\n".join(re.findall(r'"([a-z ]+)"', text))
    save_models(f"`words.jsonl`:\n\n```json\n{words}\n```", tmp_path)
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("recipe")
    monkeypatch.setitem(
        sys.modules, "recipe", module
    )  # settings are pickled with checkpoints, by the name of their class
    names = vars(module)
    trained = []
    for code in snippets(text):
        exec(compile(code, name, "exec"), names)
        if "trainer.train()" in code:
            trained.append([entry for entry in names["trainer"].state.log_history if "loss" in entry])
    assert len(trained) == trainers
    assert all(entry["adversarial_gain"] > 1.2 for logs in trained for entry in logs)


def test_the_table_of_settings_is_that_of_the_code():
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"\n| `{field.name}` | " in text for field in fields(AdversarySettings))
    assert text == written(text), "run python tools/adversary_settings.py"


def test_pages_and_records_name_no_place_of_one_machine():
    files = [path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".json", ".jsonl", ".ipynb")]
    of_machine = re.compile(r"/(?:tmp|root|work|home|Users)/\w")
    found = [path.name for path in files if of_machine.search(path.read_text(encoding="utf-8"))]
    assert len(files) > 50
    assert not found


@pytest.mark.parametrize("name", API)
def test_a_page_of_the_python_reference_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = [code for code in snippets(page(f"reference/api/{name}.md")) if not any(part in code for part in NOT_RUN)]
    assert found or name in ("index", "study")
    names = {"__name__": "snippet"}
    for code in found:
        exec(compile(code, name, "exec"), names)
