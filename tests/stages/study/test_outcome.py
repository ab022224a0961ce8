"""What is made of finished cells that are written by hand: clusters of attacked rows, notes, other tokens."""

import numpy as np
import pytest

from alum.evaluation.scores.seeds import difference_over_seeds, level_over_seeds, loss_metric, mean_metric
from alum.stages.study.cells.ledger import Ledger
from alum.stages.study.inputs import StudyInputs
from alum.stages.study.kept_rows import keep_rows
from alum.stages.study.measured import measured_task
from alum.stages.study.outcome import outcome_of
from alum.stages.study.planning import StudyPlan
from alum.stages.study.reading.study_file import study_in
from tiny_texts import write_rows

PRETRAINING = {"train_file": "a.txt", "test_file": "news.txt", "max_steps": 2}


@pytest.fixture
def pretrained(tmp_path):
    """Makes a plan of pre-training alone, whose cells lose what a rule of arm, seed and row says."""

    def pretrained(losses, tokens=lambda arm: "same", versions=("1.0", "1.0")):
        study = study_in({"pretraining": PRETRAINING, "arms": {"alum": {}, "pgd": {}}, "seeds": "0:2"})
        inputs = StudyInputs(tmp_path, {}, {}, {}, {"train": "x", "validation": "y"}, {"news": "n"})
        plan = StudyPlan(study, inputs, Ledger(tmp_path))
        for cell in plan.missing():
            folder = plan.ledger.place(cell.key) / "measured"
            folder.mkdir(parents=True)
            rows = [
                {"row": row, "loss": 4 * losses(cell.arm, cell.seed, row), "num_tokens": 4, "document": row // 2}
                for row in range(20)
            ]
            write_rows(folder / "news.jsonl", rows)
            plan.ledger.add(
                cell.key,
                {
                    "metrics": {"validation": {"loss": 1.0}},
                    "train_flops": 1.0,
                    "train_seconds": 1.0,
                    "held_out_tokens": {"news": tokens(cell.arm)},
                    "environment": {"alum": versions[cell.seed]},
                    "has_model": False,
                },
            )
        return outcome_of(plan)

    return pretrained


def noise(*numbers):
    return np.random.default_rng([ord(n) if isinstance(n, str) else n for n in numbers]).normal()


def test_less_loss_is_better(pretrained):
    shift = {"standard": 0.0, "alum": -0.5, "pgd": 0.5}
    results = pretrained(lambda arm, seed, row: 3 + noise(row) + 0.01 * noise(arm[0], seed, row) + shift[arm])
    found = {entry["arm"]: entry for entry in results["comparisons"]}
    assert (found["alum"]["verdict"], found["pgd"]["verdict"]) == ("better", "worse")
    assert found["alum"]["difference"] == pytest.approx(-0.5, abs=0.02)
    assert results["notes"] == []
    assert any("alum is better than standard on 1 of 1 task" in answer["sentence"] for answer in results["answers"])


def test_a_difference_that_no_page_shows_is_undecided(pretrained):
    shift = {"standard": 0.0, "alum": -0.0003, "pgd": -0.003}
    results = pretrained(lambda arm, seed, row: 3 + noise(row) + shift[arm] + 1e-6 * noise(arm[0], seed, row))
    found = {entry["arm"]: entry for entry in results["comparisons"]}
    assert found["alum"]["p_adjusted"] < 0.05
    assert (found["alum"]["verdict"], found["pgd"]["verdict"]) == ("undecided", "better")


def test_arms_with_other_tokens_are_told_and_not_compared(pretrained):
    results = pretrained(lambda arm, seed, row: 3 + noise(arm[0], row), tokens=lambda arm: str(arm == "pgd"))
    assert {entry["arm"] for entry in results["comparisons"]} == {"alum"}
    assert {score["arm"] for score in results["scores"]} == {"standard", "alum", "pgd"}
    (note,) = results["notes"]
    assert "pgd was measured on other tokens of news than standard" in note


def test_cells_of_different_versions_are_told(pretrained):
    results = pretrained(lambda arm, seed, row: 3 + noise(arm[0], row), versions=("1.0", "1.1"))
    (note,) = results["notes"]
    assert "different versions of alum: 3 by 1.0, 3 by 1.1" in note


def test_intervals_of_losses_are_of_documents(pretrained):
    """Rows come in documents of two, which are alike: the interval is that of half as many rows."""
    results = pretrained(lambda arm, seed, row: 3 + noise(row // 2) + (arm == "alum"))
    (score,) = [one for one in results["scores"] if one["arm"] == "alum"]
    losses = [4 + noise(document) for document in range(10)]
    alone = level_over_seeds([loss_metric(losses, [1] * 10)] * 2)
    assert (score["low"], score["high"]) == pytest.approx(alone.interval(), rel=1e-6)
    assert score["num_rows"] == 20


def test_losses_are_of_any_size_and_never_agree_by_chance():
    """Rates that agree on 10 rows are not certain to; losses are what they are, and a mean's error that of the rows."""
    same = [mean_metric([1.0] * 10)] * 2
    assert difference_over_seeds(same, same).row_variance > 0
    losses = [loss_metric(np.arange(10.0), [1] * 10)] * 2
    assert difference_over_seeds(losses, losses).row_variance == 0
    expected = np.arange(10.0).var() / 10
    assert level_over_seeds(losses).row_variance == pytest.approx(expected, rel=0.1)


def test_attacked_rows_keep_their_clusters(tmp_path):
    """A part of the rows, as of an attack, shares premises as the whole does."""
    rows = [{"premise": str(n // 2), "hypothesis": str(n), "label": n % 3} for n in range(8)]
    for split in ("train", "validation", "test"):
        write_rows(tmp_path / f"{split}.jsonl", rows)
    task = {"task": "snli", "data_dir": str(tmp_path)}
    study = study_in({"base": {"model_name_or_path": "m"}, "tasks": {"nli": task}, "arms": {"alum": {}}, "seeds": "0"})
    digests, metric = keep_rows("nli", task, tmp_path / "data")
    plan = StudyPlan(study, StudyInputs(tmp_path, {"nli": digests}, {"m": "d"}, {"nli": metric}), Ledger(tmp_path))
    cells = plan.cells()
    for cell in cells.values():
        folder = plan.ledger.place(cell.key) / "measured/rows/model/snli"
        folder.mkdir(parents=True)
        for name, count in (("clean", 8), ("pgd-0.1", 3)):
            write_rows(folder / f"{name}.jsonl", [{"row": n + 1, "scores": {"accuracy": 1.0}} for n in range(count)])
        conditions = [
            {"suite": "snli", "attack": attack, "epsilon": epsilon, "row_metrics": ["accuracy"], "set_metrics": []}
            for attack, epsilon in ((None, None), ("pgd", 0.1))
        ]
        plan.ledger.add(cell.key, {"conditions": conditions, "label_names": []})
    found = measured_task(plan, "nli", cells)
    by_attack = {measure.attack: clusters for measure, clusters in found.clusters.items()}
    assert by_attack == {None: list("00112233"), "pgd": list("001")}
