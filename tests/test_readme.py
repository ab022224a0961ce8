"""Commands and snippets of the README and of the page on ways in run as they stand there, on little data."""

import json
import random
import re
import shlex
from pathlib import Path

import pytest
import torch

from alum.cli.main import main
from alum.core.measures.pass_counts import pass_counts
from alum.core.methods import METHODS
from places import ROOT
from studies.evidence.reading.figures import TASK_FIGURES
from studies.evidence.reading.findings import findings_of
from tiny_models import classifier

README = (ROOT / "README.md").read_text(encoding="utf-8")
WAYS = (ROOT / "docs" / "start" / "ways.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results" / "index.md").read_text(encoding="utf-8")
WORDS = ["the", "film", "play", "good", "bad", "dull", "bright", "story", "actor", "ends", "never", "quite", "night"]
STEPS = ["--max_steps", "2", "--per_device_train_batch_size", "4", "--use_cpu"]
LITTLE = {
    "pretrain": STEPS,
    "finetune": STEPS,
    "radius": ["--max_eval_samples", "4"],
    "evaluate": ["--max_attacked_samples", "4"],
}


def commands() -> list[list[str]]:
    blocks = re.findall(r"(?:^    .*\n)+", WAYS, flags=re.MULTILINE)
    joined = "".join(blocks).replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if line.strip().startswith("alum ")]


def write_data(folder: Path) -> None:
    rng = random.Random(0)

    def sentence() -> str:
        return " ".join(rng.choices(WORDS, k=12))

    documents = [sentence() + ". " + sentence() for _ in range(400)]
    (folder / "corpus.txt").write_text("\n\n".join(documents))
    (folder / "domain.jsonl").write_text("\n".join(json.dumps({"text": document}) for document in documents))
    (folder / "sst2").mkdir()
    for split in ("train", "validation"):
        rows = [{"sentence": sentence(), "label": i % 2} for i in range(24)]
        (folder / "sst2" / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for name in ("mine.csv", "dev.csv"):
        lines = [f"{sentence()},{'yes' if i % 2 else 'no'}" for i in range(16)]
        (folder / name).write_text("\n".join(["text,label", *lines]))


def test_the_commands_run_in_their_order(tmp_path, monkeypatch, capsys):
    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = commands()
    names = [
        "pretrain",
        "pretrain",
        "finetune",
        "tasks",
        "finetune",
        "methods",
        "radius",
        "suites",
        "evaluate",
        "attack",
    ]
    assert [command[1] for command in found] == names
    for _, *words in found:
        is_named = {"--task", "--suites"} & set(words) and "sst2/validation.jsonl" not in words
        local = ["--data_dir", "sst2"] if is_named else []
        assert main([*words, *local, *LITTLE.get(words[0], [])]) == 0, capsys.readouterr().err


def test_the_trainer_snippet_changes_three_lines(tmp_path):
    snippet = next(block for block in re.findall(r"```python\n(.*?)```", WAYS, flags=re.DOTALL) if "Trainer(" in block)
    rows = [{"input_ids": [2, 7 + i, 3], "attention_mask": [1, 1, 1], "labels": i % 2} for i in range(8)]
    names = {"model": classifier("bert", num_labels=2), "data": rows}
    code = snippet.replace('output_dir="out"', f'output_dir="{tmp_path}", max_steps=2, use_cpu=True, report_to="none"')
    exec(code.replace(", ...)", ")"), names)
    names["trainer"].train()
    assert names["trainer"].state.global_step == 2


def test_the_loop_snippet_fills_the_gradients():
    snippet = next(block for block in re.findall(r"```python\n(.*?)```", WAYS, flags=re.DOTALL) if "AlumStep(" in block)
    model = classifier("bert", num_labels=2)
    before = model.classifier.weight.detach().clone()
    batch = {"input_ids": torch.tensor([[2, 8, 3], [2, 9, 3]]), "labels": torch.tensor([0, 1])}
    names = {"model": model, "batch": batch, "optimizer": torch.optim.SGD(model.parameters(), lr=1.0)}
    exec(snippet, names)
    assert names["result"].loss.isfinite()
    assert not torch.equal(model.classifier.weight, before)


def test_the_readme_s_lines_train_as_they_stand_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (snippet,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    torch.manual_seed(0)
    names = {}
    last = "AlumTrainer(model=model, args=args, train_dataset=rows)"
    assert f"\n{last}.train()" in snippet
    exec(snippet.replace(f"{last}.train()", f"trainer = {last}\ntrainer.train()"), names)
    logs = [entry for entry in names["trainer"].state.log_history if "loss" in entry]
    assert [entry["step"] for entry in logs] == [1, 32, 64, 96]
    assert all(entry["adversarial_gain"] > 5 for entry in logs)
    assert len([line for line in snippet.splitlines() if line]) <= 10


def test_the_readme_is_read_in_two_minutes():
    assert len(README.splitlines()) <= 120


def test_what_it_points_to_exists():
    paths = re.findall(r"\]\(((?!http)[^)#]+)\)", README) + re.findall(r"`((?:src|examples|docs)/[\w./]*)`", README)
    paths += re.findall(r"(?:src|srcset)=\"((?!http)[^\"]+)\"", README)
    assert len(paths) >= 20
    for path in paths:
        assert (ROOT / path).exists(), path


def test_what_it_says_of_the_evidence_is_in_its_tables():
    (study,) = (each for each in findings_of(ROOT / "docs" / "results" / "evidence.jsonl") if each.study == "snli:full")
    of = {
        arm: {figure.name: figure.mean(list(study.arms[arm].values())) for figure in TASK_FIGURES} for arm in study.arms
    }
    virtual, standard = of["virtual"], of["standard, at the cost of virtual"]
    shown = " ".join(README.split())
    for figure, said in (
        ("PGD, ε 0.03", r"([\d.]+) % instead of ([\d.]+) % under PGD"),
        ("NLL", r"([\d.]+) instead of ([\d.]+) nats"),
    ):
        ((ours, theirs),) = re.findall(said, shown)
        scale = 100 if "%" in said else 1
        assert float(ours) == pytest.approx(scale * float(virtual[figure]), abs=scale * 0.00051)
        assert float(theirs) == pytest.approx(scale * float(standard[figure]), abs=scale * 0.00051)
    ((noise,),) = [re.findall(r"noise of the same divergence has ([\d.]+) %", shown)]
    assert float(noise) == pytest.approx(100 * float(of["noise of its divergence"]["PGD, ε 0.03"]), abs=0.051)


def test_the_cost_table_is_what_was_measured():
    record = json.loads((ROOT / "docs" / "benchmarks" / "cost.json").read_text(encoding="utf-8"))["finetuning"]
    (measured,) = (task["rows"] for task in record["tasks"] if task["task"] == "glue_sst2")
    by_name = {row["contender"]: row for row in measured}
    floor = by_name["Hugging Face"]
    table = RESULTS.partition("| step of fine-tuning MiniLM-L6 on SST-2 |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert len(rows) >= 5
    for name, seconds, peak_bytes, *strength in rows:
        row = by_name[name]
        assert float(seconds) == pytest.approx(row["median_of_ratios"], abs=0.0051)
        assert float(peak_bytes) == pytest.approx(row["peak_bytes"] / floor["peak_bytes"], abs=0.0051)
        for cell, figure in zip(strength, ("gain", "divergence"), strict=True):
            assert (cell == "–") == (row[figure] is None)
            if row[figure] is not None:
                assert float(cell.replace(",", "")) == pytest.approx(row[figure], rel=0.06)
    assert f"Medians of {record['date']}" in " ".join(RESULTS.split())


def test_the_share_of_a_pretraining_step_is_what_was_measured():
    record = json.loads((ROOT / "docs" / "benchmarks" / "pretraining.json").read_text(encoding="utf-8"))
    (rows,) = (size["rows"] for size in record["sizes"] if size["size"] == "4x256")
    own, floor = ({row["contender"]: row for row in rows}[name] for name in ("alum_one_pass", "Hugging Face"))
    ((time, flops),) = re.findall(r"one-pass ALUM takes\s+([\d.]+) of the time, and ([\d.]+) of the FLOPs", RESULTS)
    assert float(time) == pytest.approx(own["seconds"] / floor["seconds"], abs=0.0051)
    assert float(flops) == pytest.approx(own["flops"] / floor["flops"], abs=0.0051)


@pytest.mark.parametrize("page", ["README.md", "docs/concepts/methods.md"])
def test_the_table_of_methods_is_that_of_the_code(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", text, flags=re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(METHODS)
    for name, cost in rows:
        assert float(cost) == pytest.approx(pass_counts(METHODS[name]).in_standard_steps, abs=0.0051)
