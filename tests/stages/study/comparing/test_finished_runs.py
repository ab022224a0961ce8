import json

import pytest
from scipy import stats

from alum.cli.main import main
from tiny_stages import record


def trained(folder, seed, accuracy, method="standard", flops=100.0):
    """Folder of a finished fine-tuning, by its records alone."""
    folder.mkdir(parents=True)
    metrics = {"loss": 0.5, "accuracy": accuracy}
    results = {"task": "sst2", "method": method, "metrics": metrics, "train_flops": flops, "train_seconds": 2.0}
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "run.json").write_text(json.dumps({"command": "finetune", "config": {"seed": seed}}))
    return str(folder)


def evaluated(file, scores):
    """Results of an evaluation: accuracy by model, clean and under an attack."""
    place = {"suite": "sst2", "epsilon": None, "group": None}
    rows = [
        {**place, "model": model, "attack": attack, "metric": name, "value": value}
        for model, (clean, mistyped) in scores.items()
        for attack, name, value in ((None, "accuracy", clean), ("typing", "robust_accuracy", mistyped))
    ]
    suites = [{"name": "sst2", "main_metric": "accuracy"}]
    models = [{"name": name} for name in scores]
    file.write_text(json.dumps({"scores": rows, "suites": suites, "models": models}))
    return str(file)


def test_runs_of_one_name_are_seeds_and_paired_by_them(tmp_path, capsys):
    before, after = {1: 0.80, 2: 0.82, 3: 0.90}, {3: 0.93, 1: 0.84, 2: 0.85}
    words = [f"plain={trained(tmp_path / f'a{seed}', seed, value)}" for seed, value in before.items()]
    words += [f"mine={trained(tmp_path / f'b{seed}', seed, value, flops=250.0)}" for seed, value in after.items()]
    assert main(["compare", *words, "--output_dir", str(tmp_path / "out")]) == 0
    results = record(tmp_path / "out/results.json")
    (entry,) = results["comparisons"]
    assert (entry["arm"], entry["baseline"], entry["metric"], entry["num_seeds"]) == ("mine", "plain", "accuracy", 3)
    expected = stats.ttest_rel([after[seed] for seed in (1, 2, 3)], [before[seed] for seed in (1, 2, 3)])
    assert entry["p_value"] == pytest.approx(expected.pvalue)
    assert (entry["low"], entry["high"]) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert [cost["times_standard"] for cost in results["costs"]] == [1.0, 2.5]
    assert "mine is better than plain on 1 of 1 task" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "out/report.html").is_file()


def test_models_of_evaluations_are_arms(tmp_path, capsys):
    files = [
        evaluated(tmp_path / "0.json", {"standard": (0.8, 0.5), "alum": (0.82, 0.6)}),
        evaluated(tmp_path / "1.json", {"standard": (0.7, 0.4), "alum": (0.75, 0.55)}),
    ]
    assert main(["compare", *files, "--output_dir", str(tmp_path / "out")]) == 0
    found = {entry["attack"]: entry for entry in record(tmp_path / "out/results.json")["comparisons"]}
    assert found[None]["difference"] == pytest.approx(0.035)
    assert found["typing"]["difference"] == pytest.approx(0.125)
    assert found["typing"]["is_main"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("a=A1 b=B9", "no run has task, metric and seed in common with one of a"),
        ("a=A1 a=A2", "there is one name alone"),
        ("a=A1 a=A1 b=B1", "two runs of a have seed 1 on sst2"),
        ("a=A1 b=nowhere", "b=nowhere: expected a finished run's folder"),
        ("a=A1 b=text.json", "text.json is no results.json of alum finetune or alum evaluate"),
        ("a=A1 b=two.json", "two.json is of several models, x, y: give it without a name"),
        ("", "runs"),
    ],
)
def test_what_cannot_be_compared_is_named(tmp_path, monkeypatch, words, message, capsys):
    monkeypatch.chdir(tmp_path)
    for name, seed in (("A1", 1), ("A2", 2), ("B1", 1), ("B9", 9)):
        trained(tmp_path / name, seed, 0.5)
    (tmp_path / "text.json").write_text("[]")
    evaluated(tmp_path / "two.json", {"x": (0.1, 0.1), "y": (0.1, 0.1)})
    assert main(["compare", *words.split()]) == 2
    assert message in capsys.readouterr().err


def test_what_is_better_when_it_is_less_is_not_compared(tmp_path):
    words = []
    for name in ("plain", "mine"):
        folder = trained(tmp_path / name, 1, 0.8)
        results = record(f"{folder}/results.json")
        results["metrics"]["mse"] = 0.3
        (tmp_path / name / "results.json").write_text(json.dumps(results))
        words.append(f"{name}={folder}")
    assert main(["compare", *words, "--output_dir", str(tmp_path / "out")]) == 0
    assert {entry["metric"] for entry in record(tmp_path / "out/results.json")["comparisons"]} == {"accuracy"}
