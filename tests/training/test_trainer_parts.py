"""An adversary for a part of each batch, or at every n-th step only."""

import pytest
import torch
from transformers import TrainerCallback

from alum.core.errors import InputError
from alum.models.hooks.hooked_batch import HookedBatch
from alum.training.trainer import AlumTrainer
from tiny_models import classifier, language_model
from tiny_runs import config, labelled_sentences, logged, masked_sentences, measuring_config, trained, weights

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
METHODS = ["alum_one_pass", "pgd"]  # without random noise at the start


@pytest.fixture(autouse=True)
def no_first_check(monkeypatch):
    """Passes are counted here, and the check of the model at the first batch that is attacked has some of its own."""
    monkeypatch.setattr(HookedBatch, "check", lambda batch: None)


@pytest.mark.parametrize("name", METHODS)
def test_of_equal_rows_a_half_is_as_good_as_all(tmp_path, name):
    rows = [labelled_sentences(1)[0]] * 16
    half, whole = (
        weights(trained(classifier(dropout=0.0), config(tmp_path, adv_method=name, adv_fraction=fraction), rows))
        for fraction in (0.5, 1.0)
    )
    torch.testing.assert_close(half, whole, **CLOSE)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("rows", [labelled_sentences(), masked_sentences()], ids=["classes", "masked tokens"])
def test_the_task_loss_is_that_of_all_rows(tmp_path, name, rows):
    """Masked rows have one to five predicted tokens, so the parts of a batch must be weighed by them."""
    make = language_model if rows[0]["labels"].dim() else classifier
    settings = {"max_steps": 1, "per_device_train_batch_size": 16}
    part, standard = (
        trained(make(dropout=0.0), config(tmp_path, **settings, **method), rows)
        for method in ({"adv_method": name, "adv_fraction": 0.25}, {"adv_method": "standard"})
    )
    assert logged(part, "task_loss") == pytest.approx(logged(standard, "loss"), rel=1e-5)
    assert logged(part, "adversarial_loss")[0] > 0


@pytest.mark.parametrize("rows", [labelled_sentences(), masked_sentences()], ids=["classes", "masked tokens"])
def test_without_weight_the_gradient_is_that_of_all_rows(tmp_path, rows):
    make = language_model if rows[0]["labels"].dim() else classifier
    part, standard = (
        weights(trained(make(dropout=0.0), config(tmp_path, **method), rows))
        for method in ({"adv_method": "alum_one_pass", "adv_fraction": 0.5, "adv_alpha": 1e-12}, {"adv_alpha": 0.0})
    )
    torch.testing.assert_close(part, standard, **CLOSE)


def test_so_many_rows_are_in_each_pass(tmp_path):
    model = classifier()
    sizes = []
    model.register_forward_pre_hook(
        lambda _, args, kwargs: sizes.append(len(kwargs["input_ids"])) if model.training else None, with_kwargs=True
    )
    trained(model, config(tmp_path, max_steps=1, adv_fraction=0.25, adv_gain_draws=0), labelled_sentences())
    assert sizes == [6, 2, 2]  # the spared, the attacked, and these again under attack


def test_other_rows_are_attacked_in_other_steps(tmp_path):
    model, rows = classifier(), labelled_sentences(8)
    attacked = []

    def keep(_, args, kwargs):
        if model.training and len(kwargs["input_ids"]) == 2:
            attacked.append(tuple(kwargs["input_ids"][:, 1].tolist()))

    model.register_forward_pre_hook(keep, with_kwargs=True)
    trained(model, config(tmp_path, max_steps=6, adv_fraction=0.25, adv_gain_draws=0), rows)
    assert len(attacked) == 12
    assert len(set(attacked)) > 3


# -- fewer rows than the fraction asks for one of ----------------------------------------------------------------------

SINGLE = {"per_device_train_batch_size": 1, "adv_fraction": 0.25, "adv_gain_draws": 0}


def passes_by_step(model):
    """Numbers of training passes, grown by hooks: one entry for each step, which a callback begins."""
    counts = []

    class Beginning(TrainerCallback):
        def on_step_begin(self, *args, **kwargs):
            counts.append(0)

    def count(*_):
        counts[-1] += model.training

    model.register_forward_pre_hook(count)
    return counts, Beginning()


def test_of_single_rows_about_a_quarter_is_attacked(tmp_path):
    model = classifier()
    passes, beginning = passes_by_step(model)
    settings = config(tmp_path, **SINGLE, adv_method="alum_one_pass", max_steps=400, logging_steps=400)
    trained(model, settings, labelled_sentences(), callbacks=[beginning])
    assert set(passes) == {1, 2}  # a standard step, or the clean and the adversarial pass
    # Binomial: 100 of 400 with a standard deviation of √(400 · ¼ · ¾) = 8.7.
    assert abs(passes.count(2) - 100) < 4 * 8.7


@pytest.mark.parametrize("name", ["alum", "alum_one_pass"])
def test_a_resumed_run_attacks_at_the_same_steps(tmp_path, name):
    found = []
    for checkpoint in (None, str(tmp_path / "checkpoint-10")):
        model = classifier()
        passes, beginning = passes_by_step(model)
        settings = config(tmp_path, **SINGLE, adv_method=name, max_steps=30, save_strategy="steps", save_steps=10)
        trainer = AlumTrainer(model, settings, train_dataset=labelled_sentences(32), callbacks=[beginning])
        trainer.train(resume_from_checkpoint=checkpoint)
        found.append((passes[-20:], weights(trainer)))
    (undisturbed, expected), (resumed, resumed_weights) = found
    assert len(set(undisturbed)) == 2
    assert resumed == undisturbed
    torch.testing.assert_close(resumed_weights, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", METHODS)
def test_accumulated_single_rows_weigh_as_if_all_were_attacked(tmp_path, name):
    """Of 32 equal rows, k are attacked: an adversarial term of k / 8 of that over all of them."""
    rows = [labelled_sentences(1)[0]] * 32
    attacked = []

    class Counting(AlumTrainer):
        def _log_result(self, result, *rest):
            attacked.append(result.delta is not None)
            super()._log_result(result, *rest)

    settings = {"max_steps": 1, "adv_method": name, "adv_gain_draws": 0}
    accumulated = trained(
        classifier(dropout=0.0),
        config(tmp_path, **SINGLE | settings, gradient_accumulation_steps=32),
        rows,
        trainer_class=Counting,
    )
    assert len(attacked) == 32
    assert 0 < sum(attacked) < 32
    at_once = trained(
        classifier(dropout=0.0),
        config(tmp_path, **settings, per_device_train_batch_size=32, adv_alpha=sum(attacked) / 8),
        rows,
    )
    torch.testing.assert_close(weights(accumulated), weights(at_once), **CLOSE)
    assert logged(accumulated, "loss") == pytest.approx(logged(at_once, "loss"), rel=1e-5)
    assert logged(accumulated, "task_loss") == pytest.approx(logged(at_once, "task_loss"), rel=1e-5)


def test_that_no_row_is_attacked_for_a_while_is_no_reason_to_warn(tmp_path, caplog):
    settings = measuring_config(tmp_path, **SINGLE | {"adv_fraction": 0.02}, max_steps=12)
    run = trained(classifier(), settings, labelled_sentences())
    assert logged(run, "adversarial_loss").count(0) > 6
    assert [alpha > 0 for alpha in logged(run, "adv_alpha")] == [loss > 0 for loss in logged(run, "adversarial_loss")]
    assert "does nothing" not in caplog.text


# -- every n-th step ---------------------------------------------------------------------------------------------------


def test_every_second_step_is_standard(tmp_path):
    run = trained(classifier(), config(tmp_path, adv_every_steps=2), labelled_sentences())
    assert logged(run, "adv_alpha") == [0, 1, 0, 1]
    assert [loss > 0 for loss in logged(run, "adversarial_loss")] == [False, True, False, True]


def test_logs_between_attacks_tell_of_the_last_one(tmp_path):
    """Attacked are steps 3, 6, 9 and 12, logged every second one and, with the first gain, the third."""
    settings = {"adv_every_steps": 3, "logging_steps": 2, "max_steps": 12}
    run = trained(classifier(), measuring_config(tmp_path, **settings), labelled_sentences())
    logs = [entry for entry in run.state.log_history if "adv_alpha" in entry]
    assert [entry["step"] for entry in logs] == [2, 3, 4, 6, 8, 10, 12]
    assert [entry["adv_alpha"] for entry in logs] == [0, 1, 0, 1, 0, 1, 1]
    assert [entry["step"] for entry in logs if "adversarial_gain" in entry] == [3, 6, 10, 12]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"adv_fraction": 0.0}, r"adv_fraction must lie in \(0, 1\], not 0.0"),
        ({"adv_fraction": 1.5}, "not 1.5"),
        ({"adv_every_steps": 0}, "adv_every_steps must be 1 or more, not 0"),
    ],
)
def test_settings_out_of_their_range_are_refused(tmp_path, setting, message):
    with pytest.raises(InputError, match=message):
        config(tmp_path, **setting)


def test_a_loss_of_ones_own_cannot_be_split(tmp_path):
    with pytest.raises(InputError, match="adv_fraction below 1 needs the model's own loss"):
        trained(
            classifier(),
            config(tmp_path, adv_fraction=0.5),
            labelled_sentences(),
            compute_loss_func=lambda outputs, labels, num_items_in_batch: outputs.logits.sum(),
        )


def test_the_first_gain_is_that_of_the_first_row_whose_turn_it_is(tmp_path):
    """Of single rows every fourth is attacked, by chance; none before is a reason for a log, or for an error."""
    settings = {"adv_fraction": 0.25, "per_device_train_batch_size": 1, "max_steps": 16, "logging_steps": 500}
    run = trained(classifier(), measuring_config(tmp_path, **settings), labelled_sentences())
    steps = [entry["step"] for entry in run.state.log_history if "loss" in entry]
    first = next(entry["step"] for entry in run.state.log_history if "adversarial_gain" in entry)
    assert steps == [first, 16]


def test_steps_that_attack_no_row_by_chance_are_no_missing_adversary(tmp_path):
    settings = {"adv_fraction": 1e-6, "per_device_train_batch_size": 1, "max_steps": 2}
    assert logged(trained(classifier(), config(tmp_path, **settings), labelled_sentences()), "adv_alpha") == [0, 0]
