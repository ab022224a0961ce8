import signal

import pytest
from transformers import TrainerCallback

from alum.core.errors import InputError
from alum.stages.runs.stopping import Interrupted
from alum.stages.runs.training import train
from alum.training.checkpoint_files import checkpoints_in
from alum.training.trainer import AlumTrainer
from tiny_models import language_model
from tiny_runs import masked_sentences
from tiny_stages import log_lines, pretrain_config


class At(TrainerCallback):
    """Does something at the end of a step."""

    def __init__(self, step, act):
        self.step, self.act = step, act

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step - 1:
            self.act()


def interrupt():
    signal.raise_signal(signal.SIGINT)


def terminate():
    signal.raise_signal(signal.SIGTERM)


def fail():
    raise RuntimeError("out of luck")


@pytest.fixture
def run(tmp_path):
    def run(folder, *callbacks, checkpoint=None, **settings):
        folder = tmp_path / folder
        settings = {"max_steps": 6, "logging_steps": 1, "per_device_train_batch_size": 4, **settings}
        config = pretrain_config(folder, **settings)
        trainer = AlumTrainer(
            model=language_model(),
            args=config,
            train_dataset=masked_sentences(),
            eval_dataset=masked_sentences(8, seed=1),
            callbacks=list(callbacks),
        )
        cost = train(trainer, config, folder, checkpoint)
        return cost, {name: value.tolist() for name, value in trainer.model.state_dict().items()}, folder

    return run


@pytest.mark.parametrize(("act", "code"), [(interrupt, 130), (terminate, 143)])
def test_an_interrupted_run_ends_its_step_and_says_how_to_go_on(run, tmp_path, act, code):
    expected = r"stopped at step 3 of 6; .*checkpoint-3.*--resume_from_checkpoint true"
    with pytest.raises(Interrupted, match=expected) as stopped:
        run("a", At(3, act))
    assert stopped.value.exit_code == code
    assert (tmp_path / "a" / "checkpoint-3" / "trainer_state.json").is_file()


def test_a_run_whose_time_is_over_says_so(run, tmp_path):
    expected = r"stopped at step 1 of 6 after 1e-09 minutes \(max_minutes\); .*checkpoint-1\. Go on"
    with pytest.raises(Interrupted, match=expected) as stopped:
        run("a", max_minutes=1e-9)
    assert stopped.value.exit_code == 3
    assert (tmp_path / "a" / "checkpoint-1").is_dir()


@pytest.mark.parametrize("name", ["max_minutes", "save_minutes"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_minutes_are_above_zero(tmp_path, name, value):
    with pytest.raises(InputError, match=f"{name} must be above 0, not {value}"):
        pretrain_config(tmp_path, **{name: value})


def test_checkpoints_come_by_the_minute(run, tmp_path):
    run("a", save_minutes=1e-9)
    assert len(checkpoints_in(tmp_path / "a")) == 2  # the limit; the last ones
    assert checkpoints_in(tmp_path / "a")[-1].name == "checkpoint-6"


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("order", ["random", "group_by_length"])
@pytest.mark.parametrize("step", [3, 5])
def test_a_resumed_run_is_the_undisturbed_one(run, tmp_path, order, step):
    """An epoch has four steps."""
    settings = {"train_sampling_strategy": order}
    cost, undisturbed, folder = run("a", **settings)
    with pytest.raises(Interrupted):
        run("b", At(step, interrupt), **settings)
    _, resumed, again = run("b", checkpoint=str(tmp_path / "b" / f"checkpoint-{step}"), **settings)
    assert cost.num_steps == 6
    assert resumed == undisturbed

    assert logged(again) == logged(folder)


def logged(folder):
    lines = log_lines(folder / "metrics.jsonl")
    return [(line["step"], line["loss"], line["adversarial_loss"]) for line in lines if "loss" in line]


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("limit", [1, 2])
def test_a_run_in_pieces_of_one_step_is_the_undisturbed_one(run, tmp_path, limit):
    """With all that a run may choose a model by: evaluations, the best checkpoint, and the few that are kept."""
    settings = {
        "save_strategy": "epoch",
        "eval_strategy": "epoch",
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": True,
        "save_total_limit": limit,
    }
    _, undisturbed, folder = run("a", max_steps=8, **settings)
    checkpoint = None
    for step in range(1, 8):
        with pytest.raises(Interrupted, match=f"stopped at step {step} of 8 "):
            run("b", checkpoint=checkpoint, max_steps=8, max_minutes=1e-9, **settings)
        checkpoint = str(tmp_path / "b" / f"checkpoint-{step}")
        assert len(checkpoints_in(tmp_path / "b")) <= max(limit, 2)
    _, in_pieces, again = run("b", checkpoint=checkpoint, max_steps=8, max_minutes=1e-9, **settings)
    assert in_pieces == undisturbed
    assert logged(again) == logged(folder)
    evaluations = [
        [(line["step"], line["eval_loss"]) for line in log_lines(path / "metrics.jsonl") if "eval_loss" in line]
        for path in (folder, again)
    ]
    assert evaluations[0] == evaluations[1]
    assert [step for step, _ in evaluations[0]] == [4, 8]


def test_a_run_goes_on_from_an_earlier_checkpoint_and_sets_the_later_ones_aside(run, tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 2, "save_total_limit": None}
    _, undisturbed, folder = run("a", **settings)
    before = logged(folder)
    _, again, _ = run("a", checkpoint=str(folder / "checkpoint-2"), **settings)
    assert again == undisturbed
    assert logged(folder) == before
    names = [f"{prefix}checkpoint-{step}" for prefix, steps in (("", (2, 4, 6)), ("old-", (4, 6))) for step in steps]
    assert sorted(path.name for path in folder.glob("*checkpoint-*")) == names


def test_a_run_killed_before_its_first_checkpoint_logs_each_step_once(run):
    with pytest.raises(RuntimeError):
        run("a", At(3, fail))
    _, undisturbed, folder = run("b")
    _, again, former = run("a")
    assert again == undisturbed
    assert logged(former) == logged(folder)


def test_a_second_ctrl_c_stops_at_once(run):
    def twice():
        interrupt()
        interrupt()

    with pytest.raises(KeyboardInterrupt):
        run("a", At(3, twice))


def test_signals_that_are_ignored_stay_so(run):
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert run("a", At(3, interrupt))[0].num_steps == 6
    finally:
        signal.signal(signal.SIGINT, former)


@pytest.mark.parametrize(
    ("callbacks", "error"),
    [
        ((), None),
        ((At(2, interrupt),), Interrupted),
        ((At(2, terminate),), Interrupted),
        ((At(2, fail),), RuntimeError),
    ],
)
def test_signals_are_given_back_however_the_run_ends(run, callbacks, error):
    former = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    if error is None:
        run("a")
    else:
        with pytest.raises(error):
            run("a", *callbacks)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == former


def test_ctrl_c_in_the_last_step_comes_too_late(run):
    cost, _, _ = run("a", At(6, interrupt))
    assert cost.num_steps == 6
