import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from alum.training.records.flops import SampledFlops
from tiny_models import classifier
from tiny_runs import labelled_sentences, measuring_config, trained


def run(tmp_path, every_steps, **settings):
    counter = SampledFlops(every_steps)
    trained(classifier(), measuring_config(tmp_path, **settings), labelled_sentences(), callbacks=[counter])
    return counter.total


def test_a_step_of_standard_training_is_counted_as_torch_counts_it(tmp_path):
    rows = labelled_sentences(8)
    batch = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
    with FlopCounterMode(display=False) as counter:
        classifier().train()(**batch).loss.backward()
    assert run(tmp_path, every_steps=1, adv_method="standard", max_steps=1) == counter.get_total_flops()


@pytest.mark.parametrize("every_steps", [2, 3, 100])
def test_few_steps_stand_for_all_of_equal_size(tmp_path, every_steps):
    assert run(tmp_path, every_steps, adv_gain_draws=0) == run(tmp_path, every_steps=1, adv_gain_draws=0)


def test_the_first_step_where_the_adversary_is_measured_stands_for_no_other(tmp_path):
    assert run(tmp_path, every_steps=100, logging_steps=100) == run(tmp_path, every_steps=100, adv_gain_draws=0)


def test_accumulated_batches_are_counted_together(tmp_path):
    halves = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    settings = {"adv_method": "alum", "adv_gain_draws": 0}
    assert run(tmp_path, 1, **settings, **halves) == pytest.approx(run(tmp_path, 1, **settings), rel=1e-3)


def test_without_a_step_there_are_no_flops():
    assert SampledFlops(1).total == 0
