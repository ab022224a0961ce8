"""What passes keep for gradients that nobody asks for, counted."""

import contextlib
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from alum.attacks.embedding_pgd import AttackedBatch, EmbeddingPGD
from alum.core.divergences import symmetric_kl
from alum.core.methods import method_named
from alum.core.objective import alum_loss
from alum.core.outputs.likelihoods import CATEGORICAL
from alum.core.perturbation import gradient_at
from alum.models.hooks.frozen import frozen
from alum.models.hooks.hooked_batch import HookedBatch
from alum.models.hooks.injection import Injection
from alum.models.inputs import padding_mask
from tiny_models import ARCHITECTURES, classifier, token_batch

LABELS = torch.tensor([0, 1])


@contextlib.contextmanager
def saved_tensors():
    saved = []

    def pack(tensor):
        saved.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield saved


def storages(tensors):
    return {tensor.untyped_storage().data_ptr() for tensor in tensors}


def test_parameters_get_their_gradients_back_as_they_were():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].bias.requires_grad_(False)
    model[1].weight = model[0].weight  # tied
    before = [parameter.requires_grad for parameter in model.parameters()]
    with contextlib.suppress(ZeroDivisionError), frozen(model):
        assert not any(parameter.requires_grad for parameter in model.parameters())
        raise ZeroDivisionError
    assert [parameter.requires_grad for parameter in model.parameters()] == before == [True, False, True]


def test_a_graph_from_before_is_differentiated_as_if_nothing_had_been():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x = torch.randn(5, 3)
    expected = torch.autograd.grad(model(x).sum(), list(model.parameters()))
    loss = model(x).sum()
    with frozen(model):
        gradient_at(lambda delta: model(x + delta).sum(), torch.zeros_like(x))
    loss.backward()
    torch.testing.assert_close(tuple(p.grad for p in model.parameters()), expected, rtol=0, atol=0)


class Linear(nn.Module):
    """Nothing but linear layers, whose gradient to x needs their weights alone."""

    def __init__(self):
        super().__init__()
        self.embeddings = nn.Embedding(9, 6)
        self.layers = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 7), nn.Linear(7, 3))

    def forward(self, ids):
        return self.layers(self.embeddings(ids).mean(1))


@dataclass
class SeenInAscent(HookedBatch):
    """Lists what each ascent pass saves."""

    saved: list = field(default_factory=list)

    def outputs(self, delta):
        with saved_tensors() as saved:
            outputs = super().outputs(delta)
        if delta.requires_grad:
            self.saved.append(saved)
        return outputs

    def task_loss(self, delta):
        with saved_tensors() as saved:
            loss = super().task_loss(delta)
        if delta.requires_grad:
            self.saved.append(saved)
        return loss


def hooked(model, run, place, mask, losses=lambda logits: nn.functional.cross_entropy(logits, LABELS)):
    def run_with_loss():
        logits = run()
        return losses(logits), logits

    return SeenInAscent(
        model, Injection(model, place), mask, run, run_with_loss, lambda logits: logits, symmetric_kl, CATEGORICAL
    )


@pytest.mark.parametrize(
    ("name", "settings", "num_ascent_passes"),
    [
        ("alum", {}, 1),
        ("alum", {"num_steps": 3, "clean_side": "first"}, 3),
        ("pgd", {"num_steps": 2}, 2),
        ("alum_virtual", {"num_steps": 3}, 2),
    ],
)
def test_ascent_passes_save_no_activation_for_the_gradient_of_a_weight(name, settings, num_ascent_passes):
    model = Linear()
    ids = torch.randint(9, (2, 5))
    # A loss that saves nothing, so that what is seen is the model's.
    mask = torch.ones_like(ids, dtype=torch.bool)
    batch = hooked(model, lambda: model(ids), model.embeddings, mask, losses=lambda logits: logits.sum())
    alum_loss(batch, method_named(name, **settings), torch.Generator().manual_seed(0)).loss.backward()
    assert len(batch.saved) == num_ascent_passes
    for saved in batch.saved:
        assert saved
        assert storages(saved) <= storages(model.parameters())
    assert all(parameter.grad is not None for parameter in model.layers.parameters())


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("method", ["alum", "pgd"])
def test_ascent_passes_save_what_those_of_a_model_do_that_is_not_trained(name, method):
    tokens = token_batch()

    def bytes_in_ascent(model):
        batch = hooked(model, lambda: model(**tokens).logits, "word", padding_mask(tokens))
        alum_loss(batch, method_named(method, num_steps=1), torch.Generator().manual_seed(0))
        return sum(tensor.nbytes for tensor in batch.saved[0])

    trained, not_trained = classifier(name, dropout=0.1).train(), classifier(name, dropout=0.1).train()
    not_trained.requires_grad_(False)
    assert bytes_in_ascent(trained) == bytes_in_ascent(not_trained)


def test_only_ascent_passes_go_without():
    model, tokens = classifier().train(), token_batch()
    seen = []

    def run():
        seen.append((torch.is_grad_enabled(), all(parameter.requires_grad for parameter in model.parameters())))
        return model(**tokens).logits

    alum_loss(hooked(model, run, "word", padding_mask(tokens)), method_named("alum", num_steps=2))
    assert seen == [(True, True), (True, False), (True, False), (True, True)]


def test_attacks_on_embeddings_save_no_activation_for_the_gradient_of_a_weight():
    model = classifier(dropout=0.0)
    tokens = token_batch()
    seen = []

    def run(inputs):
        with saved_tensors() as saved:
            outputs = model(inputs["input_ids"], inputs["attention_mask"])
        if torch.is_grad_enabled():
            seen.append(sum(tensor.nbytes for tensor in saved))
        return outputs

    def losses(outputs, inputs):
        return nn.functional.cross_entropy(outputs.logits, inputs["labels"], reduction="none")

    batch = AttackedBatch(model, run, {**tokens, "labels": LABELS}, padding_mask(tokens), losses)
    for trained in (True, False):
        model.requires_grad_(trained)
        EmbeddingPGD(0.1, num_steps=1)(batch)
    assert seen[0] == seen[1] > 0
