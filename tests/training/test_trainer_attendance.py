"""An adversary that is asked for trains, or the user is told why it does not."""

import re

import pytest
import torch
import torch.nn.functional as F
from transformers import Trainer

from alum.core.errors import InputError
from alum.core.methods import METHODS
from alum.training.trainer import AlumMixin, AlumTrainer
from tiny_models import classifier, language_model
from tiny_runs import (
    FOR_ANY_MODEL,
    config,
    labelled_sentences,
    logged,
    masked_sentences,
    plain_config,
    trained,
    weights,
)

ADVERSARIAL = [name for name in FOR_ANY_MODEL if name != "standard"]
CLASS_WEIGHTS = torch.tensor([1.0, 3.0])


def weighted(logits, labels):
    return F.cross_entropy(logits, labels, weight=CLASS_WEIGHTS)


def class_weights(self, model, inputs, return_outputs=False, num_items_in_batch=None):
    """As in the Trainer's documentation."""
    labels = inputs.pop("labels")
    outputs = model(**inputs)
    loss = weighted(outputs.logits, labels)
    return (loss, outputs) if return_outputs else loss


class ClassWeights(Trainer):
    compute_loss = class_weights


class Weighted(AlumTrainer):
    compute_loss = class_weights


class WeightedOutputs(AlumTrainer):
    """Takes the outputs of ALUM's pass, and leaves its loss."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        _, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        loss = weighted(outputs.logits, inputs["labels"])
        return (loss, outputs) if return_outputs else loss


class WeightsBeforeAlum(ClassWeights, AlumTrainer):
    pass


class AlumBeforeWeights(AlumMixin, ClassWeights):
    pass


def two_classes():
    return classifier(num_labels=2, dropout=0.0)


# -- absent ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trainer", "method", "owner", "settings"),
    [
        (Weighted, "alum_one_pass", "Weighted", {}),
        (Weighted, "alum", "Weighted", {"logging_strategy": "no"}),
        (WeightsBeforeAlum, "alum_one_pass", "ClassWeights", {"logging_steps": 500}),
        (WeightedOutputs, "alum", "WeightedOutputs", {}),
        (WeightedOutputs, "alum", "WeightedOutputs", {"logging_steps": 500}),
    ],
)
def test_a_loss_that_leaves_the_adversary_out_is_an_error(tmp_path, trainer, method, owner, settings):
    message = (
        rf"'{method}' is asked for, but in \d steps? no adv.*{owner} has a compute_loss.*compute_loss_func, or put"
    )
    with pytest.raises(InputError, match=message):
        trained(two_classes(), config(tmp_path, adv_method=method, **settings), labelled_sentences(), trainer)


@pytest.mark.parametrize(
    "settings", [{"adv_method": "standard"}, {"adv_alpha": 0.0}, {"adv_start_fraction": 1.0}], ids=str
)
def test_without_an_adversary_such_a_loss_is_the_users(tmp_path, settings):
    ours = trained(two_classes(), config(tmp_path, **settings), labelled_sentences(), Weighted)
    plain = trained(two_classes(), plain_config(tmp_path), labelled_sentences(), ClassWeights)
    torch.testing.assert_close(weights(ours), weights(plain), rtol=0, atol=0)


def test_it_is_an_error_from_the_start_of_the_curriculum_on(tmp_path):
    settings = config(tmp_path, adv_start_fraction=0.5)
    with pytest.raises(InputError, match="in 3 steps no adversarial loss"):
        trained(two_classes(), settings, labelled_sentences(), Weighted)


def test_every_training_is_looked_at(tmp_path):
    trainer = trained(two_classes(), config(tmp_path), labelled_sentences())
    trainer.compute_loss = class_weights.__get__(trainer)
    with pytest.raises(InputError, match="it was never back-propagated"):
        trainer.train()


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize("method", ADVERSARIAL)
def test_the_two_ways_that_the_error_names_train_the_same(tmp_path, method):
    def own_loss(outputs, labels, num_items_in_batch):
        return weighted(outputs.logits, labels)

    settings = {"adv_method": method}
    by_function = trained(two_classes(), config(tmp_path, **settings), labelled_sentences(), compute_loss_func=own_loss)
    by_class = trained(two_classes(), config(tmp_path, **settings), labelled_sentences(), AlumBeforeWeights)
    torch.testing.assert_close(weights(by_function), weights(by_class), rtol=1e-5, atol=1e-6)
    assert logged(by_class, "adversarial_loss") == pytest.approx(logged(by_function, "adversarial_loss"), rel=1e-4)
    assert logged(by_class, "adv_alpha") == [1.0] * 4


# -- bases in the wrong order ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [Trainer, ClassWeights])
def test_the_mix_in_after_the_trainer_is_refused(base):
    message = f"Late would train without an adversary.*class Late(AlumMixin, {base.__name__})"
    with pytest.raises(InputError, match=re.escape(message).replace(r"\.\*", ".*")):
        type("Late", (base, AlumMixin), {})


# -- scaled ------------------------------------------------------------------------------------------------------------


def scaled_by(factor):
    class Scaled(AlumTrainer):
        def compute_loss(self, *args, **kwargs):
            return factor * super().compute_loss(*args, **kwargs)

    return Scaled


SCALED_LATE = [{"adv_method": "alum_one_pass"}, {"adv_method": "fgm"}, {"adv_method": "alum", "adv_fraction": 0.5}]
ARRANGEMENTS = [{}, {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}, {"bf16": True}]


@pytest.mark.parametrize("arrangement", ARRANGEMENTS, ids=["at once", "accumulated", "bf16"])
@pytest.mark.parametrize("settings", SCALED_LATE, ids=str)
def test_a_factor_that_would_reach_a_part_of_the_loss_only_is_refused(tmp_path, settings, arrangement):
    with pytest.raises(InputError, match=r"was multiplied by 3, but a part of it .*compute_loss_func"):
        trained(two_classes(), config(tmp_path, **settings, **arrangement), labelled_sentences(), scaled_by(3.0))


NAMES_OF_ARRANGEMENTS = ("at once", "accumulated", "bf16")


def of_each_method():
    """Of each method classes in one arrangement and masked tokens in another, where all three take turns."""
    for number, (name, row) in enumerate(METHODS.items()):
        for shift, (kind, rows) in enumerate(
            {"classes": labelled_sentences, "masked tokens": masked_sentences}.items()
        ):
            arrangement = (number + shift) % 3
            if row.alpha and (kind == "masked tokens" or name in FOR_ANY_MODEL):
                id = f"{kind}-{name}-{NAMES_OF_ARRANGEMENTS[arrangement]}"
                yield pytest.param(rows(), name, ARRANGEMENTS[arrangement], id=id)


@pytest.mark.quick_cases(10)
@pytest.mark.parametrize(("rows", "name", "arrangement"), of_each_method())
def test_factors_of_the_trainer_are_right_for_all_parts(tmp_path, name, rows, arrangement):
    model = language_model() if rows[0]["labels"].dim() else classifier()
    trainer = trained(model, config(tmp_path, adv_method=name, adv_fraction=0.5, **arrangement), rows)
    assert len(logged(trainer, "loss")) == 4


def test_a_method_that_back_propagates_once_is_scaled_as_a_whole(tmp_path):
    settings = {"adv_method": "alum", "max_grad_norm": 0.0}
    scaled = trained(two_classes(), config(tmp_path, **settings), labelled_sentences(), scaled_by(3.0))
    faster = trained(two_classes(), config(tmp_path, learning_rate=0.15, **settings), labelled_sentences())
    torch.testing.assert_close(weights(scaled), weights(faster), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", SCALED_LATE, ids=str)
def test_a_term_may_be_added(tmp_path, settings):
    class Shrinking(AlumTrainer):
        def compute_loss(self, *args, **kwargs):
            return super().compute_loss(*args, **kwargs) + 10.0 * self.model.classifier.weight.square().sum()

    settings = {"max_steps": 1, "max_grad_norm": 0.0, **settings}
    shrunk, plain = (
        weights(trained(two_classes(), config(tmp_path, **settings), labelled_sentences(), trainer))[
            "classifier.weight"
        ]
        for trainer in (Shrinking, AlumTrainer)
    )
    step = 0.05 * 20.0 * two_classes().classifier.weight.detach()  # learning rate times the gradient of the term
    torch.testing.assert_close(plain - shrunk, step, rtol=1e-4, atol=1e-5)
