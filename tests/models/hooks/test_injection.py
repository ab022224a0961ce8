import pytest
import torch
from torch import nn
from transformers import CTRLConfig, CTRLForSequenceClassification

from alum.core.errors import InputError
from alum.models.hooks.injection import Injection
from alum.models.model_parts import block
from tiny_models import ARCHITECTURES, classifier, token_batch

LAYERS = ["word", "embeddings", 1]
PLACES = [(name, layer) for name in ARCHITECTURES for layer in LAYERS if not (name == "albert" and layer == 1)]


def recorded(model, injection, batch):
    """The clean logits and the vectors at the place."""
    with injection.recording() as vectors:
        logits = model(**batch).logits
    return logits, vectors()


def perturbed(model, injection, batch, delta):
    with injection.adding(delta):
        return model(**batch).logits


@pytest.mark.parametrize("padding", ["left", "right"])
@pytest.mark.parametrize(("architecture", "layer"), PLACES)
def test_a_zero_delta_leaves_the_logits_and_another_moves_them(architecture, layer, padding):
    model, batch = classifier(architecture), token_batch(padding=padding)
    injection = Injection(model, layer)
    with torch.no_grad():
        untouched = model(**batch).logits
        clean, vectors = recorded(model, injection, batch)
        torch.testing.assert_close(clean, untouched, rtol=0, atol=0)
        assert vectors.shape[:2] == batch["input_ids"].shape

        delta = torch.zeros(vectors.shape)
        torch.testing.assert_close(perturbed(model, injection, batch, delta), clean, rtol=0, atol=1e-6)
        # Not the same for every coordinate: a LayerNorm would take that out again.
        delta += batch["attention_mask"].unsqueeze(-1) * torch.linspace(-0.5, 0.5, delta.shape[-1])
        moved = (perturbed(model, injection, batch, delta) - clean).abs()
    assert (moved.amax(-1) > 1e-3).all()


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name not in ("t5", "bart")])
def test_delta_on_the_word_embeddings_is_a_change_of_their_weights(architecture):
    model, batch = classifier(architecture), token_batch(lengths=(6,))
    token = batch["input_ids"][0, 2]
    with torch.no_grad():
        _, vectors = recorded(model, Injection(model), batch)
        change = torch.linspace(-1, 1, vectors.shape[-1])
        delta = (batch["input_ids"] == token).unsqueeze(-1) * change
        logits = perturbed(model, Injection(model), batch, delta)
        model.get_input_embeddings().weight[token] += change
        torch.testing.assert_close(model(**batch).logits, logits)


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "albert"])
def test_blocks_below_the_perturbed_one_do_not_run_again(architecture):
    model, batch = classifier(architecture), token_batch()
    injection = Injection(model, 1)
    with torch.no_grad():
        _, vectors = recorded(model, injection, batch)
        ran = []
        below, here, _ = block(model, 1)
        for module in (below[0], *below[0].children(), here, *here.children()):
            forward = module.forward
            module.forward = lambda *a, module=module, forward=forward, **k: ran.append(module) or forward(*a, **k)
        perturbed(model, injection, batch, torch.zeros(vectors.shape))
    assert here in ran
    assert not {below[0], *below[0].children()} & set(ran)


def test_blocks_below_run_as_ever_afterwards():
    model, batch = classifier(), token_batch()
    injection = Injection(model, 1)
    with torch.no_grad():
        clean, vectors = recorded(model, injection, batch)
        perturbed(model, injection, batch, torch.ones(vectors.shape))
        torch.testing.assert_close(model(**batch).logits, clean, rtol=0, atol=0)
        other = token_batch(seed=1)
        torch.testing.assert_close(model(**other).logits, classifier()(**other).logits, rtol=0, atol=0)


# -- a pass whose backward pass stops there ----------------------------------------------------------------------------


def cut(model, injection, batch):
    """The clean logits and the vectors at the place, which the backward pass of the logits gives a gradient."""
    with injection.cutting() as vectors:
        logits = model(**batch).logits
    return logits, vectors()


def gradients(model):
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("layer", LAYERS)
def test_the_gradient_of_x_is_that_of_delta(layer):
    model, batch = classifier(), token_batch()
    injection = Injection(model, layer)
    logits, vectors = cut(model, injection, batch)
    logits.square().sum().backward()
    delta = torch.zeros(vectors.shape, requires_grad=True)
    (gradient,) = torch.autograd.grad(perturbed(model, injection, batch, delta).square().sum(), delta)
    torch.testing.assert_close(vectors.grad, gradient)


@pytest.mark.parametrize("layer", LAYERS)
def test_frozen_embeddings_still_give_the_gradient_of_x(layer):
    model, batch = classifier(), token_batch()
    free = cut(model, Injection(model, layer), batch)
    free[0].sum().backward()
    frozen_model = classifier()
    frozen_model.bert.embeddings.requires_grad_(False)
    frozen = cut(frozen_model, Injection(frozen_model, layer), batch)
    frozen[0].sum().backward()
    torch.testing.assert_close(frozen[1].grad, free[1].grad)
    assert frozen[1].grad.abs().sum() > 0


@pytest.mark.parametrize(("architecture", "layer"), PLACES)
def test_what_lies_below_gets_the_gradients_of_both_passes_from_the_second(architecture, layer):
    (model, plain), batch = (classifier(architecture, dropout=0.0) for _ in range(2)), token_batch()
    injection = Injection(model, layer)
    logits, vectors = cut(model, injection, batch)
    logits.square().sum().backward()
    delta = 0.1 * torch.randn(vectors.shape, generator=torch.Generator().manual_seed(0))
    perturbed(model, injection, batch, delta).exp().sum().backward()

    both = plain(**batch).logits.square().sum() + perturbed(plain, Injection(plain, layer), batch, delta).exp().sum()
    both.backward()
    torch.testing.assert_close(gradients(model), gradients(plain), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("architecture", "depth"),
    [("mpnet", "num_hidden_layers"), ("deberta-v2", "num_hidden_layers"), ("t5", "num_layers")],
)
def test_blocks_below_and_above_may_share_learned_positions(architecture, depth):
    model, plain = (classifier(architecture, dropout=0.0, **{depth: 4}) for _ in range(2))
    batch, injection = token_batch(), Injection(model, 2)
    logits, vectors = cut(model, injection, batch)
    logits.square().sum().backward()
    delta = torch.zeros(vectors.shape)
    perturbed(model, injection, batch, delta).square().sum().backward()
    (2 * plain(**batch).logits.square().sum()).backward()
    torch.testing.assert_close(gradients(model), gradients(plain))


@pytest.mark.parametrize("layer", LAYERS)
def test_the_weights_below_are_differentiated_once(layer):
    model, batch = classifier(), token_batch()
    reached = []
    model.get_input_embeddings().weight.register_post_accumulate_grad_hook(reached.append)
    injection = Injection(model, layer)
    logits, vectors = cut(model, injection, batch)
    logits.sum().backward()
    assert reached == []
    perturbed(model, injection, batch, torch.zeros(vectors.shape)).sum().backward()
    assert len(reached) == 1


def test_the_sum_is_taken_in_fp32():
    model, batch = classifier().bfloat16(), token_batch()
    injection, seen = Injection(model), []
    delta = 0.1 * torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        _, vectors = recorded(model, injection, batch)
        with injection.adding(delta):
            model.get_input_embeddings().register_forward_hook(lambda module, inputs, output: seen.append(output))
            model(**batch)
    torch.testing.assert_close(seen[0], (vectors.float() + delta).bfloat16(), rtol=0, atol=0)
    assert (seen[0] != vectors + delta.bfloat16()).any()


# -- what models do to x -----------------------------------------------------------------------------------------------


class InPlace(nn.Module):
    """Scales its embeddings in place, as CTRL does."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(8, 4), nn.Linear(4, 3)

    def forward(self, ids):
        x = self.embedding(ids)
        x *= 2.0
        return self.head(x.mean(1).tanh())


@pytest.mark.parametrize("way", ["recording", "cutting"])
def test_models_may_change_x_in_place(way):
    model, ids = InPlace(), torch.tensor([[1, 2]])
    injection = Injection(model, model.embedding)
    with getattr(injection, way)() as x:
        clean = model(ids)
    torch.testing.assert_close(x(), model.embedding(ids))
    with injection.adding(torch.zeros(1, 2, 4)):
        torch.testing.assert_close(model(ids), clean)
    clean.sum().backward()


def test_a_model_of_transformers_that_does():
    config = CTRLConfig(vocab_size=64, n_embd=32, n_head=2, n_layer=2, dff=32, n_positions=64, pad_token_id=0)
    model, batch = CTRLForSequenceClassification(config).eval(), token_batch()
    injection = Injection(model)
    logits, vectors = cut(model, injection, batch)
    torch.testing.assert_close(perturbed(model, injection, batch, torch.zeros(vectors.shape)), logits)


@pytest.mark.parametrize("again", ["recording", "cutting"])
def test_a_pass_that_is_recorded_takes_the_place_of_the_one_before(again):
    model = classifier(dropout=0.0)
    injection = Injection(model)
    cut(model, injection, token_batch())[0].sum().backward()
    model.zero_grad()
    other = token_batch(seed=1)
    with getattr(injection, again)() as x:
        clean = model(**other).logits
    torch.testing.assert_close(x(), model.get_input_embeddings()(other["input_ids"]))
    moved = perturbed(model, injection, other, torch.zeros(x().shape))
    torch.testing.assert_close(moved, clean)
    moved.sum().backward()
    plain = classifier(dropout=0.0)
    plain(**other).logits.sum().backward()
    torch.testing.assert_close(gradients(model), gradients(plain))


# -- what is refused ---------------------------------------------------------------------------------------------------


class Reused(nn.Module):
    """Runs its embedding as often as it is told."""

    def __init__(self, times):
        super().__init__()
        self.times, self.embedding = times, nn.Embedding(8, 4)

    def forward(self, ids):
        return sum(self.embedding(ids) for _ in range(self.times)) if self.times else torch.zeros(1, 2, 4)


@pytest.mark.parametrize(("times", "message"), [(0, "never"), (2, "more than once")])
def test_a_module_that_does_not_run_exactly_once_is_refused(times, message):
    model, ids = Reused(times), torch.tensor([[1, 2]])
    injection = Injection(model, model.embedding)
    with pytest.raises(InputError, match=message), injection.recording():
        model(ids)
    with pytest.raises(InputError, match=message), injection.adding(torch.zeros(1, 2, 4)):
        model(ids)


def test_any_module_of_a_plain_model_can_be_perturbed():
    model, ids = Reused(1), torch.tensor([[1, 2]])
    with Injection(model, model.embedding).adding(torch.ones(1, 2, 4)):
        moved = model(ids)
    torch.testing.assert_close(moved, model(ids) + 1)


def test_a_perturbation_of_another_shape_is_refused():
    model, batch = classifier(), token_batch()
    with pytest.raises(InputError, match=r"\[1, 2, 32\].*\[2, 9, 32\]"):
        perturbed(model, Injection(model), batch, torch.zeros(1, 2, 32))


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_is_left_in_the_model_by_a_pass_that_fails(layer):
    model, batch = classifier(), token_batch()
    injection = Injection(model, layer)
    clean, vectors = recorded(model, injection, batch)
    with pytest.raises(RuntimeError, match="stop"), injection.adding(torch.ones(vectors.shape)):
        raise RuntimeError("stop")
    with pytest.raises(RuntimeError, match="stop"), injection.recording():
        raise RuntimeError("stop")
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    torch.testing.assert_close(model(**batch).logits, clean, rtol=0, atol=0)


def test_a_forward_that_was_replaced_on_a_skipped_block_is_there_again_afterwards():
    model = classifier("bert", dropout=0.0)
    lower = model.bert.encoder.layer[0]
    original, calls = lower.forward, []

    def counted(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs)

    lower.forward = counted
    injection = Injection(model, 1)
    with injection.recording() as recorded:
        model(**token_batch())
    with injection.adding(torch.zeros_like(recorded())):
        model(**token_batch())
    assert len(calls) == 1
    model(**token_batch())
    assert len(calls) == 2
