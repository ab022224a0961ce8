import re
import sys

import pytest
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from alum.core.methods import METHODS
from alum.training.records import console as console_module
from alum.training.records.console import ConsoleProgress, use_own_console
from alum.training.trainer import AlumTrainer
from tiny_models import classifier
from tiny_runs import labelled_sentences, measuring_config


def on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)


def train(folder, **settings):
    """Four steps, with an evaluation of 8 batches after the last."""
    settings = measuring_config(folder, disable_tqdm=False, eval_strategy="steps", eval_steps=4, **settings)
    rows = labelled_sentences()
    trainer = AlumTrainer(
        model=classifier(),
        args=settings,
        train_dataset=rows,
        eval_dataset=rows[:8],
    )
    use_own_console(trainer)
    trainer.train()


def test_bars_have_names(tmp_path, capsys, monkeypatch):
    on_a_terminal(monkeypatch)
    train(tmp_path, per_device_eval_batch_size=1)
    bars = capsys.readouterr().err
    assert "Training: 100%" in bars
    assert re.search(r"Evaluating: .*/8", bars)


def test_without_a_terminal_there_are_no_bars(tmp_path, capsys):
    train(tmp_path, logging_strategy="no")
    assert "%|" not in capsys.readouterr().err


def test_without_a_terminal_there_is_a_line_when_nothing_was_said_for_long(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(console_module, "SECONDS_BETWEEN_LINES", 0)
    train(tmp_path, logging_strategy="no", per_device_eval_batch_size=1)
    out = capsys.readouterr().out
    assert re.findall(r"^step (\d/\d)  [\d:]+ passed, [\d:]+ left$", out, re.MULTILINE) == ["1/4", "2/4", "3/4", "4/4"]
    expected = [str(number) for number in range(1, 9)]
    assert re.findall(r"^evaluating: batch (\d)/8$", out, re.MULTILINE) == expected


def test_the_console_shows_a_short_line_for_each_log(tmp_path, capsys):
    settings = measuring_config(tmp_path, disable_tqdm=False, adv_start_fraction=0.5)
    trainer = AlumTrainer(model=classifier(), args=settings, train_dataset=labelled_sentences())
    use_own_console(trainer)
    trainer.train()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert [line.split()[1] for line in lines] == ["1/4", "2/4", "3/4", "4/4"]
    assert "adversary not yet" in lines[0]
    assert "gain" in lines[3]
    assert "adversarial " in lines[3]


def opening_of(capsys):
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "parameters; " in line)
    return line.partition(" rows")[2]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"adv_method": "alum"}, " by alum"),
        ({"adv_method": "alum", "adv_start_fraction": 0.5}, " by alum, standard for the first 50 %"),
        ({"adv_method": "alum", "adv_alpha": 0.0, "adv_start_fraction": 0.5}, " by alum"),
        ({"adv_method": "standard", "adv_start_fraction": 0.5}, " by standard"),
    ],
)
def test_the_first_line_says_by_which_method_is_trained(tmp_path, capsys, settings, said):
    train(tmp_path, logging_strategy="no", max_steps=1, **settings)
    assert opening_of(capsys) == said


def test_the_method_is_the_trainers_own(tmp_path, capsys):
    trainer = AlumTrainer(
        model=classifier(),
        args=measuring_config(tmp_path, disable_tqdm=False, max_steps=1, logging_strategy="no", adv_method="alum"),
        train_dataset=labelled_sentences(),
    )
    use_own_console(trainer)
    trainer.method = METHODS["pgd"]
    trainer.train()
    assert opening_of(capsys) == " by pgd"


def test_a_trainer_without_a_method_has_none_to_say(tmp_path, capsys):
    settings = TrainingArguments(str(tmp_path), max_steps=1, save_strategy="no", logging_strategy="no", use_cpu=True)
    trainer = Trainer(model=classifier(), args=settings, train_dataset=labelled_sentences())
    use_own_console(trainer)
    trainer.train()
    assert opening_of(capsys) == ""


def test_an_error_has_a_line_of_its_own(tmp_path, capsys, monkeypatch):
    on_a_terminal(monkeypatch)

    class Fails(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            raise RuntimeError

    settings = measuring_config(tmp_path, disable_tqdm=False)
    trainer = AlumTrainer(model=classifier(), args=settings, train_dataset=labelled_sentences(), callbacks=[Fails()])
    console = use_own_console(trainer)
    with pytest.raises(RuntimeError):
        trainer.train()
    assert not capsys.readouterr().err.endswith("\n")
    console.close()
    assert capsys.readouterr().err.endswith("\n")
    console.close()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("silent", [False, True])
def test_the_trainers_own_console_output_is_replaced(tmp_path, silent):
    trainer = AlumTrainer(model=classifier(), args=measuring_config(tmp_path, disable_tqdm=silent))
    use_own_console(trainer)
    kinds = [type(callback) for callback in trainer.callback_handler.callbacks]
    assert ProgressCallback not in kinds
    assert PrinterCallback not in kinds
    assert (ConsoleProgress in kinds) is not silent
