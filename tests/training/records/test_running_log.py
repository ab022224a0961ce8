import dataclasses
import json
import logging
import math

import pytest
import torch

from alum.core.measures.diagnostics import Diagnostics
from alum.core.methods import METHODS, method_named
from alum.core.objective import AlumResult
from alum.training.records.running_log import PATIENCE, RunningLog
from tiny_models import classifier
from tiny_runs import labelled_sentences, measuring_config, trained

METHOD = method_named("alum", alpha=2.0)


def result(task_loss=1.0, adversarial_loss=0.5, skipped=0.0, gain=None, divergence=0.5, mask_divergence=None):
    diagnostics = None
    if gain is not None:
        diagnostics = Diagnostics(*map(torch.tensor, (divergence, divergence / gain, 0.3, 0.03)))
        if mask_divergence is not None:
            diagnostics = dataclasses.replace(diagnostics, mask_divergence=torch.tensor(mask_divergence))
    task_loss, adversarial_loss = torch.tensor(task_loss), torch.tensor(adversarial_loss)
    return AlumResult(task_loss, task_loss, adversarial_loss, 2.0, torch.tensor(skipped), diagnostics=diagnostics)


def one_process(row):
    return row


def with_another(**what):
    """Gathers the row of this process with that of another one, with a micro-batch of its own."""

    def gather(row):
        rows = [row]
        log = RunningLog()
        log.add(result(**what), METHOD, weight=1.0, step=0)
        log.flush(1, lambda other: rows.append(other) or other)
        return torch.cat(rows)

    return gather


def test_losses_are_means_over_the_steps_since_the_last_log():
    log = RunningLog()
    for step, task_loss in ((10, 1.0), (10, 2.0), (11, 5.0), (11, 8.0)):  # two micro-batches in each of two steps
        log.add(result(task_loss, adversarial_loss=task_loss / 4), METHOD, weight=0.5, step=step)
    logs = log.flush(12, one_process)
    assert (logs["task_loss"], logs["adversarial_loss"]) == (16 * 0.5 / 2, 4 * 0.5 / 2)
    assert (logs["adv_alpha"], logs["adv_epsilon"]) == (2.0, METHOD.epsilon)

    log.add(result(3.0), METHOD, weight=1.0, step=12)
    assert log.flush(13, one_process)["task_loss"] == 3.0


def test_losses_are_means_and_skips_are_sums_over_the_processes():
    log = RunningLog()
    log.add(result(1.0, adversarial_loss=0.5, skipped=1.0), METHOD, weight=1.0, step=0)
    logs = log.flush(1, with_another(task_loss=3.0, adversarial_loss=1.5, skipped=2.0))
    assert (logs["task_loss"], logs["adversarial_loss"], logs["adversarial_skipped"]) == (2.0, 1.0, 3.0)


def test_skipped_batches_are_counted_from_the_start():
    log, seen = RunningLog(), []
    for step in range(4):
        log.add(result(skipped=step % 2), METHOD, weight=1.0, step=step)
        seen.append(log.flush(step + 1, one_process)["adversarial_skipped"])
    assert seen == [0, 1, 1, 2]


def test_skipped_batches_are_counted_on_where_a_checkpoint_falls_on_a_log():
    first = RunningLog()
    first.add(result(skipped=1.0), METHOD, weight=1.0, step=0)
    first.flush(1, one_process)
    second = in_two_parts(first, RunningLog())
    second.add(result(skipped=1.0), METHOD, weight=1.0, step=1)
    assert second.flush(2, one_process)["adversarial_skipped"] == 2.0


def test_the_share_that_was_attacked_is_logged_where_not_all_was():
    log, standard = RunningLog(), dataclasses.replace(METHOD, alpha=0.0)
    for step in range(4):  # every 4th step, half of its rows
        now = METHOD if step == 3 else standard
        log.add(result(adversarial_loss=0.1 if step == 3 else 0.0), now, weight=1.0, step=step, attacked=0.5)
    logs = log.flush(4, one_process)
    assert logs["attacked_share"] == pytest.approx(1 / 8)
    assert logs["adversarial_loss"] / logs["attacked_share"] == pytest.approx(0.2)
    log.add(result(), METHOD, weight=1.0, step=4)
    assert "attacked_share" not in log.flush(5, one_process)


def test_diagnostics_are_logged_where_they_were_measured():
    log = RunningLog()
    log.add(result(gain=50.0), METHOD, weight=1.0, step=0)
    log.add(result(), METHOD, weight=1.0, step=1)
    assert log.flush(2, one_process)["adversarial_gain"] == pytest.approx(50.0)
    log.add(result(), METHOD, weight=1.0, step=2)
    assert "adversarial_gain" not in log.flush(3, one_process)


def test_diagnostics_are_of_all_micro_batches_of_the_latest_measured_step():
    log = RunningLog()
    log.add(result(gain=1000.0, divergence=7.0), METHOD, weight=1.0, step=0)
    log.add(result(gain=10.0, divergence=1.0), METHOD, weight=0.5, step=1)
    log.add(result(gain=30.0, divergence=3.0), METHOD, weight=0.5, step=1)
    logs = log.flush(2, one_process)
    assert logs["divergence"] == 2.0
    assert logs["adversarial_gain"] == pytest.approx((1.0 + 3.0) / (0.1 + 0.1))


def test_diagnostics_are_of_all_processes_even_where_one_compares_nothing():
    log = RunningLog()
    log.add(result(gain=10.0, divergence=1.0), METHOD, weight=1.0, step=0)
    logs = log.flush(1, with_another(gain=30.0, divergence=3.0))
    assert (logs["divergence"], logs["adversarial_gain"]) == pytest.approx((2.0, 4.0 / 0.2))
    log.add(result(), METHOD, weight=1.0, step=1)  # no outputs to compare here
    logs = log.flush(2, with_another(gain=30.0, divergence=3.0))
    assert (logs["divergence"], logs["adversarial_gain"]) == pytest.approx((3.0, 30.0))


def test_the_strength_is_the_share_of_what_further_ascent_reaches():
    log = RunningLog()
    for divergence, further in ((1.0, 2.0), (3.0, 4.0)):
        measured = result(gain=10.0, divergence=divergence)
        diagnostics = dataclasses.replace(measured.diagnostics, further_divergence=torch.tensor(further))
        log.add(dataclasses.replace(measured, diagnostics=diagnostics), METHOD, weight=1.0, step=0)
    logs = log.flush(1, one_process)
    assert logs["adversarial_strength"] == pytest.approx(4.0 / 6.0)
    log.add(result(gain=10.0), METHOD, weight=1.0, step=1)
    assert "adversarial_strength" not in log.flush(2, one_process)


def test_what_masks_do_is_logged_apart_where_they_do_anything():
    log = RunningLog()
    log.add(result(gain=10.0), METHOD, weight=1.0, step=0)
    assert "mask_divergence" not in log.flush(1, one_process)
    log.add(result(gain=10.0, mask_divergence=0.25), METHOD, weight=1.0, step=1)
    log.add(result(gain=10.0, mask_divergence=0.75), METHOD, weight=1.0, step=1)
    assert log.flush(2, one_process)["mask_divergence"] == 0.5


def test_divergences_that_are_rounding_have_no_gain():
    log = RunningLog()
    log.add(result(gain=16.0, divergence=8e-10), METHOD, weight=1.0, step=0)
    logs = log.flush(1, one_process)
    assert "adversarial_gain" not in logs
    assert logs["divergence"] == pytest.approx(8e-10)


def test_nothing_to_log_before_the_first_step():
    assert RunningLog().flush(0, one_process) == {}


# -- the warning -------------------------------------------------------------------------------------------------------


def warnings_of(caplog, method=METHOD, times=3 * PATIENCE, **what):
    log = RunningLog()
    with caplog.at_level(logging.WARNING):
        for step in range(times):
            log.add(result(**what), method, weight=1.0, step=step)
            log.flush(step + 1, one_process)
    return [record.getMessage() for record in caplog.records]


def test_a_silent_adversary_is_named_once(caplog):
    (message,) = warnings_of(caplog, adversarial_loss=1e-9, gain=50.0)
    assert "2.0e-09 of the task loss" in message


def test_noise_is_named_once(caplog):
    (message,) = warnings_of(caplog, gain=1.1)
    assert "its gain is 1.10" in message
    assert "a larger adv_epsilon" in message


def test_steps_that_lead_nowhere_are_to_be_exchanged(caplog):
    (message,) = warnings_of(caplog, method=METHODS["alum_released"], gain=1.1)
    assert "'alum' or 'alum_one_pass'" in message


def test_patience_comes_before_the_warning(caplog):
    assert warnings_of(caplog, gain=1.0, times=PATIENCE - 1) == []


def test_one_infinite_gain_hides_nothing(caplog):
    log = RunningLog()
    with caplog.at_level(logging.WARNING):
        for step, gain in enumerate((1.0, math.inf, 1.1)):
            log.add(result(gain=gain), METHOD, weight=1.0, step=step)
            log.flush(step + 1, one_process)
    (record,) = caplog.records
    assert "its gain is 1.10" in record.getMessage()


def test_controls_are_meant_to_be_noise(caplog):
    assert warnings_of(caplog, method=METHODS["noise"], gain=1.0) == []


def test_an_adversary_that_gains_is_left_in_peace(caplog):
    assert warnings_of(caplog, gain=2.0) == []


def test_before_the_start_of_the_curriculum_nothing_is_expected(caplog):
    assert warnings_of(caplog, method=method_named("alum", alpha=0.0), adversarial_loss=0.0) == []


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize(
    ("name", "count"),
    [("alum_paper", 1), ("alum_released", 1), ("alum", 0), ("alum_one_pass", 0), ("noise", 0), ("r3f", 1), ("pgd", 0)],
)
def test_methods_that_are_warned_of_in_training(tmp_path, caplog, name, count):
    settings = measuring_config(tmp_path, adv_method=name, max_steps=8, adv_gain_draws=16)
    with caplog.at_level(logging.WARNING, logger="alum"):
        trained(classifier(dropout=0.0), settings, labelled_sentences())
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("alum")]
    assert len(messages) == count
    assert all(f"method {name}" in message for message in messages)


def in_two_parts(log, another):
    """A log that is kept as a checkpoint keeps it, in JSON, and gone on with."""
    kept = json.loads(json.dumps(log.kept(one_process)))
    another.take_up(kept, METHOD, torch.device("cpu"))
    return another


def test_a_log_that_is_gone_on_with_says_what_the_whole_one_does():
    """Stopped between the step that was measured and the log; thirds are no round numbers in fp32."""
    now = dataclasses.replace(METHOD, alpha=0.5, epsilon=0.01)
    whole, first = RunningLog(), RunningLog()
    for log in (whole, first):
        log.add(result(1 / 3, skipped=1.0), now, weight=0.7, step=4)
        log.add(result(2 / 3, gain=30.0), now, weight=0.7, step=5)
    second = in_two_parts(first, RunningLog())
    assert second.has_gain
    for log in (whole, second):
        log.add(result(1 / 7), now, weight=1.0, step=6)
    expected = whole.flush(7, one_process)
    assert expected["adversarial_gain"] == pytest.approx(30.0)
    assert second.flush(7, one_process) == expected
    assert not second.has_gain


def test_texts_before_a_checkpoint_count_with_those_after_it(caplog):
    now = method_named("alum", space="text")
    first = RunningLog()
    first.add(result(), now, weight=1.0, step=0)
    first.count_texts(8, 8)
    second = in_two_parts(first, RunningLog())
    second.add(result(), now, weight=1.0, step=1)
    second.count_texts(8, 2)
    assert second.flush(2, one_process)["changed_text_share"] == 10 / 16
    for step in (2, 3):
        second.add(result(), now, weight=1.0, step=step)
        second.count_texts(4, 1)
        second = in_two_parts(second, RunningLog())
        assert second.flush(step + 1, one_process)["changed_text_share"] == 1 / 4
    assert caplog.text.count("The adversary changed 25.0 % of the texts") == 1


def test_a_log_that_is_gone_on_with_waits_no_longer_to_warn(caplog):
    first = RunningLog()
    for step in range(PATIENCE - 1):
        first.add(result(gain=1.0), METHOD, weight=1.0, step=step)
        first.flush(step + 1, one_process)
    second = in_two_parts(first, RunningLog())
    assert not caplog.messages
    second.add(result(gain=1.0), METHOD, weight=1.0, step=PATIENCE - 1)
    second.flush(PATIENCE, one_process)
    assert "The adversarial term does nothing" in caplog.text


def test_steps_of_another_measure_replace_those_before_the_checkpoint():
    first = RunningLog()
    first.add(result(gain=30.0), METHOD, weight=1.0, step=0)
    second = in_two_parts(first, RunningLog())
    second.add(result(gain=5.0), METHOD, weight=1.0, step=1)
    assert second.flush(2, one_process)["adversarial_gain"] == pytest.approx(5.0)
