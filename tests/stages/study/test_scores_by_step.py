import json

from alum.stages.study.cells.cell_run import scores_by_step


def test_scores_of_a_training_are_those_that_its_log_has(tmp_path):
    logs = [
        {"step": 5, "loss": 1.0},
        {"step": 10, "eval_accuracy": 0.5, "eval_loss": 0.7},
        {"step": 20, "eval_accuracy": 0.75, "eval_loss": 0.6},
        {"step": 20, "train_runtime": 3.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in logs))
    assert scores_by_step(tmp_path, "accuracy") == {10: 0.5, 20: 0.75}
    assert scores_by_step(tmp_path, "f1") == {}
    assert scores_by_step(tmp_path / "nothing", "accuracy") == {}
