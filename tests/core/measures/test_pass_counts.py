import contextlib

import pytest
import torch

from alum.core.batch import LabelOutputs
from alum.core.errors import InputError
from alum.core.measures.pass_counts import pass_counts
from alum.core.methods import METHODS, method_named
from alum.core.objective import alum_loss


class CountedBatch:
    """A linear model that counts its passes: forward, to the gradient of x, and to that of the weights."""

    scale, row_noise = 1.0, None
    mask = torch.ones(2, 3)

    def __init__(self):
        self.forward, self.from_x, self.to_x, self.to_weights = 0, 0, 0, 0
        self.weight = torch.randn(4, 5, requires_grad=True)
        self.x = torch.randn(2, 3, 4, requires_grad=True)

    def clean(self):
        x = self.x * 1.0
        outputs = self.outputs_at(x)
        return outputs.square().mean(), outputs, x

    def clean_cut_at_x(self, start=None):
        self.copy = x = self.x.detach().requires_grad_()
        outputs = self.outputs_at(x if start is None else x + start(x))
        return outputs.square().mean(), outputs, x

    def task_loss_cut_at_x(self, delta):
        self.from_x += 1
        return self.outputs_at(self.copy + delta).square().mean()

    def clean_at_labels(self):
        loss, outputs, x = self.clean()
        return loss, LabelOutputs(outputs, torch.tensor([0, 4]), x.sum(1), self.weight.detach().norm(dim=0)[[0, 4]])

    def outputs(self, delta):
        self.from_x += 1
        return self.outputs_at(self.x + delta)

    @torch.no_grad()
    def averaged_outputs(self):
        return self.outputs_at(self.x)

    def task_loss(self, delta):
        outputs = self.outputs(delta)
        return outputs.square().mean(), outputs

    def divergence(self, adversarial, clean):
        return (adversarial - clean).square().sum(-1)

    def predicted_labels(self, outputs):
        return outputs.detach() - 1

    def sampled_labels(self, outputs, generator):
        return outputs.detach() + 1

    def own_loss(self, outputs, labels):
        return (outputs - labels).square().sum()

    def log_odds_against_likeliest(self, outputs):
        return None

    def without_dropout(self):
        return contextlib.nullcontext()

    without_weight_gradients = without_dropout

    def outputs_at(self, x):
        self.forward += 1
        x, weight = x * 1.0, self.weight * 1.0
        if x.requires_grad:
            x.register_hook(self.to_x_passed)
        if weight.requires_grad:
            weight.register_hook(self.to_weights_passed)
        return (x @ weight).sum(1)

    def to_x_passed(self, gradient):
        self.to_x += 1

    def to_weights_passed(self, gradient):
        self.to_weights += 1


def attempted(name, **settings):
    with contextlib.suppress(InputError):
        return method_named(name, **settings)


# Every method with every side of D, way to treat dropout and ascent that it may have, and one step more.
VARIANTS = [
    method
    for name in METHODS
    for clean_side in ("joint", "first", "constant")
    for dropout in ("shared", "off")
    for ascent in ("divergence", "task_loss", "predicted", "sampled")
    for more in (0, 1)
    if (
        method := attempted(
            name, clean_side=clean_side, dropout=dropout, ascent=ascent, num_steps=METHODS[name].num_steps + more
        )
    )
]


@pytest.mark.parametrize("method", [*METHODS.values(), *VARIANTS], ids=lambda method: method.name)
def test_counts_are_those_of_the_passes_that_the_objective_makes(method):
    batch = CountedBatch()
    alum_loss(batch, method).loss.backward()
    counts = pass_counts(method)
    assert (counts.forward, counts.from_x) == (batch.forward, batch.from_x)
    assert counts.backward + counts.to_x == batch.to_x
    # An ascent pass goes back to x, which here takes the weights with it unless they are frozen.
    assert counts.backward <= batch.to_weights <= counts.backward + counts.to_x
    assert counts.graphs in (1, 2, 3)


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ({"name": "standard"}, 3),
        ({"name": "alum"}, 8),
        ({"name": "alum", "num_steps": 3}, 12),
        ({"name": "alum", "clean_side": "first"}, 10),
        ({"name": "alum", "clean_side": "constant"}, 8),
        ({"name": "alum", "dropout": "off"}, 11),
        ({"name": "alum_one_pass"}, 6),
        ({"name": "alum_virtual"}, 7),
        ({"name": "alum_virtual", "clean_side": "first"}, 8),
        ({"name": "pgd"}, 12),
        ({"name": "freelb"}, 9),
        ({"name": "freelb", "num_steps": 2}, 6),
        ({"name": "adv_softmax"}, 3),
        ({"name": "smart"}, 9),
        ({"name": "smart", "proximal_weight": 0.0}, 8),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else None,
)
def test_passes_by_hand(settings, passes):
    """Forward 1; backward to activations 1 and to weights 1."""
    assert pass_counts(method_named(**settings)).in_standard_steps == pytest.approx(passes / 3)
