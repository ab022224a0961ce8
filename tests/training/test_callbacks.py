import json
import os
import signal

import pytest
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from alum.training.callbacks import ConsoleProgress, MetricsFile, StopCleanly, use_own_console
from alum.training.trainer import AlumTrainer
from tiny_models import classifier
from tiny_runs import config, labelled_sentences, logged, trained


class InterruptAt(TrainerCallback):
    """Presses Ctrl-C in the middle of a step."""

    def __init__(self, step):
        self.step = step

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def test_every_log_is_a_line_of_json(tmp_path):
    path = tmp_path / "metrics.jsonl"
    trainer = trained(classifier(), config(tmp_path), labelled_sentences(), callbacks=[MetricsFile(path)])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 4]
    assert [line["adversarial_loss"] for line in lines[:4]] == logged(trainer, "adversarial_loss")
    assert "train_runtime" in lines[4]


def test_ctrl_c_ends_training_after_the_step_with_a_checkpoint(tmp_path):
    former, stop = signal.getsignal(signal.SIGINT), StopCleanly()
    settings = config(tmp_path, max_steps=10, save_strategy="steps", save_steps=100)
    trainer = trained(classifier(), settings, labelled_sentences(), callbacks=[InterruptAt(2), stop])
    assert stop.stopped_at_step == trainer.state.global_step == 3
    assert (tmp_path / "checkpoint-3" / "model.safetensors").is_file()
    assert signal.getsignal(signal.SIGINT) is former


def test_a_run_that_is_left_alone_ends_as_planned(tmp_path):
    former, stop = signal.getsignal(signal.SIGINT), StopCleanly()
    trained(classifier(), config(tmp_path), labelled_sentences(), callbacks=[stop])
    assert stop.stopped_at_step is None
    assert signal.getsignal(signal.SIGINT) is former


def test_the_console_shows_a_short_line_for_each_log(tmp_path, capsys):
    settings = config(tmp_path, disable_tqdm=False, adv_start_fraction=0.5)
    trainer = AlumTrainer(model=classifier(), args=settings, train_dataset=labelled_sentences())
    use_own_console(trainer)
    trainer.train()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert [line.split()[1] for line in lines] == ["1/4", "2/4", "3/4", "4/4"]
    assert "adversary not yet" in lines[0]
    assert "gain" in lines[3]
    assert "adversarial " in lines[3]


@pytest.mark.parametrize("silent", [False, True])
def test_the_trainers_own_console_output_is_replaced(tmp_path, silent):
    trainer = AlumTrainer(model=classifier(), args=config(tmp_path, disable_tqdm=silent))
    use_own_console(trainer)
    kinds = [type(callback) for callback in trainer.callback_handler.callbacks]
    assert ProgressCallback not in kinds
    assert PrinterCallback not in kinds
    assert (ConsoleProgress in kinds) is not silent
