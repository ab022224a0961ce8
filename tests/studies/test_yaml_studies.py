"""The project's own studies: their files, and small runs of them to their pages."""

import json
from pathlib import Path

import pytest
import yaml
from transformers import BertConfig, BertForMaskedLM

from alum.cli.main import main
from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.data.yaml_files import read_yaml
from alum.stages.study.reading.study_file import read_study
from places import DATA, ROOT
from studies import page
from studies.kept_cells import keep, restore

FILES = sorted((ROOT / "studies").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_is_read_and_has_a_head_and_a_target(file):
    study = read_study(file)
    assert len(study.arms) > 2
    assert "standard_plus" in study.arms
    assert len(study.seeds) >= 3
    head = page.head_of(file)
    assert head.startswith("# ")
    assert len(head.splitlines()) > 3
    assert f"\nstudy-{file.stem}:" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_a_file_without_a_head_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("seeds: 0\n")
    with pytest.raises(InputError, match="has no head"):
        page.head_of(tmp_path / "a.yaml")


def small(file, tasks):
    """Study with few rows, steps and seeds, of some of its tasks."""
    found = read_yaml(file)
    few = {
        "max_seq_length": 64,
        "max_train_samples": 16,
        "max_eval_samples": 8,
        "num_train_epochs": 1,
        "logging_steps": 1,
        "use_cpu": True,
    }
    found["base"] |= few
    of_task = {"max_seq_length": 64, "max_train_samples": 16}
    found["tasks"] = {name: {**found["tasks"][name], **of_task} for name in tasks or found["tasks"]}
    found["seeds"] = [0]
    shown = {"max_eval_samples": 12, "max_attacked_samples": 3, "num_steps": 1, "epsilons": [0.03]}
    attacks = {name: value for name, value in shown.items() if name == "max_eval_samples" or "evaluation" in found}
    found["evaluation"] = {**found.get("evaluation", {}), **attacks}
    if "pretraining" in found:
        found["pretraining"] |= {"max_steps": 6, "max_train_samples": 96, "max_eval_samples": 8, "logging_steps": 1}
        found["pretraining"] |= {"use_cpu": True}
        if "model_name_or_path" in found["pretraining"]:
            found["pretraining"]["head_warmup_steps"] = 2
    return found


def save_tiny(folder):
    """A masked language model with random weights that takes 64 tokens, in the place of MiniLM."""
    lines = (DATA / "corpora/brown.txt").read_text(encoding="utf-8").splitlines()[:500]
    tokenizer = train_wordpiece(lines, 500, 64)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "tasks"),
    [
        ("tasks", ["squad", "wnut_17"]),
        ("robustness", ["snli"]),
        ("text", ["sst2"]),
        ("pretraining", None),
        ("continual", ["imdb_original"]),
    ],
)
def test_its_page_comes_of_a_small_run(tmp_path, monkeypatch, name, tasks):
    if not DATA.is_dir():
        pytest.skip(f"needs {DATA}: set ALUM_DATA to the folder of the data")
    monkeypatch.setenv("ALUM_DATA", str(DATA))
    monkeypatch.setenv("MINILM", str(save_tiny(tmp_path / "tiny")))
    monkeypatch.setenv("ALUM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "misspellings.txt").write_text("the teh\nfilm filme\n")
    monkeypatch.setenv("MISSPELLINGS", str(tmp_path / "misspellings.txt"))
    file = ROOT / "studies" / f"{name}.yaml"
    study = small(file, tasks)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(study))
    folder = tmp_path / "run"
    assert main(["study", str(tmp_path / "small.yaml"), "--output_dir", str(folder)]) == 0
    results = json.loads((folder / "results.json").read_text())
    assert results["missing"] == []
    text = page.page(file, results)
    assert text.startswith("# ")
    for task in results["tasks"]:
        assert f"\n## {task}\n" in text
    for arm in results["arms"]:
        assert f"`{arm}`" in text
    for answer in results["answers"]:
        assert answer["sentence"] in text
    for suite in [suite for task in study["tasks"].values() for suite in task.get("suites", {})]:
        assert any(entry["task"].endswith(f"→ {suite}") for entry in results["scores"])
    assert str(tmp_path) not in text
    assert str(DATA) not in text + (folder / "results.json").read_text() + (folder / "report.html").read_text()
    assert Path(folder / "report.html").stat().st_size > 1000
    if name == "text":
        check_that_kept_cells_come_to_the_same(folder, tmp_path)


def check_that_kept_cells_come_to_the_same(folder, tmp_path):
    """Brought back elsewhere, without texts, they are gone on with: nothing is trained, and the page is the same."""
    kept, elsewhere = tmp_path / "kept", tmp_path / "elsewhere"
    number = len(list((folder / "cells").iterdir()))
    assert keep(folder, kept) == number
    assert keep(folder, kept) == 0
    assert restore(kept, tmp_path / "small.yaml", elsewhere) == number
    files = {path.name for path in elsewhere.rglob("*") if path.is_file()}
    assert not any(name.endswith((".safetensors", ".csv")) for name in files)
    texts = [json.loads(line)["sentence"] for line in next(folder.glob("data/*/test/test.jsonl")).open()]
    assert not any(json.dumps(text)[1:-1] in path.read_text() for text in texts for path in kept.iterdir())
    assert main(["study", str(tmp_path / "small.yaml"), "--output_dir", str(elsewhere)]) == 0
    first, second = (json.loads((place / "results.json").read_text()) for place in (folder, elsewhere))
    for part in ("scores", "comparisons"):
        assert second[part] == [rounded(entry) for entry in first[part]]


def rounded(entry):
    """An entry whose numbers are as near as fp32 holds them."""

    def near(value):
        if isinstance(value, dict):
            return {name: near(one) for name, one in value.items()}
        return pytest.approx(value, rel=1e-5, abs=1e-6) if isinstance(value, float) else value

    return near(entry)
