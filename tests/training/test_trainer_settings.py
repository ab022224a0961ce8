"""Settings of the adversary that change between trainings and within one: trials of a search, callbacks."""

import sys
from types import SimpleNamespace

import pytest
import torch
from transformers import TrainerCallback, hyperparameter_search
from transformers.integrations import integration_utils
from transformers.trainer_utils import BestRun, HPSearchBackend

from alum.core.errors import InputError
from alum.training.trainer import AlumTrainer
from tiny_models import classifier
from tiny_runs import config, labelled_sentences, logged, measuring_config, trained, weights

EXACT = {"rtol": 0, "atol": 0}


class Listed(hyperparameter_search.HyperParamSearchBackendBase):
    """Backend of a search that tries what it is given, one after the other, as the ones of transformers do."""

    name = "listed"

    @staticmethod
    def is_available():
        return True

    def run(self, trainer, n_trials, direction, trials, seen):
        for trial in trials:
            trainer.train(trial=dict(trial))
            seen.append(weights(trainer))
        return BestRun("0", 0.0, {})


@pytest.fixture
def search(monkeypatch, tmp_path):
    """Weights after each of some trials of one search, in the order of the trials."""
    backend = HPSearchBackend.WANDB  # the one whose trials are plain dictionaries
    monkeypatch.setitem(hyperparameter_search.ALL_HYPERPARAMETER_SEARCH_BACKENDS, backend, Listed)
    monkeypatch.setattr(integration_utils, "is_wandb_available", lambda: True)  # asked of each such trial
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=SimpleNamespace(id="0")))  # names its folder

    def search(*trials, **settings):
        seen = []
        trainer = AlumTrainer(
            model_init=lambda: classifier(dropout=0.0),
            args=config(tmp_path, **settings),
            train_dataset=labelled_sentences(),
        )
        trainer.hyperparameter_search(
            hp_space=lambda trial: trial, backend="wandb", n_trials=len(trials), trials=trials, seen=seen
        )
        return seen

    return search


def are_equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("method", ["alum_one_pass", "alum"])
@pytest.mark.parametrize(
    ("setting", "one", "other"),
    [
        ("adv_epsilon", 0.03, 0.3),
        ("adv_alpha", 1.0, 4.0),
        ("adv_layer", "word", "1"),
        ("adv_start_fraction", 0.0, 0.5),
    ],
)
def test_each_trial_of_a_search_trains_by_its_own_settings(search, method, setting, one, other):
    seen = search({setting: one}, {setting: other}, {setting: one}, adv_method=method)
    assert are_equal(seen[0], seen[2])
    assert not are_equal(seen[0], seen[1])


def test_a_trial_trains_as_a_trainer_with_its_settings_would(search, tmp_path):
    trials = [{"adv_method": "standard"}, {"adv_method": "noise", "adv_epsilon": 0.2}]
    for found, trial in zip(search(*trials), trials, strict=True):
        alone = trained(
            None, config(tmp_path, **trial), labelled_sentences(), model_init=lambda: classifier(dropout=0.0)
        )
        torch.testing.assert_close(found, weights(alone), **EXACT)


def test_trials_of_one_step_draw_the_same_noise(search):
    first, second = search({"adv_epsilon": 0.2}, {"adv_epsilon": 0.2}, adv_method="noise", max_steps=1)
    assert are_equal(first, second)


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        ({"adv_epsilon": -1.0}, "adv_epsilon is the radius"),
        ({"adv_fraction": 2.0}, r"adv_fraction must lie in \(0, 1\]"),
        ({"adv_method": "standard", "adv_epsilon": 0.1}, "has no effect with adv_method 'standard'"),
        ({"adv_layer": "7"}, "layer"),
    ],
)
def test_a_trial_is_checked_as_a_new_trainer_is(search, trial, message):
    with pytest.raises(InputError, match=message):
        search(trial)


class Sets(TrainerCallback):
    """Sets arguments before the third step, by the event that it is told."""

    def __init__(self, event, **settings):
        self._settings = settings
        setattr(self, event, self._set)

    def _set(self, args, state, control, **kwargs):
        if state.global_step == 2:
            for name, value in self._settings.items():
                setattr(args, name, value)


@pytest.mark.parametrize("event", ["on_step_begin", "on_step_end"])
@pytest.mark.parametrize("after_the_others", [False, True])
def test_a_callback_changes_the_radius_from_that_step_on(tmp_path, event, after_the_others):
    callback = Sets(event, adv_epsilon=0.12)
    trainer = AlumTrainer(
        model=classifier(dropout=0.0),
        args=measuring_config(tmp_path, adv_epsilon=0.03),
        train_dataset=labelled_sentences(),
        callbacks=None if after_the_others else [callback],
    )
    if after_the_others:
        trainer.add_callback(callback)
    trainer.train()
    radii = [0.03, 0.03, 0.12, 0.12]
    assert logged(trainer, "adv_epsilon") == radii
    assert logged(trainer, "perturbation_ratio") == pytest.approx(radii, rel=1e-2)


def test_a_callback_changes_weight_and_curriculum(tmp_path):
    settings = config(tmp_path, adv_start_fraction=1.0)
    callback = Sets("on_step_end", adv_start_fraction=0.0, adv_alpha=5.0)
    assert logged(trained(classifier(), settings, labelled_sentences(), callbacks=[callback]), "adv_alpha") == [
        *(0, 0),
        *(5, 5),
    ]


def test_micro_batches_of_a_step_are_trained_alike(tmp_path):
    """What a callback changes between them holds from the next step on."""

    class BetweenMicroBatches(TrainerCallback):
        def on_substep_end(self, args, state, control, **kwargs):
            args.adv_epsilon = 0.12

    radii = []

    class Remembering(AlumTrainer):
        def _log_result(self, result, method, *rest):
            radii.append(method.epsilon)
            super()._log_result(result, method, *rest)

    settings = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "max_steps": 2}
    rows = labelled_sentences()
    trained(classifier(), config(tmp_path, **settings), rows, Remembering, callbacks=[BetweenMicroBatches()])
    assert radii == [0.03, 0.03, 0.12, 0.12]


def test_a_callback_cannot_set_what_does_not_fit(tmp_path):
    with pytest.raises(InputError, match="adv_alpha must be 0 or more"):
        trained(
            classifier(),
            config(tmp_path),
            labelled_sentences(),
            callbacks=[Sets("on_step_end", adv_alpha=-1.0)],
        )


def test_settings_changed_before_training_hold(tmp_path):
    runs = []
    for first in (0.03, 0.3):
        trainer = AlumTrainer(
            model=classifier(dropout=0.0), args=config(tmp_path, adv_epsilon=first), train_dataset=labelled_sentences()
        )
        trainer.args.adv_epsilon = 0.3
        trainer.train()
        runs.append(weights(trainer))
    torch.testing.assert_close(*runs, **EXACT)
