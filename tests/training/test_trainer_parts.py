"""An adversary for a part of each batch, or at every n-th step only."""

import pytest
import torch

from alum.core.errors import InputError
from tiny_models import classifier, language_model
from tiny_runs import config, labelled_sentences, logged, masked_sentences, trained, weights

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
METHODS = ["alum_one_pass", "pgd"]  # without random noise at the start


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


def test_every_second_step_is_standard(tmp_path):
    run = trained(classifier(), config(tmp_path, adv_every_steps=2), labelled_sentences())
    assert logged(run, "adv_alpha") == [0, 1, 0, 1]
    assert [loss > 0 for loss in logged(run, "adversarial_loss")] == [False, True, False, True]


def test_logs_between_attacks_tell_of_the_last_one(tmp_path):
    """Attacked are steps 3 and 6, logged 2, 4 and 6."""
    run = trained(classifier(), config(tmp_path, adv_every_steps=3, logging_steps=2, max_steps=6), labelled_sentences())
    assert logged(run, "adv_alpha") == [0, 1, 1]
    assert len(logged(run, "adversarial_gain")) == 2


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
