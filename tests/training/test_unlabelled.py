"""Rows without labels train by the adversarial term alone."""

import pytest
import torch
import torch.nn.functional as F

from alum.core.divergences import bernoulli_symmetric_kl, squared_error, symmetric_kl
from alum.core.errors import InputError
from alum.training.step import AlumStep
from tiny_models import classifier, token_batch
from tiny_runs import config, labelled_sentences, logged, sentences, trained, weights

SIDES = ["joint", "first", "constant"]
ALPHA = 3.0


def gradients(model):
    return [parameter.grad for parameter in model.parameters()]


def step_and_objective(labels, clean_side, written_loss, distance=symmetric_kl, **head):
    """Gradients of one step on a batch, and those of the objective at the same δ, written out."""
    model, written_out = (classifier(dropout=0.0, **head).train() for _ in range(2))
    batch = token_batch()
    result = AlumStep(model, "alum_virtual", alpha=ALPHA, clean_side=clean_side)({**batch, **labels})

    clean = written_out(**batch).logits
    handle = written_out.get_input_embeddings().register_forward_hook(lambda module, x, output: output + result.delta)
    adversarial = written_out(**batch).logits
    handle.remove()
    constant = clean.detach() if clean_side == "constant" else clean
    (written_loss(clean) + ALPHA * distance(adversarial, constant).mean()).backward()
    assert result.adversarial_loss > 0
    return result, gradients(model), gradients(written_out)


@pytest.mark.parametrize("clean_side", SIDES)
def test_a_row_labelled_minus_100_counts_for_the_divergence_alone(clean_side):
    result, found, expected = step_and_objective(
        {"labels": torch.tensor([1, -100])}, clean_side, lambda logits: F.cross_entropy(logits[:1], torch.tensor([1]))
    )
    assert result.task_loss > 0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("labels", [{}, {"labels": torch.tensor([-100, -100])}], ids=["none", "minus 100"])
@pytest.mark.parametrize("clean_side", SIDES)
def test_a_batch_without_labels_has_no_task_loss(clean_side, labels):
    result, found, expected = step_and_objective(labels, clean_side, lambda logits: logits.sum() * 0)
    assert result.task_loss == 0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("distance", "head"),
    [
        (squared_error, {"problem_type": "regression", "num_labels": 1}),
        (bernoulli_symmetric_kl, {"problem_type": "multi_label_classification", "num_labels": 3}),
    ],
    ids=["regression", "multi label"],
)
def test_kinds_whose_labels_are_numbers_take_batches_without_any(distance, head):
    _, found, expected = step_and_objective({}, "joint", lambda logits: logits.sum() * 0, distance, **head)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["alum_one_pass", "fgm", "pgd"])
def test_an_ascent_of_the_task_loss_needs_labels(tmp_path, name):
    with pytest.raises(InputError, match="needs labels"):
        AlumStep(classifier(), name)(token_batch())
    with pytest.raises(InputError, match=r"needs labels.*Choose 'alum_virtual'"):
        trained(classifier(), config(tmp_path, adv_method=name), sentences())


# -- in the Trainer ----------------------------------------------------------------------------------------------------


def partly_labelled():
    """Of each four rows the first two have no labels."""
    rows = labelled_sentences()
    return [row if i % 4 > 1 else {**row, "labels": torch.tensor(-100)} for i, row in enumerate(rows)]


@pytest.mark.parametrize("clean_side", SIDES)
def test_micro_batches_are_as_good_as_the_whole_whichever_rows_have_labels(tmp_path, clean_side):
    settings = {"adv_method": "alum_virtual", "adv_alpha": ALPHA, "adv_clean_side": clean_side}
    found = [
        trained(
            classifier(dropout=0.0),
            config(
                tmp_path,
                **settings,
                per_device_train_batch_size=8 // accumulated,
                gradient_accumulation_steps=accumulated,
                train_sampling_strategy="sequential",
            ),
            partly_labelled(),
        )
        for accumulated in (1, 4)  # of four micro-batches two have no label at all
    ]
    torch.testing.assert_close(weights(found[0]), weights(found[1]), rtol=1e-5, atol=1e-6)
    for name in ("task_loss", "adversarial_loss"):
        assert logged(found[0], name) == pytest.approx(logged(found[1], name), rel=1e-4)


def test_rows_without_labels_are_rows_labelled_minus_100(tmp_path):
    settings = {"adv_method": "alum_virtual", "adv_alpha": ALPHA}
    without, ignored = (
        trained(classifier(dropout=0.0), config(tmp_path, **settings), rows)
        for rows in (sentences(), [{**row, "labels": torch.tensor(-100)} for row in sentences()])
    )
    torch.testing.assert_close(weights(without), weights(ignored))
    assert logged(without, "task_loss") == [0.0] * 4
    assert min(logged(without, "adversarial_loss")) > 0
    untrained = dict(classifier(dropout=0.0).named_parameters())
    assert any((value != untrained[name]).any() for name, value in without.model.named_parameters())


def test_a_part_of_the_rows_may_be_attacked_whichever_have_labels(tmp_path):
    settings = {"adv_method": "alum_virtual", "adv_fraction": 0.5, "per_device_train_batch_size": 4}
    trainer = trained(classifier(dropout=0.0), config(tmp_path, **settings), partly_labelled())
    assert all(map(torch.isfinite, (torch.tensor(logged(trainer, "loss")))))
    assert all(weight.isfinite().all() for weight in trainer.model.parameters())
