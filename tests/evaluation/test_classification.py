import math

import numpy as np
import pytest
import torch
from datasets import Dataset

from alum.attacks.embedding_pgd import EmbeddingPGD
from alum.core.methods import method_named
from alum.data.tokenizer import train_wordpiece
from alum.evaluation.classification import Classifier
from alum.tasks.regression import REGRESSION
from alum.tasks.sequence_classification import SEQUENCE_CLASSIFICATION
from tiny_linear_model import HIDDEN, LENGTH, VOCAB_SIZE, LinearModel
from tiny_models import classifier

ATTACK = EmbeddingPGD(epsilon=0.1, num_steps=2)


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece(["a b c d e f g h i j k l m n o p"], 21, LENGTH)


def examples(count, lengths=(LENGTH,), vocab_size=VOCAB_SIZE):
    rng = np.random.default_rng(0)
    rows = [rng.integers(1, vocab_size, lengths[i % len(lengths)]).tolist() for i in range(count)]
    return Dataset.from_dict({"input_ids": rows, "labels": rng.integers(0, 2, count).tolist()})


def measuring(model, tokenizer, kind=SEQUENCE_CLASSIFICATION, batch_size=4):
    return Classifier(model, tokenizer, kind, batch_size)


# -- logits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attack", [None, ATTACK])
def test_batches_and_their_padding_change_nothing(tokenizer, attack):
    rows = examples(7, lengths=(5, 3, 8))
    alone, together = (measuring(classifier(dropout=0.0), tokenizer, batch_size=n).logits(rows, attack) for n in (1, 4))
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-3, atol=1e-4)
    assert together[1].tolist() == alone[1].tolist() == rows["labels"][:]


def test_logits_are_those_of_evaluation_mode(tokenizer):
    rows = examples(3)
    model = classifier(dropout=0.5).train()
    found, _ = measuring(model, tokenizer).logits(rows)
    with torch.no_grad():
        expected = model.eval()(torch.tensor(rows["input_ids"][:])).logits
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-6)


def test_the_attack_lowers_the_margin_as_far_as_the_closed_form_says(tokenizer):
    model, rows = LinearModel(), examples(6)
    (clean, labels), (attacked, _) = (measuring(model, tokenizer).logits(rows, a) for a in (None, ATTACK))
    norms = model.embeddings(torch.tensor(rows["input_ids"][:])).norm(dim=-1).detach().numpy()
    # Two of the steps of a quarter of the radius.
    moved = 2 * 0.25 * ATTACK.epsilon * norms.mean(-1) * model.margin_lengths().sum().item()
    margins = [(logits[:, 0] - logits[:, 1]) * (1 - 2 * labels) for logits in (clean, attacked)]
    np.testing.assert_allclose(margins[0] - margins[1], moved, rtol=1e-3)


# -- losses that the attack raises -------------------------------------------------------------------------------------


def test_classification_is_attacked_through_the_negative_log_probability(tokenizer):
    losses = measuring(LinearModel(), tokenizer).losses(torch.tensor([[math.log(3.0), 0.0]]), torch.tensor([1]))
    assert losses.item() == pytest.approx(math.log(4))


def test_regression_is_attacked_through_the_squared_error(tokenizer):
    classifier = measuring(LinearModel(), tokenizer, REGRESSION)
    losses = classifier.losses(torch.tensor([[2.0], [1.0]]), torch.tensor([5.0, 1.0]))
    assert losses.tolist() == [9.0, 0.0]


# -- what measuring leaves behind --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "measure",
    [
        lambda measured, rows: measured.logits(rows, ATTACK),
        lambda measured, rows: measured.gain(rows, method_named("alum")),
        lambda measured, rows: measured.gain(rows, method_named("alum_one_pass")),
    ],
    ids=["attack", "joint gain", "one-pass gain"],
)
def test_measuring_leaves_the_parameters_as_they_were(tokenizer, measure):
    model = classifier(dropout=0.0)
    frozen = model.bert.embeddings.position_embeddings.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    measure(measuring(model, tokenizer), examples(5))
    assert not frozen.requires_grad
    assert all(p.requires_grad for p in model.parameters() if p is not frozen)
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_attack_that_fails_gives_the_parameters_back(tokenizer):
    def fail(*args):
        raise RuntimeError("lost")

    model = classifier()
    with pytest.raises(RuntimeError, match="lost"):
        measuring(model, tokenizer).logits(examples(1), fail)
    assert all(p.requires_grad for p in model.parameters())


# -- gain --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [method_named("alum", epsilon=0.01, num_steps=8), method_named("alum_one_pass", epsilon=0.01)],
    ids=lambda method: method.name,
)
def test_the_gain_on_a_linear_model_is_the_closed_form(tokenizer, method):
    """For small δ the divergence is p(1 - p)·s², with s how far the margin moves.

    Along the gradient, where enough steps outweigh the noise at the start, s = r Σ‖w_t‖ with weights w_t at the
    positions. In random directions E[s²] = r² Σ‖w_t‖² / H.
    """
    model = LinearModel()
    lengths = model.margin_lengths()
    expected = HIDDEN * (lengths.sum().square() / lengths.square().sum()).item()
    measured = measuring(model, tokenizer, batch_size=64)
    gain = measured.gain(examples(64), method, num_draws=64)
    # s² of a draw is about χ² with one degree of freedom: the mean of n has a standard deviation of √(2/n).
    assert gain == pytest.approx(expected, rel=4 * math.sqrt(2 / (64 * 64)))


def test_the_gain_of_noise_is_one(tokenizer):
    measured = measuring(LinearModel(), tokenizer, batch_size=256)
    gain = measured.gain(examples(2048), method_named("r3f", epsilon=1e-3), num_draws=4)
    assert gain == pytest.approx(1.0, rel=4 * math.sqrt(2 / 2048))


def test_a_perturbation_that_moves_nothing_has_gain_one(tokenizer):
    model = LinearModel()
    model.weight.data.zero_()
    assert measuring(model, tokenizer).gain(examples(4), method_named("alum")) == 1.0
