from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from alum.attacks.embedding_pgd import EmbeddingPGD
from tiny_linear_model import LinearModel
from tiny_models import PAD, classifier, token_batch

EPSILON = 0.1


IDS = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 8, 9, PAD], [10, 11, 12, PAD, PAD]])
MASK = IDS != PAD
LABELS = torch.tensor([0, 1, 1])


def losses(outputs):
    return F.cross_entropy(outputs.logits, LABELS, reduction="none")


def attacked(model, **settings):
    return EmbeddingPGD(**{"epsilon": EPSILON, **settings})(model, {"input_ids": IDS}, MASK, losses)


def worst_case_losses(model):
    """The margin falls fastest along the difference of the classes' weights, by radius · length at every token."""
    with torch.no_grad():
        logits = model(IDS).logits
        norms = model.embeddings(IDS).norm(dim=-1) * MASK
        radius = EPSILON * norms.sum(-1) / MASK.sum(-1)
        sign = 1 - 2 * LABELS
        margin = (logits[:, 0] - logits[:, 1]) * sign
        return F.softplus(-(margin - radius * (model.margin_lengths() * MASK).sum(-1)))


@pytest.mark.parametrize("settings", [{"num_steps": 10}, {"num_steps": 1, "step_size": 1.0}, {"num_restarts": 3}])
def test_on_a_linear_model_the_attack_is_the_closed_form_worst_case(settings):
    model = LinearModel()
    torch.testing.assert_close(losses(attacked(model, **settings)), worst_case_losses(model), rtol=1e-4, atol=1e-5)


def test_too_short_steps_stay_inside():
    """Two steps of a quarter of the radius: half of the way on a linear model."""
    model = LinearModel()
    clean = model(IDS).logits
    half, whole = (attacked(model, num_steps=n, step_size=0.25).logits - clean for n in (2, 8))
    torch.testing.assert_close(half, whole / 2, rtol=1e-4, atol=1e-5)


def test_where_every_step_overshoots_the_clean_outputs_stay():
    """The loss -(z - c)² has its maximum next to the clean point, nearer than the only step is long."""
    model = LinearModel()
    peak = model(IDS).logits[:, 0].detach() + 1e-3

    def loss(outputs):
        return -(outputs.logits[:, 0] - peak).square()

    found = EmbeddingPGD(EPSILON, num_steps=1, step_size=1.0)(model, {"input_ids": IDS}, MASK, loss)
    torch.testing.assert_close(found.logits, model(IDS).logits, rtol=0, atol=0)


@pytest.fixture(scope="module")
def encoder():
    batch = token_batch(lengths=(9, 6, 8, 5))
    labels = torch.tensor([0, 1, 0, 1])
    model = classifier(dropout=0.0)
    return SimpleNamespace(
        model=model,
        batch=batch,
        mask=batch["attention_mask"].bool(),
        losses=lambda outputs: F.cross_entropy(outputs.logits, labels, reduction="none"),
    )


def attacked_losses(encoder, **settings):
    outputs = EmbeddingPGD(**settings)(encoder.model, encoder.batch, encoder.mask, encoder.losses)
    return encoder.losses(outputs).detach()


@pytest.mark.parametrize("epsilon", [0.03, 3.0])
@pytest.mark.parametrize("num_steps", [1, 5])
def test_no_example_is_better_off_than_clean(encoder, epsilon, num_steps):
    clean = encoder.losses(encoder.model(**encoder.batch))
    assert (attacked_losses(encoder, epsilon=epsilon, num_steps=num_steps) >= clean).all()


def test_restarts_never_weaken_the_attack(encoder):
    settings = {"epsilon": 1.0, "num_steps": 2}
    one, three = (attacked_losses(encoder, **settings, num_restarts=n) for n in (1, 3))
    assert (three >= one).all()
    assert (three > one).any()


def test_a_wider_ball_is_worse(encoder):
    narrow, wide = (attacked_losses(encoder, epsilon=epsilon, num_steps=5).mean() for epsilon in (0.03, 0.1))
    assert wide > narrow


def test_the_attack_is_fixed_by_its_seed(encoder):
    settings = {"epsilon": 1.0, "num_steps": 2, "num_restarts": 2}
    state = torch.get_rng_state()
    first, second = (attacked_losses(encoder, **settings) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_padding_is_not_attacked(encoder):
    """An example's outputs are the same with and without padding beside it."""
    alone = {name: values[1:2, :6] for name, values in encoder.batch.items()}
    attack = EmbeddingPGD(0.1, num_steps=3)
    label = torch.tensor([1])
    single = attack(
        encoder.model,
        alone,
        torch.ones(1, 6, dtype=torch.bool),
        lambda o: F.cross_entropy(o.logits, label, reduction="none"),
    )
    together = attack(encoder.model, encoder.batch, encoder.mask, encoder.losses)
    torch.testing.assert_close(single.logits[0], together.logits[1], rtol=1e-3, atol=1e-4)
