"""The objective on a small network, against the formula written out and differentiated by autograd."""

import contextlib
import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from alum.core.divergences import symmetric_kl
from alum.core.errors import SettingError
from alum.core.methods import METHODS, method_named
from alum.core.objective import alum_loss
from alum.core.outputs.likelihoods import CATEGORICAL, TOKENS
from alum.models.hooks.frozen import frozen

X = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 2, 1])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]]).bool()
SCALE = 0.5
AVERAGE = torch.tensor([1.2, 0.9, 1.1, 0.7, 1.0])  # of the weights that X is multiplied with
TRAINED = [
    name for name, row in METHODS.items() if name not in ("standard", "freelb") and not row.is_for_language_models
]
JOINT = [name for name in TRAINED if METHODS[name].gradient == "own_pass"]
ONE_PASS = [name for name in TRAINED if METHODS[name].gradient == "task_backward"]


class Network(nn.Module):
    """Two layers with a dropout mask between them that is always the same."""

    def __init__(self):
        super().__init__()
        self.lower, self.upper = nn.Linear(20, 16), nn.Linear(16, 3)

    def forward(self, x, dropout=True):
        hidden = self.lower(x.flatten(1)).tanh()
        return self.upper(hidden * (torch.arange(16) % 4 > 0) / 0.75 if dropout else hidden)


class SmallBatch:
    """A network on embeddings X times a weight that is 1, whose divergence can be spoilt."""

    mask, scale, row_noise = MASK, SCALE, None

    def __init__(self, spoil_divergence=1.0, spoil_gradient=1.0, dropout="shared"):
        torch.manual_seed(0)
        self.below = nn.Parameter(torch.ones(5))
        self.network = Network()
        self.spoil_divergence, self.spoil_gradient, self.dropout = spoil_divergence, spoil_gradient, dropout

    def embeddings(self):
        return X * self.below

    def clean(self):
        self.x = self.embeddings()
        return self._clean_above(self.x)

    def clean_cut_at_x(self, start=None):
        self.x = self.embeddings()
        self.copy = copy = self.x.detach().requires_grad_()
        self.x.register_hook(lambda gradient: gradient + copy.grad)
        return self._clean_above(copy if start is None else copy + start(copy))

    def task_loss_cut_at_x(self, delta):
        return SCALE * F.cross_entropy(self.network(self.copy + delta), Y)

    def _clean_above(self, x):
        logits = self.network(x)
        return SCALE * F.cross_entropy(logits, Y), logits, x

    def outputs(self, delta):
        if delta.requires_grad:
            delta.register_hook(lambda gradient: gradient * self.spoil_gradient)
        return self.network(self.x + delta, dropout=self.dropout != "off")

    @contextlib.contextmanager
    def without_dropout(self):
        former, self.dropout = self.dropout, "off"
        yield
        self.dropout = former

    def without_weight_gradients(self):
        return frozen(self.network)

    def predicted_labels(self, outputs):
        return CATEGORICAL.predicted(outputs)

    def sampled_labels(self, outputs, generator):
        return CATEGORICAL.sampled(outputs, generator)

    def own_loss(self, outputs, labels):
        return CATEGORICAL.loss(outputs, labels).sum()

    def log_odds_against_likeliest(self, outputs):
        return CATEGORICAL.loss(outputs, CATEGORICAL.predicted(outputs))

    @torch.no_grad()
    def averaged_outputs(self):
        return self.network(X * AVERAGE, dropout=self.dropout != "off")

    def task_loss(self, delta):
        logits = self.outputs(delta)
        return SCALE * F.cross_entropy(logits, Y) * self.spoil_divergence, logits

    def divergence(self, adversarial, clean):
        return symmetric_kl(adversarial, clean) * self.spoil_divergence

    def gradients(self):
        return [self.below.grad, *(parameter.grad for parameter in self.network.parameters())]


def method(name, **settings):
    return dataclasses.replace(METHODS[name], epsilon=0.3, epsilon_unit="absolute", alpha=2.0, **settings)


def step(batch, method, **arguments):
    result = alum_loss(batch, method, generator=torch.Generator().manual_seed(0), **arguments)
    result.loss.backward()
    return result


def symmetric_kl_written_out(p, q):
    p, q = p.softmax(-1), q.softmax(-1)
    return (p * (p / q).log() + q * (q / p).log()).sum(-1)


def written_out(method, delta):
    """ℓ + α·D, or ℓ + α·ℓ(x + δ), at a given δ, and the two terms."""
    batch = SmallBatch()
    task_loss, clean, _ = batch.clean()
    dropout = method.dropout != "off"
    adversarial = batch.network(batch.embeddings() + delta, dropout)
    if not dropout:
        clean = batch.network(batch.embeddings(), dropout)
    if method.clean_side == "constant":
        clean = clean.detach()
    if method.term == "task_loss":
        adversarial_loss = SCALE * F.cross_entropy(adversarial, Y)
    else:
        adversarial_loss = SCALE * symmetric_kl_written_out(adversarial, clean).mean()
    loss = task_loss + 2.0 * adversarial_loss
    if method.proximal_weight:
        with torch.no_grad():
            averaged = batch.network(X * AVERAGE, dropout)
        loss = loss + method.proximal_weight * SCALE * symmetric_kl_written_out(clean, averaged).mean()
    loss.backward()
    return loss, task_loss, adversarial_loss, batch.gradients()


def attempted(name, **settings):
    with contextlib.suppress(SettingError):
        return method(name, **settings)


# Each method with every side of D, way to treat dropout and ascent that it may have.
VARIANTS = {
    "-".join((name, *settings.values())): variant
    for name in TRAINED
    for clean_side in ("joint", "first", "constant")
    for dropout in ("shared", "off")
    for ascent in ("divergence", "task_loss", "predicted", "sampled")
    if (settings := {"clean_side": clean_side, "dropout": dropout, "ascent": ascent})
    and (variant := attempted(name, **settings))
}


@pytest.mark.parametrize("variant", [*map(method, TRAINED), *VARIANTS.values()], ids=[*TRAINED, *VARIANTS])
def test_value_and_gradients_are_those_of_the_written_out_objective(variant):
    batch = SmallBatch(dropout=variant.dropout)
    result = step(batch, variant)
    loss, task_loss, adversarial_loss, gradients = written_out(variant, result.delta)
    torch.testing.assert_close(
        (result.loss, result.task_loss, result.adversarial_loss), (loss, task_loss, adversarial_loss)
    )
    torch.testing.assert_close(batch.gradients(), gradients)
    assert (result.alpha, result.skipped.item(), result.diagnostics) == (2.0, 0.0, None)


def test_alpha_0_is_the_task_loss_alone():
    batch, plain = SmallBatch(), SmallBatch()
    result = step(batch, METHODS["standard"])
    plain.clean()[0].backward()
    torch.testing.assert_close(batch.gradients(), plain.gradients(), rtol=0, atol=0)
    assert (result.adversarial_loss.item(), result.delta) == (0.0, None)


@pytest.mark.parametrize("name", ONE_PASS)
def test_one_pass_ascends_the_gradient_of_the_task_loss(name):
    batch = SmallBatch()
    result = step(batch, method(name))
    loss, _, x = SmallBatch().clean()
    gradient = torch.autograd.grad(loss, x)[0] * MASK.unsqueeze(-1)
    dims = (-1,) if METHODS[name].scope == "token" else (1, 2)
    length = gradient.norm(dim=dims, keepdim=True).clamp_min(1e-30)
    torch.testing.assert_close(result.delta, 0.3 * gradient / length)


@pytest.mark.parametrize("name", ONE_PASS)
def test_the_scale_of_the_task_backward_does_not_matter(name):
    scaled = alum_loss(SmallBatch(), method(name), backward=lambda loss: (loss * 2.0**16).backward())
    plain = alum_loss(SmallBatch(), method(name))
    torch.testing.assert_close(scaled.delta, plain.delta)


@pytest.mark.parametrize(
    "variant",
    [
        method("alum_virtual"),
        method("alum_virtual", clean_side="first"),
        method("alum_virtual", clean_side="constant"),
        method("alum", ascent="predicted", init_std=0.0),
    ],
    ids=["joint", "first", "constant", "by_a_pass_of_its_own"],
)
def test_virtual_directions_are_the_gradient_at_the_predicted_label(variant):
    result = step(SmallBatch(), variant)
    _, logits, x = SmallBatch().clean()
    gradient = torch.autograd.grad(F.cross_entropy(logits, logits.argmax(-1), reduction="sum"), x)[0]
    expected = 0.3 * F.normalize(gradient, dim=-1) * MASK.unsqueeze(-1)
    torch.testing.assert_close(result.delta, expected)


def test_sampled_directions_are_the_gradient_at_a_label_drawn_from_the_prediction():
    _, logits, x = SmallBatch().clean()
    expected = [
        0.3 * F.normalize(torch.autograd.grad(-logits.log_softmax(-1)[:, label].sum(), x, retain_graph=True)[0], dim=-1)
        for label in range(3)
    ]
    counts = torch.zeros(3, 3)
    for seed in range(300):
        generator = torch.Generator().manual_seed(seed)
        delta = alum_loss(SmallBatch(), method("alum_virtual", ascent="sampled"), generator).delta
        for example in range(3):
            matches = [torch.allclose(delta[example, 0], each[example, 0], atol=1e-5) for each in expected]
            assert sum(matches) == 1
            counts[example] += torch.tensor(matches)
    # Within four standard deviations of a share of 300 draws.
    torch.testing.assert_close(counts / 300, logits.softmax(-1).detach(), atol=4 * 0.5 / 300**0.5, rtol=0)


def test_in_half_precision_the_clean_side_keeps_its_gradient():
    # ∂D/∂f(x) times this weight is below fp16's smallest number; times the scale of the loss it is not.
    class Half(SmallBatch):
        scale = 1e-6

        def _clean_above(self, x):
            loss, logits, x = super()._clean_above(x)
            return loss / SCALE * self.scale, logits.half(), x

        def outputs(self, delta):
            return super().outputs(delta).half()

    def scaled(loss):
        (loss * 2.0**14).backward()

    found = []
    for side in ("joint", "first"):
        batch = Half()
        scaled(alum_loss(batch, method("alum_virtual", clean_side=side), backward=scaled).loss)
        found.append([gradient / 2.0**14 for gradient in batch.gradients()])
    for first, joint in zip(*reversed(found), strict=True):
        torch.testing.assert_close(first, joint, rtol=0.02, atol=0.02 * joint.abs().max().item())


def test_in_half_precision_a_sure_model_still_has_a_virtual_direction():
    # 1 - p is 1e-9: below fp16's smallest number, not below fp32's.
    bias = torch.tensor([20.0, 0.0, 0.0])

    class Sure(SmallBatch):
        def _clean_above(self, x):
            logits = (self.network(x) + bias).half()
            return F.cross_entropy(logits.float(), Y), logits, x

        def own_loss(self, outputs, labels):
            return TOKENS.loss(outputs, labels).sum()

    delta = alum_loss(Sure(), method("alum_virtual", clean_side="constant")).delta
    batch = SmallBatch()
    batch.network.double()
    x = X.double().requires_grad_()
    others = (batch.network(x) + bias).half().double() - batch.network(x).detach() + batch.network(x)
    p = others.softmax(-1)
    loss = p[:, 1:].sum()  # 1 - p, as good as -log p
    (gradient,) = torch.autograd.grad(loss, x)
    expected = 0.3 * F.normalize(gradient, dim=-1).float() * MASK.unsqueeze(-1)
    torch.testing.assert_close(delta, expected, rtol=0, atol=0.01)


def test_without_dropout_the_ascent_starts_from_no_divergence():
    # A clean side with dropout is far from a perturbed one without: D would have a gradient at δ = 0, of no adversary.
    result = step(SmallBatch(dropout="off"), method("alum", dropout="off", init_std=0.0))
    assert (result.delta == 0).all()
    assert result.adversarial_loss == 0


@pytest.mark.parametrize("name", TRAINED)
def test_the_pieces_of_the_result_carry_no_graph(name):
    result = step(SmallBatch(), method(name), num_gain_draws=2)
    pieces = [result.task_loss, result.adversarial_loss, result.skipped, result.delta]
    pieces += [piece for piece in dataclasses.asdict(result.diagnostics).values() if piece is not None]
    assert not any(piece.requires_grad for piece in pieces)


# -- sources, restated -------------------------------------------------------------------------------------------------


def test_r3f_is_the_published_loss():
    """The loss with two KL terms over the batch's size, neither of whose targets is detached, λ = 1."""
    batch = SmallBatch()
    variant = method_named("r3f", epsilon=0.3)
    result = step(batch, variant)
    network = SmallBatch().network
    noised, clean = network(X + result.delta), network(X)
    into_clean = F.kl_div(noised.log_softmax(-1), clean.softmax(-1), reduction="sum")
    into_noised = F.kl_div(clean.log_softmax(-1), noised.softmax(-1), reduction="sum")
    loss = SCALE * (F.cross_entropy(clean, Y) + (into_clean + into_noised) / len(X))
    loss.backward()
    torch.testing.assert_close(result.loss, loss)
    torch.testing.assert_close(batch.gradients()[1:], [parameter.grad for parameter in network.parameters()])
    assert (variant.alpha, variant.dropout, METHODS["r3f"].epsilon) == (1.0, "independent", 1e-5)


def freelb_written_out(alpha=1.0, num_steps=3, step_size=0.2, epsilon=0.3):
    """Algorithm 1 with a ball for each sentence: gradients of all passes, added up, and the last δ."""
    batch = SmallBatch()
    mask = MASK.unsqueeze(-1)
    num_coordinates = 5 * MASK.sum(1).view(-1, 1, 1)
    uniform = 2 * torch.rand(X.shape, generator=torch.Generator().manual_seed(0)) - 1
    delta = epsilon * uniform / num_coordinates.sqrt() * mask
    losses = []
    for step in range(num_steps):
        delta.requires_grad_()
        losses.append(SCALE * F.cross_entropy(batch.network(batch.embeddings() + delta), Y))
        gradient = torch.autograd.grad(losses[-1], delta, retain_graph=True)[0] * mask
        weight = alpha / num_steps + (1 - alpha) * (step == 0)
        (weight * losses[-1]).backward()
        last, delta = delta.detach(), delta.detach() + step_size * gradient / gradient.norm(dim=(1, 2), keepdim=True)
        delta = delta * (epsilon / delta.norm(dim=(1, 2), keepdim=True)).clamp_max(1.0)
    return torch.stack(losses).detach(), last, batch.gradients()


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_freelb_trains_on_all_steps_of_its_ascent(alpha):
    batch = SmallBatch()
    variant = method_named("freelb", epsilon=0.3, alpha=alpha)
    result = step(batch, variant)
    losses, delta, gradients = freelb_written_out(alpha)
    torch.testing.assert_close(result.delta, delta)
    torch.testing.assert_close(batch.gradients(), gradients)
    torch.testing.assert_close(result.task_loss, losses[0])
    torch.testing.assert_close(result.adversarial_loss, losses.mean() - losses[0])
    torch.testing.assert_close(result.loss.detach(), losses[0] + alpha * (losses.mean() - losses[0]))
    assert result.skipped == 0
    assert losses[0] < losses[1] < losses[2]


def test_freelb_stays_where_its_gradient_is_not_finite():
    class Spoilt(SmallBatch):
        def clean_cut_at_x(self, start=None):
            def spoilt(x):
                delta = start(x)
                delta.register_hook(lambda gradient: gradient * NAN)
                return delta

            return super().clean_cut_at_x(spoilt)

    result = step(Spoilt(), method_named("freelb", epsilon=0.3, num_steps=2))
    start = torch.rand(X.shape, generator=torch.Generator().manual_seed(0))
    expected = 0.3 * (2 * start - 1) / (5 * MASK.sum(1).view(-1, 1, 1)).sqrt() * MASK.unsqueeze(-1)
    torch.testing.assert_close(result.delta, expected)
    assert result.skipped == 1


def test_freelb_measures_its_last_perturbation():
    batch = SmallBatch()
    result = step(batch, method_named("freelb", epsilon=0.3), num_gain_draws=2)
    moved = symmetric_kl_written_out(batch.network(X + result.delta), batch.network(X)).mean()
    torch.testing.assert_close(result.diagnostics.divergence, moved.detach())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("num_steps", 1),
        ("ascent", "divergence"),
        ("step_rule", "raw"),
        ("dropout", "off"),
        ("layer", 1),
        ("alpha", 1.5),
    ],
)
def test_freelb_refuses_what_its_passes_cannot_give(setting, value):
    with pytest.raises(SettingError, match=f"^{setting} must be .* with method 'freelb'"):
        method_named("freelb", **{setting: value})


# -- what is not finite ------------------------------------------------------------------------------------------------

NAN = float("nan")


@pytest.mark.parametrize("spoil", [{"spoil_divergence": NAN}, {"spoil_divergence": torch.inf}], ids=["nan", "inf"])
@pytest.mark.parametrize("name", TRAINED)
def test_a_divergence_that_is_not_finite_leaves_the_task_alone(name, spoil):
    batch, plain = SmallBatch(**spoil), SmallBatch()
    result = step(batch, method(name))
    plain.clean()[0].backward()
    torch.testing.assert_close(batch.gradients(), plain.gradients())
    assert (result.skipped.item(), result.adversarial_loss.item()) == (1.0, 0.0)
    assert (result.delta.shape, result.loss.shape) == (X.shape, ())
    torch.testing.assert_close(result.loss.detach(), result.task_loss)


@pytest.mark.parametrize("name", ["alum", "alum_virtual"])
def test_a_clean_side_that_is_not_finite_leaves_the_task_alone(name):
    batch, plain = SmallBatch(spoil_divergence=NAN), SmallBatch()
    result = step(batch, method(name, clean_side="first"))
    plain.clean()[0].backward()
    torch.testing.assert_close(batch.gradients(), plain.gradients())
    assert result.skipped.item() == 1.0


@pytest.mark.parametrize("name", [name for name in JOINT if METHODS[name].num_steps > 0])
def test_an_ascent_gradient_that_is_not_finite_leaves_the_task_alone(name):
    batch, plain = SmallBatch(spoil_gradient=NAN), SmallBatch()
    result = step(batch, method(name))
    plain.clean()[0].backward()
    torch.testing.assert_close(batch.gradients(), plain.gradients())
    assert result.skipped.item() == 1.0
    assert (result.delta == 0).all()


def test_a_network_that_overflows_only_where_it_is_perturbed_leaves_the_task_alone():
    # Here the NaN sits in the saved activations, where a gradient of zero does not undo it.
    class Overflowing(SmallBatch):
        def outputs(self, delta):
            return self.network(self.x + delta + torch.where(delta.norm() > 0, torch.inf, 0.0))

    for name in TRAINED:
        batch, plain = Overflowing(), SmallBatch()
        result = step(batch, method(name))
        plain.clean()[0].backward()
        if name != "r_drop":  # whose δ is zero
            assert result.skipped.item() == 1.0
            torch.testing.assert_close(batch.gradients(), plain.gradients())


# -- diagnostics -------------------------------------------------------------------------------------------------------


def test_the_gain_is_the_divergence_at_delta_over_that_at_noise_as_long():
    batch = SmallBatch()
    result = step(batch, method("alum"), num_gain_draws=3)
    with torch.no_grad():
        clean = batch.network(X)
        at_delta = symmetric_kl_written_out(batch.network(X + result.delta), clean).mean()
        noise = []
        for seed in range(500):
            random = torch.randn(X.shape, generator=torch.Generator().manual_seed(seed))
            random *= result.delta.norm(dim=-1, keepdim=True) / random.norm(dim=-1, keepdim=True)
            noise.append(symmetric_kl_written_out(batch.network(X + random), clean).mean())
    torch.testing.assert_close(result.diagnostics.divergence, at_delta)
    expected = at_delta / torch.stack(noise).mean()
    many = step(SmallBatch(), method("alum"), num_gain_draws=500).diagnostics
    torch.testing.assert_close(many.adversarial_gain, expected, rtol=0.1, atol=0)
    torch.testing.assert_close(many.adversarial_gain, many.divergence / many.noise_divergence)
    assert expected > 1.5


@pytest.mark.parametrize("dropout", ["independent", "off"])
@pytest.mark.parametrize("name", TRAINED)
def test_where_masks_are_not_shared_the_divergence_is_measured_without(name, dropout):
    batch = SmallBatch(dropout=dropout)
    result = step(batch, method(name, dropout=dropout), num_gain_draws=1)
    at_delta, clean = (batch.network(x, dropout=False) for x in (X + result.delta, X))
    expected = symmetric_kl_written_out(at_delta, clean).mean()
    torch.testing.assert_close(result.diagnostics.divergence, expected.detach(), rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("name", ["alum", "alum_one_pass", "alum_virtual", "noise", "pgd"])
def test_further_ascent_is_that_of_the_divergence_from_delta_on(name):
    batch = SmallBatch()
    result = step(batch, method(name), num_gain_draws=1, num_further_steps=4)
    clean, delta, found = batch.network(X).detach(), result.delta, []
    for _ in range(4):
        delta = delta.detach().requires_grad_()
        symmetric_kl_written_out(batch.network(X + delta), clean).sum().backward()
        delta = delta.detach() + 0.15 * F.normalize(delta.grad, dim=-1) * MASK.unsqueeze(-1)
        norm = delta.norm(dim=-1, keepdim=True)
        delta = torch.where(norm > 0.3, 0.3 * delta / norm, delta)
        found.append(symmetric_kl_written_out(batch.network(X + delta), clean).mean())
    largest = torch.stack([*found, result.diagnostics.divergence]).max().detach()
    torch.testing.assert_close(result.diagnostics.further_divergence, largest, rtol=1e-3, atol=1e-8)
    strength = result.diagnostics.adversarial_strength
    torch.testing.assert_close(strength, result.diagnostics.divergence / largest, rtol=1e-3, atol=0)
    assert 0 < strength <= 1
    if name == "noise":
        assert strength < 0.3


def test_what_masks_do_without_delta_is_measured_apart():
    class OtherMask(SmallBatch):
        def outputs(self, delta):
            return self.network(self.x + delta, dropout=False)

    batch = OtherMask(dropout="independent")
    result = step(batch, method("r_drop"), num_gain_draws=1)
    of_masks = symmetric_kl_written_out(batch.network(X, dropout=False), batch.network(X)).mean().detach()
    torch.testing.assert_close(result.diagnostics.mask_divergence, of_masks)
    torch.testing.assert_close(result.adversarial_loss, SCALE * of_masks)
    assert of_masks > 1e-3
    assert result.diagnostics.divergence == 0
    assert step(SmallBatch(), method("alum"), num_gain_draws=1).diagnostics.mask_divergence is None


def test_nothing_that_may_be_perturbed_is_a_ratio_of_0(monkeypatch):
    monkeypatch.setattr(SmallBatch, "mask", torch.zeros_like(MASK))
    diagnostics = step(SmallBatch(), method("alum_virtual"), num_gain_draws=1).diagnostics
    assert (diagnostics.perturbation_norm.item(), diagnostics.perturbation_ratio.item()) == (0.0, 0.0)


def test_the_length_of_the_perturbation_by_hand():
    diagnostics = step(SmallBatch(), method("alum_one_pass"), num_gain_draws=1).diagnostics
    # Every token that may be perturbed is, by the radius.
    assert diagnostics.perturbation_norm.item() == pytest.approx(0.3)
    assert diagnostics.perturbation_ratio.item() == pytest.approx(0.3 / X[MASK].norm(dim=-1).mean().item())


def test_noise_gains_about_nothing():
    measured = [
        alum_loss(SmallBatch(), method("noise"), torch.Generator().manual_seed(10 * i), num_gain_draws=1).diagnostics
        for i in range(200)
    ]
    ratio = sum(d.divergence for d in measured) / sum(d.noise_divergence for d in measured)
    assert ratio.item() == pytest.approx(1.0, abs=0.2)


def test_zero_over_zero_is_no_better_than_noise():
    diagnostics = step(SmallBatch(), method("r_drop"), num_gain_draws=1).diagnostics
    assert diagnostics.adversarial_gain.item() == 1.0


@pytest.mark.parametrize("name", TRAINED)
def test_measuring_does_not_change_what_training_draws(name):
    drawn = []
    for num_gain_draws in (0, 3):
        torch.manual_seed(5)
        generator = torch.Generator().manual_seed(0)
        batch = SmallBatch()
        torch.manual_seed(5)
        measured = {"num_gain_draws": num_gain_draws, "num_further_steps": num_gain_draws}
        alum_loss(batch, method(name), generator, **measured).loss.backward()
        drawn.append((torch.rand(3), torch.rand(3, generator=generator), *batch.gradients()))
    torch.testing.assert_close(drawn[0], drawn[1], rtol=0, atol=0)


def test_the_default_radius_is_relative():
    relative = alum_loss(SmallBatch(), method_named("alum_one_pass"))
    mean_norm = torch.stack([x[mask].norm(dim=-1).mean() for x, mask in zip(X, MASK, strict=True)])
    torch.testing.assert_close(
        relative.delta.norm(dim=-1), METHODS["alum_one_pass"].epsilon * mean_norm.unsqueeze(-1) * MASK
    )
