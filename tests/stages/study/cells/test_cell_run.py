import json

import pytest

from alum.stages.study.cells.cell_run import mean_divergence


def log(folder, *lines):
    file = folder / "metrics.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_the_mean_divergence_is_over_what_was_attacked(tmp_path):
    """Of every 4th step in 8, with a divergence of 0.2; of all of 4 more, with one of 0.5; before, of none."""
    first = {"step": 4, "adversarial_loss": 0.0, "adv_epsilon": 0.03, "attacked_share": 0.0}
    some = {"step": 12, "adversarial_loss": 0.05, "adv_epsilon": 0.03, "attacked_share": 0.25}
    all_of_them = {"step": 16, "adversarial_loss": 0.5, "adv_epsilon": 0.03}
    file = log(tmp_path, first, some, {"step": 14, "eval_loss": 1.0}, all_of_them)
    assert mean_divergence(file) == pytest.approx((2 * 0.2 + 4 * 0.5) / 6)


def test_of_both_adversaries_it_is_that_at_delta_and_of_texts_alone_theirs(tmp_path):
    both = {"step": 2, "adversarial_loss": 0.3, "text_loss": 0.2, "adv_epsilon": 0.03}
    assert mean_divergence(log(tmp_path, both)) == pytest.approx(0.1)
    assert mean_divergence(log(tmp_path, {"step": 2, "adversarial_loss": 0.2, "text_loss": 0.2})) == pytest.approx(0.2)


def test_without_an_adversary_there_is_none(tmp_path):
    assert mean_divergence(log(tmp_path, {"step": 2, "loss": 0.3})) is None
    assert mean_divergence(log(tmp_path, {"step": 2, "adversarial_loss": 0.0, "attacked_share": 0.0})) is None
