import signal

import pytest
from transformers import TrainerCallback

from alum.stages.training_run import Interrupted, train
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


def fail():
    raise RuntimeError("out of luck")


@pytest.fixture
def run(tmp_path):
    def run(folder, *callbacks, checkpoint=None, **settings):
        folder = tmp_path / folder
        config = pretrain_config(folder, max_steps=6, logging_steps=1, per_device_train_batch_size=4, **settings)
        trainer = AlumTrainer(
            model=language_model(), args=config, train_dataset=masked_sentences(), callbacks=list(callbacks)
        )
        cost = train(trainer, config, folder, checkpoint)
        return cost, {name: value.tolist() for name, value in trainer.model.state_dict().items()}, folder

    return run


def test_an_interrupted_run_ends_its_step_and_says_how_to_go_on(run, tmp_path):
    with pytest.raises(Interrupted, match=r"stopped at step 3 of 6; .*checkpoint-3.*--resume_from_checkpoint true"):
        run("a", At(3, interrupt))
    assert (tmp_path / "a" / "checkpoint-3" / "trainer_state.json").is_file()


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

    def logged(folder):
        lines = log_lines(folder / "metrics.jsonl")
        return [(line["step"], line["loss"], line["adversarial_loss"]) for line in lines if "loss" in line]

    assert logged(again) == logged(folder)


def test_a_second_ctrl_c_stops_at_once(run):
    def twice():
        interrupt()
        interrupt()

    with pytest.raises(KeyboardInterrupt):
        run("a", At(3, twice))


@pytest.mark.parametrize(
    ("callbacks", "error"), [((), None), ((At(2, interrupt),), Interrupted), ((At(2, fail),), RuntimeError)]
)
def test_ctrl_c_is_given_back_however_the_run_ends(run, callbacks, error):
    former = signal.getsignal(signal.SIGINT)
    if error is None:
        run("a")
    else:
        with pytest.raises(error):
            run("a", *callbacks)
    assert signal.getsignal(signal.SIGINT) is former


def test_ctrl_c_in_the_last_step_comes_too_late(run):
    cost, _, _ = run("a", At(6, interrupt))
    assert cost.num_steps == 6
