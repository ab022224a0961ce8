"""Best checkpoints in fine-tuning: by which metric, and what is refused before training."""

import pytest

from alum.core.errors import InputError
from alum.stages.finetuning.run import finetune
from tiny_stages import finetune_arguments, finetune_config, log_lines, save_untrained
from tiny_texts import opinions, write_rows

EACH_STEP = {"eval_strategy": "steps", "eval_steps": 1, "max_steps": 3}


@pytest.fixture
def run(tmp_path):
    """Fine-tunes a model with random weights, on numbers if asked."""

    def run(are_numbers=False, **settings):
        rows = opinions(16)
        if are_numbers:
            rows = [{**row, "label": i / 8} for i, row in enumerate(rows)]
        for split in ("train", "validation"):
            write_rows(tmp_path / f"{split}.jsonl", rows)
        model = save_untrained(tmp_path / "model")
        config = finetune_config(tmp_path / "run", **{"save_strategy": "no", **settings})
        return finetune(finetune_arguments(model, tmp_path), config), config

    return run


@pytest.mark.parametrize(
    "is_chosen_by", [{}, {"load_best_model_at_end": True, "save_strategy": "steps", "save_steps": 1}]
)
def test_a_metric_that_there_will_not_be_is_refused_before_training(is_chosen_by, run, tmp_path):
    expected = "unknown metric_for_best_model 'acc': expected one of loss, accuracy, f1_macro"
    with pytest.raises(InputError, match=expected):
        run(metric_for_best_model="acc", **EACH_STEP, **is_chosen_by)
    assert not (tmp_path / "run").exists()


def test_the_best_checkpoint_is_saved_by_the_main_metric(run, tmp_path):
    _, config = run(save_strategy="best", **EACH_STEP)
    assert (config.metric_for_best_model, config.greater_is_better) == ("accuracy", True)
    scores = [
        line["eval_accuracy"] for line in log_lines(tmp_path / "run" / "metrics.jsonl") if "eval_accuracy" in line
    ]
    best = next(step for step, score in enumerate(scores, start=1) if score == max(scores))
    assert (tmp_path / "run" / f"checkpoint-{best}").is_dir()


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(
    ("metric", "expected"), [("mse", False), ("eval_mse", False), ("pearson", True), ("loss", False)]
)
def test_lower_errors_are_better(metric, expected, run):
    _, config = run(are_numbers=True, metric_for_best_model=metric, **EACH_STEP)
    assert config.greater_is_better is expected


def test_saving_the_best_needs_evaluations(run):
    with pytest.raises(InputError, match="save_strategy best saves after evaluations: say with --eval_strategy"):
        run(save_strategy="best")
