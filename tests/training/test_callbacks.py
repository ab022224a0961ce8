import itertools
import json
import os
import signal
import threading
import time

import pytest
from transformers import TrainerCallback, TrainerControl, TrainerState

from alum.training.callbacks import (
    TIME_IS_OVER,
    MetricsFile,
    SaveEveryMinutes,
    StopCleanly,
)
from tiny_models import classifier
from tiny_runs import config, labelled_sentences, logged, trained

SIGNALS = [signal.SIGINT, signal.SIGTERM]
NO_TIME = 1e-9  # minutes, over before the first step is


class SignalAt(TrainerCallback):
    """A signal comes in the middle of a step."""

    def __init__(self, step, number=signal.SIGINT):
        self.step, self.number = step, number

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), self.number)


def checkpoints(folder):
    return sorted(path.name for path in folder.glob("checkpoint-*"))


def test_every_log_is_a_line_of_json(tmp_path):
    path = tmp_path / "metrics.jsonl"
    trainer = trained(classifier(), config(tmp_path), labelled_sentences(), callbacks=[MetricsFile(path)])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 4]
    assert [line["adversarial_loss"] for line in lines[:4]] == logged(trainer, "adversarial_loss")
    assert "train_runtime" in lines[4]


@pytest.fixture
def metrics(tmp_path):
    """The records of a run that logged three steps, was summed up and evaluated once more."""
    path = tmp_path / "metrics.jsonl"
    lines = [{"step": step, "loss": 1.0 / step} for step in (1, 2, 3)]
    lines += [{"step": 2, "eval_loss": 0.5}, {"step": 3, "train_runtime": 1.0}, {"step": 3, "eval_loss": 0.4}]
    lines.sort(key=lambda line: line["step"])
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def state_at(step, metrics):
    """State that a checkpoint of a step has, with what was logged until then."""
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    in_training = itertools.takewhile(lambda line: "train_runtime" not in line, lines)
    return TrainerState(global_step=step, log_history=[line for line in in_training if line["step"] <= step])


@pytest.mark.parametrize(
    ("step", "kept"),
    [(0, []), (1, [(1, "loss")]), (2, [(1, "loss"), (2, "loss"), (2, "eval_loss")])]
    + [(step, [(1, "loss"), (2, "loss"), (2, "eval_loss"), (3, "loss")]) for step in (3, 4)],
)
@pytest.mark.parametrize("half_a_line", ["", "{", '{"step": 1, "loss": 0.', '{"step": 1, "loss": 0.5}'])
def test_what_will_be_logged_again_is_dropped(tmp_path, metrics, step, kept, half_a_line):
    """The summary of training, and what follows it, is of the run that was finished."""
    state = state_at(step, metrics)
    with metrics.open("a") as file:
        file.write(half_a_line)
    MetricsFile(metrics).on_train_begin(config(tmp_path), state, TrainerControl())
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert [(line["step"], list(line)[1]) for line in lines] == kept


def test_only_the_half_line_is_dropped_where_the_run_was_killed_while_writing(tmp_path, metrics):
    first, state = metrics.read_bytes().splitlines(keepends=True)[0], state_at(1, metrics)
    metrics.write_bytes(first + b'{"step": 2, "lo')
    MetricsFile(metrics).on_train_begin(config(tmp_path), state, TrainerControl())
    assert metrics.read_bytes() == first


@pytest.mark.parametrize("damaged", [b"", b"\xff\n", b"{}\n[[\n", b"[" * 100_000 + b"\n"])
def test_lines_that_were_lost_or_damaged_come_back(tmp_path, metrics, damaged):
    lines, state = metrics.read_bytes().splitlines(keepends=True), state_at(3, metrics)
    metrics.write_bytes(lines[0] + damaged + b"".join(lines[2:]))
    MetricsFile(metrics).on_train_begin(config(tmp_path), state, TrainerControl())
    assert metrics.read_bytes() == b"".join(lines[:4])


def test_a_file_of_metrics_that_is_gone_comes_back(tmp_path, metrics):
    lines, state = metrics.read_bytes().splitlines(keepends=True), state_at(2, metrics)
    metrics.unlink()
    MetricsFile(metrics).on_train_begin(config(tmp_path), state, TrainerControl())
    assert metrics.read_bytes() == b"".join(lines[:3])


# -- stopping ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_training_after_the_step_with_a_checkpoint(tmp_path, number):
    former, stop = [signal.getsignal(number) for number in SIGNALS], StopCleanly()
    settings = config(tmp_path, max_steps=10, save_strategy="steps", save_steps=100)
    trainer = trained(classifier(), settings, labelled_sentences(), callbacks=[SignalAt(2, number), stop])
    assert stop.stopped_at_step == trainer.state.global_step == 3
    assert stop.exit_code == 128 + number
    assert (tmp_path / "checkpoint-3" / "model.safetensors").is_file()
    assert [signal.getsignal(number) for number in SIGNALS] == former


def test_a_training_in_another_thread_takes_no_signals(tmp_path):
    stop, done = StopCleanly(), []

    def train():
        done.append(trained(classifier(), config(tmp_path), labelled_sentences(), callbacks=[stop]))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert done[0].state.global_step == done[0].state.max_steps
    assert stop.exit_code == 0


def test_the_end_of_the_time_ends_training_with_a_checkpoint(tmp_path):
    stop = StopCleanly(max_minutes=NO_TIME)
    trained(classifier(), config(tmp_path), labelled_sentences(), callbacks=[stop])
    assert (stop.stopped_at_step, stop.exit_code) == (1, TIME_IS_OVER)
    assert checkpoints(tmp_path) == ["checkpoint-1"]


@pytest.mark.parametrize("max_minutes", [None, 10.0])
def test_a_run_that_is_left_alone_ends_as_planned(tmp_path, max_minutes):
    former, stop = signal.getsignal(signal.SIGINT), StopCleanly(max_minutes)
    trained(classifier(), config(tmp_path), labelled_sentences(), callbacks=[stop])
    assert stop.stopped_at_step is None
    assert stop.exit_code == 0
    assert signal.getsignal(signal.SIGINT) is former
    assert checkpoints(tmp_path) == []


def test_a_stop_in_the_last_step_is_the_planned_end(tmp_path):
    stop = StopCleanly(max_minutes=NO_TIME)
    trained(classifier(), config(tmp_path, max_steps=1), labelled_sentences(), callbacks=[stop])
    assert stop.stopped_at_step is None
    assert checkpoints(tmp_path) == []


class Counted(TrainerCallback):
    """Counts evaluations and saves by the step that they come at."""

    def __init__(self):
        self.evaluations, self.saves = [], []

    def on_evaluate(self, args, state, control, **kwargs):
        self.evaluations.append(state.global_step)

    def on_save(self, args, state, control, **kwargs):
        self.saves.append(state.global_step)


@pytest.mark.parametrize(
    ("step", "settings", "evaluations", "saves"),
    [
        # An epoch has two steps. What comes at an epoch's end does not come where a run is stopped within one,
        (1, {"eval_strategy": "epoch", "save_strategy": "epoch"}, [], [1]),
        (3, {"eval_strategy": "epoch", "save_strategy": "epoch"}, [2], [2, 3]),
        # but the checkpoint at its end has it.
        (2, {"eval_strategy": "epoch", "save_strategy": "epoch"}, [2], [2]),
        (2, {"eval_strategy": "epoch", "save_strategy": "no"}, [2], [2]),
        # What is saved anyway is not saved twice.
        (2, {"eval_strategy": "no", "save_strategy": "steps", "save_steps": 2}, [], [2]),
        (3, {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 3}, [1, 2, 3], [3]),
        # The Trainer would save only the best, here the first.
        (3, {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "best"}, [1, 2, 3], [1, 3]),
        (2, {"eval_strategy": "epoch", "save_strategy": "best"}, [], [2]),
    ],
)
def test_a_stop_saves_once_and_only_what_was_to_come_at_that_step(tmp_path, step, settings, evaluations, saves):
    counted = Counted()
    best = {"metric_for_best_model": "eval_loss", "greater_is_better": True}
    arguments = config(tmp_path, max_steps=6, **best, **settings)
    options = {"eval_dataset": labelled_sentences(seed=1), "callbacks": [SignalAt(step - 1), counted, StopCleanly()]}
    trained(classifier(), arguments, labelled_sentences(), **options)
    assert counted.evaluations == evaluations
    assert counted.saves == saves
    assert f"checkpoint-{step}" in checkpoints(tmp_path)


def test_a_stop_keeps_its_checkpoint_beside_the_best(tmp_path):
    """Where a single one may stay, the Trainer keeps the best alone when training ends."""
    best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": True}
    each_step = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    arguments = config(tmp_path, max_steps=6, save_total_limit=1, **best, **each_step)
    options = {"eval_dataset": labelled_sentences(seed=1), "callbacks": [SignalAt(2), StopCleanly()]}
    trained(classifier(), arguments, labelled_sentences(), **options)
    assert checkpoints(tmp_path) == ["checkpoint-1", "checkpoint-3"]


# -- saving by the clock -----------------------------------------------------------------------------------------------


class Slow(TrainerCallback):
    """A step takes 0.05 seconds at least."""

    def on_step_begin(self, args, state, control, **kwargs):
        time.sleep(0.05)


@pytest.mark.parametrize(("seconds", "expected"), [(0.01, [1, 2, 3, 4]), (1000.0, [])])
def test_checkpoints_come_by_the_clock(tmp_path, seconds, expected):
    options = {"callbacks": [Slow(), SaveEveryMinutes(seconds / 60)]}
    trained(classifier(), config(tmp_path), labelled_sentences(), **options)
    assert checkpoints(tmp_path) == [f"checkpoint-{step}" for step in expected]


@pytest.mark.parametrize("saved", [True, False])
def test_the_clock_starts_anew_with_every_checkpoint(tmp_path, saved):
    """1 second is over since training began, but not since the checkpoint."""
    control, now = TrainerControl(), (config(tmp_path), TrainerState(global_step=1, epoch=0.5))
    callback = SaveEveryMinutes(1 / 60)
    callback.on_train_begin(*now, control)
    time.sleep(1.1)
    if saved:
        callback.on_save(*now, control)
    callback.on_step_end(*now, control)
    assert control.should_save is not saved


def test_at_the_end_of_an_epoch_the_checkpoint_comes_after_the_evaluation(tmp_path):
    events = []

    class Listed(TrainerCallback):
        def on_evaluate(self, args, state, control, **kwargs):
            events.append(("evaluation", state.global_step))

        def on_save(self, args, state, control, **kwargs):
            events.append(("checkpoint", state.global_step))

    options = {"callbacks": [Listed(), SaveEveryMinutes(NO_TIME)], "eval_dataset": labelled_sentences(seed=1)}
    trained(classifier(), config(tmp_path, max_steps=2, eval_strategy="epoch"), labelled_sentences(), **options)
    assert events == [("checkpoint", 1), ("evaluation", 2), ("checkpoint", 2)]
