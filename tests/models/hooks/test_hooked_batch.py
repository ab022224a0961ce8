import pytest
import torch
from torch import nn

from alum.core.divergences import symmetric_kl
from alum.core.errors import InputError
from alum.core.freelb import freelb_loss
from alum.core.methods import METHODS, method_named
from alum.core.objective import alum_loss
from alum.core.outputs.likelihoods import CATEGORICAL
from alum.models.hooks.hooked_batch import HookedBatch
from alum.models.hooks.injection import Injection
from alum.models.hooks.packed_rows import packed_rows, token_ids_of
from alum.models.inputs import padding_mask
from alum.models.model_parts import CHECKPOINTING
from tiny_models import ARCHITECTURES, PAD, classifier, token_batch
from tiny_runs import FOR_ANY_MODEL

LABELS = torch.tensor([0, 1])
PLACES = [
    (name, layer) for name in ARCHITECTURES for layer in ("word", "embeddings", 1) if (name, layer) != ("albert", 1)
]


def hooked(model, layer="word", dropout="shared", batch=None):
    batch = batch or token_batch()

    def run_with_loss():
        output = model(**batch, labels=LABELS)
        return output.loss, output

    return HookedBatch(
        model=model,
        injection=Injection(model, layer),
        mask=padding_mask(batch),
        run=lambda: model(**batch),
        run_with_loss=run_with_loss,
        compared=lambda output: output.logits,
        distance=symmetric_kl,
        likelihood=CATEGORICAL,
        dropout=dropout,
        run_averaged=lambda: model(**batch),
    )


# -- dropout -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("architecture", "layer"), PLACES)
def test_shared_masks_are_those_of_the_clean_pass(architecture, layer):
    torch.manual_seed(0)
    batch = hooked(classifier(architecture, dropout=0.3).train(), layer)
    _, clean, embeddings = batch.clean()
    zero = torch.zeros(embeddings.shape)
    for _ in range(2):  # encoder-decoders attend by another kernel when they get no labels
        torch.testing.assert_close(batch.outputs(zero), clean, rtol=0, atol=1e-5)
    assert (batch.clean()[1] - clean).abs().max() > 1e-3  # dropout was on: another clean pass has other masks


def test_shared_masks_hold_for_the_task_loss_too():
    batch = hooked(classifier(dropout=0.3).train())
    loss, _, embeddings = batch.clean()
    torch.testing.assert_close(batch.task_loss(torch.zeros(embeddings.shape))[0], loss, rtol=0, atol=0)


def test_shared_passes_leave_what_training_draws_next_alone():
    torch.manual_seed(0)
    batch = hooked(classifier(dropout=0.3).train())
    *_, embeddings = batch.clean()
    torch.rand(1)  # as the noise of the first δ may be drawn in between
    state = torch.get_rng_state()
    batch.outputs(torch.zeros(embeddings.shape))
    assert torch.equal(torch.get_rng_state(), state)


def test_independent_masks_are_new_in_every_pass():
    batch = hooked(classifier(dropout=0.3).train(), dropout="independent")
    _, clean, embeddings = batch.clean()
    first, second = (batch.outputs(torch.zeros(embeddings.shape)) for _ in range(2))
    assert (first != clean).any()
    assert (first != second).any()


@pytest.mark.parametrize("layer", ["embeddings", 1])
@pytest.mark.parametrize("dropout", ["independent", "off"])
def test_the_masks_below_x_are_those_of_the_clean_pass_in_any_case(layer, dropout):
    model = classifier(dropout=0.3).train()
    batch = hooked(model, layer, dropout=dropout)
    *_, embeddings = batch.clean()
    below = []
    place = model.bert.embeddings if layer == "embeddings" else model.bert.encoder.layer[1]
    if layer == "embeddings":
        handle = place.register_forward_hook(lambda module, inputs, output: below.append(output))
    else:
        handle = place.register_forward_pre_hook(lambda module, inputs: below.append(inputs[0]))
    batch.outputs(torch.zeros(embeddings.shape))
    handle.remove()
    torch.testing.assert_close(below[0], embeddings, rtol=0, atol=0)


def test_without_masks_the_pass_is_that_of_evaluation():
    model = classifier(dropout=0.3).train()
    batch = hooked(model, dropout="off")
    *_, embeddings = batch.clean()
    outputs = batch.outputs(torch.zeros(embeddings.shape))
    assert model.training
    torch.testing.assert_close(outputs, model.eval()(**token_batch()).logits, rtol=0, atol=0)


# -- gradient checkpointing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in FOR_ANY_MODEL if name != "standard"])
def test_gradient_checkpointing_changes_no_gradient(name):
    gradients = []
    for checkpointed in (False, True):
        model = classifier(dropout=0.1).train()
        if checkpointed:
            getattr(model, f"{CHECKPOINTING}_enable")()
        torch.manual_seed(0)
        alum_loss(hooked(model), method_named(name), generator=torch.Generator().manual_seed(0)).loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1])


# -- the whole objective through a model -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alum", "alum_one_pass", "alum_virtual"])
@pytest.mark.parametrize("layer", ["word", "embeddings", 1])
def test_gradients_are_those_of_a_model_that_is_perturbed_by_hand(layer, name):
    model, expected = classifier(dropout=0.0).train(), classifier(dropout=0.0).train()
    result = alum_loss(hooked(model, layer), method_named(name), generator=torch.Generator().manual_seed(0))
    result.loss.backward()

    clean = expected(**token_batch(), labels=LABELS)
    module = {"word": expected.bert.embeddings.word_embeddings, "embeddings": expected.bert.embeddings}
    module = module.get(layer, expected.bert.encoder.layer[0])  # the output of block 0 is the input of block 1
    handle = module.register_forward_hook(lambda module, inputs, output: output + result.delta)
    adversarial = expected(**token_batch()).logits
    handle.remove()
    constant = clean.logits.detach() if name == "alum_one_pass" else clean.logits
    (clean.loss + symmetric_kl(adversarial, constant).mean()).backward()
    torch.testing.assert_close(
        [parameter.grad for parameter in model.parameters()], [parameter.grad for parameter in expected.parameters()]
    )


def test_alum_released_perturbs_what_comes_out_of_the_embeddings_module():
    """The published steps on a real model: noise, a gradient step, division by the largest coordinate of each token."""
    model, expected = classifier(dropout=0.0).train(), classifier(dropout=0.0).train()
    method, mask = METHODS["alum_released"], padding_mask(token_batch()).unsqueeze(-1)
    result = alum_loss(hooked(model, method.layer), method, generator=torch.Generator().manual_seed(0))
    result.loss.backward()

    def logits_at(delta):
        handle = expected.bert.embeddings.register_forward_hook(lambda module, inputs, output: output + delta)
        logits = expected(**token_batch()).logits
        handle.remove()
        return logits

    clean = expected(**token_batch(), labels=LABELS)
    noise = 1e-5 * torch.randn(result.delta.shape, generator=torch.Generator().manual_seed(0)) * mask
    divergence = symmetric_kl(logits_at(noise.requires_grad_()), clean.logits.detach()).sum()
    delta = noise.detach() + 1e-5 * mask * torch.autograd.grad(divergence, noise)[0]
    delta = delta / (delta.abs().amax(-1, keepdim=True) + 1e-6)
    torch.testing.assert_close(result.delta, delta, rtol=1e-3, atol=1e-4)
    (clean.loss + symmetric_kl(logits_at(result.delta), clean.logits).mean()).backward()
    torch.testing.assert_close(
        [parameter.grad for parameter in model.parameters()], [parameter.grad for parameter in expected.parameters()]
    )


@pytest.mark.quick_cases(35)
@pytest.mark.parametrize("name", ["alum", "alum_one_pass", "alum_virtual"])
@pytest.mark.parametrize(("architecture", "layer"), PLACES)
def test_gradients_are_those_of_the_written_out_objective(architecture, layer, name):
    model, expected = (classifier(architecture, dropout=0.0).train() for _ in range(2))
    result = alum_loss(hooked(model, layer), method_named(name), generator=torch.Generator().manual_seed(0))
    result.loss.backward()

    clean = expected(**token_batch(), labels=LABELS)
    with Injection(expected, layer).adding(result.delta):
        adversarial = expected(**token_batch()).logits
    constant = clean.logits.detach() if name == "alum_one_pass" else clean.logits
    (clean.loss + symmetric_kl(adversarial, constant).mean()).backward()
    torch.testing.assert_close(
        {name: parameter.grad for name, parameter in model.named_parameters()},
        {name: parameter.grad for name, parameter in expected.named_parameters()},
    )


def passes_written_out(model, places, delta):
    """Logits with δ added to what two modules give, by hooks of the test's own."""
    parts = delta.unflatten(0, (-1, len(places))).unbind(1)
    handles = [
        module.register_forward_hook(lambda module, inputs, output, part=part: output + part)
        for module, part in zip(places, parts, strict=True)
    ]
    logits = model(**token_batch()).logits
    for handle in handles:
        handle.remove()
    return logits


@pytest.mark.parametrize("name", ["alum", "alum_one_pass", "alum_virtual", "fgm", "pgd", "noise"])
def test_several_places_have_a_perturbation_each(name):
    """Of word embeddings and the first block's output, which is the second one's input, by the plain objective."""
    model, expected = (classifier("bert", dropout=0.0).train() for _ in range(2))
    method = method_named(name, layer=("word", 1))
    result = alum_loss(hooked(model, ("word", 1)), method, generator=torch.Generator().manual_seed(0))
    result.loss.backward()

    places = [expected.bert.embeddings.word_embeddings, expected.bert.encoder.layer[0]]
    clean = expected(**token_batch(), labels=LABELS)
    if name in ("fgm", "pgd"):
        term = nn.functional.cross_entropy(passes_written_out(expected, places, result.delta), LABELS)
    else:
        constant = clean.logits.detach() if name == "alum_one_pass" else clean.logits
        term = symmetric_kl(passes_written_out(expected, places, result.delta), constant).mean()
    (clean.loss + method.alpha * term).backward()
    torch.testing.assert_close(
        {name: parameter.grad for name, parameter in model.named_parameters()},
        {name: parameter.grad for name, parameter in expected.named_parameters()},
    )


@pytest.mark.parametrize("name", ["alum_one_pass", "alum_virtual"])
def test_each_place_has_the_radius_and_the_direction_that_its_own_vectors_give(name):
    model = classifier("bert", dropout=0.0).train()
    method = method_named(name, layer=("word", 1), epsilon=0.1)
    delta = alum_loss(hooked(model, ("word", 1)), method).delta

    plain = classifier("bert", dropout=0.0).train()
    seen = []
    modules = [plain.bert.embeddings.word_embeddings, plain.bert.encoder.layer[0]]

    def keep(module, inputs, output):
        output.retain_grad()
        seen.append(output)

    for module in modules:
        module.register_forward_hook(keep)
    output = plain(**token_batch(), labels=LABELS)
    labels = output.logits.argmax(-1) if name == "alum_virtual" else LABELS
    nn.functional.cross_entropy(output.logits, labels).backward()
    mask = padding_mask(token_batch()).unsqueeze(-1)
    for place, vectors in enumerate(seen):
        radius = (
            0.1 * (vectors.detach().norm(dim=-1, keepdim=True) * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
        )
        direction = vectors.grad / vectors.grad.norm(dim=-1, keepdim=True).clamp_min(1e-30)
        torch.testing.assert_close(delta[place::2], radius * direction * mask, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("architecture", "layer"), [place for place in PLACES if place[1] != 1])
def test_freelb_adds_up_the_gradients_of_passes_that_are_perturbed_by_hand(architecture, layer):
    model, expected = (classifier(architecture, dropout=0.0).train() for _ in range(2))
    method = method_named("freelb", epsilon=0.6, step_size=0.5)
    result = alum_loss(hooked(model, layer), method, generator=torch.Generator().manual_seed(0))
    result.loss.backward()

    mask = padding_mask(token_batch()).unsqueeze(-1)
    uniform = 2 * torch.rand(result.delta.shape, generator=torch.Generator().manual_seed(0)) - 1
    delta = 0.6 * uniform / (mask.sum(1, keepdim=True) * uniform.shape[-1]).sqrt() * mask
    for _ in range(3):
        last, delta = delta, delta.requires_grad_()
        with Injection(expected, layer).adding(delta):
            (expected(**token_batch(), labels=LABELS).loss / 3).backward()
        gradient = delta.grad * mask
        delta = delta.detach() + 0.3 * gradient / gradient.norm(dim=(1, 2), keepdim=True)
        delta = delta * (0.6 / delta.norm(dim=(1, 2), keepdim=True)).clamp_max(1.0)
    torch.testing.assert_close(result.delta, last.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        {name: parameter.grad for name, parameter in model.named_parameters()},
        {name: parameter.grad for name, parameter in expected.named_parameters()},
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize("dropout", ["shared", "independent"])
def test_the_passes_of_freelb_have_the_masks_of_the_first_or_their_own(dropout):
    model = classifier(dropout=0.3).train()
    method = method_named("freelb", dropout=dropout, epsilon=1e-9)
    torch.manual_seed(0)
    found = freelb_loss(hooked(model, dropout=dropout), method, torch.Generator().manual_seed(0), torch.Tensor.backward)
    assert (abs(found.mean - found.first).item() < 1e-6) == (dropout == "shared")


@pytest.mark.parametrize("layer", ["word", 1])
@pytest.mark.parametrize("settings", [{}, {"ascent": "sampled"}, {"num_steps": 2}], ids=["noise", "labels", "steps"])
def test_a_clean_side_that_is_differentiated_first_has_its_masks_whatever_is_drawn(layer, settings):
    found = []
    for side in ("joint", "first"):
        torch.manual_seed(0)
        model = classifier(dropout=0.2).train()
        batch = hooked(model, layer)
        torch.manual_seed(1)  # from which noise and labels are drawn too, for want of a generator
        result = alum_loss(batch, method_named("alum", clean_side=side, epsilon=0.3, **settings))
        result.loss.backward()
        found.append({name: p.grad for name, p in model.named_parameters()} | {"loss": result.loss.detach()})
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["alum", "alum_one_pass", "alum_virtual"])
def test_an_examples_delta_does_not_depend_on_its_batch(name):
    """With one generator per example: the first example's noise is drawn first."""

    def delta(batch):
        model = classifier(dropout=0.0).train()
        labels = LABELS[: len(batch["input_ids"])]
        view = hooked(model, batch=batch)
        view.run_with_loss = lambda: (lambda output: (output.loss, output))(model(**batch, labels=labels))
        return alum_loss(view, method_named(name), generator=torch.Generator().manual_seed(0)).delta

    together, alone = token_batch(), {key: value[:1] for key, value in token_batch().items()}
    torch.testing.assert_close(delta(together)[:1], delta(alone), rtol=1e-3, atol=1e-5)


def test_any_torch_module_can_be_trained():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(8, 4), nn.Flatten(), nn.Linear(8, 3))
    ids, labels = torch.tensor([[1, 2], [3, 4]]), torch.tensor([0, 2])

    def run_with_loss():
        logits = model(ids)
        return nn.functional.cross_entropy(logits, labels), logits

    batch = HookedBatch(
        model=model,
        injection=Injection(model, model[0]),
        mask=torch.ones_like(ids),
        run=lambda: model(ids),
        run_with_loss=run_with_loss,
        compared=lambda logits: logits,
        distance=symmetric_kl,
    )
    result = alum_loss(batch, method_named("alum_one_pass"))
    result.loss.backward()
    assert result.adversarial_loss > 0


# -- padding -----------------------------------------------------------------------------------------------------------


def test_padding_is_read_from_the_attention_mask():
    mask = padding_mask({"input_ids": torch.tensor([[5, 6, PAD]]), "attention_mask": torch.tensor([[1, 0, 1]])})
    assert mask.tolist() == [[True, False, True]]


@pytest.mark.parametrize(("pad_token_id", "expected"), [(PAD, [True, True, False]), (None, [True, True, True])])
def test_without_a_mask_padding_is_the_pad_token(pad_token_id, expected):
    assert padding_mask({"input_ids": torch.tensor([[5, 6, PAD]])}, pad_token_id).tolist() == [expected]


@pytest.mark.parametrize("inputs", [{"attention_mask": torch.tensor([[[1, 1, 0], [1, 0, 0]]])}, {}])
def test_multiple_choice_has_a_row_for_every_choice(inputs):
    ids = torch.tensor([[[5, 6, PAD], [7, PAD, PAD]]])
    assert padding_mask({"input_ids": ids, **inputs}, PAD).tolist() == [[True, True, False], [True, False, False]]


# -- what is taken for granted -----------------------------------------------------------------------------------------


@pytest.mark.quick_cases(36)
@pytest.mark.parametrize("dropout", ["shared", "independent", "off"])
@pytest.mark.parametrize(("architecture", "layer"), [*PLACES, ("bert", ("word", 1))])
def test_a_perturbation_of_zero_changes_nothing_and_that_is_seen(architecture, layer, dropout):
    torch.manual_seed(0)
    batch = hooked(classifier(architecture, dropout=0.3).train(), layer, dropout)
    batch.clean()
    state = torch.get_rng_state()
    batch.check()
    assert torch.equal(torch.get_rng_state(), state)
    assert batch.model.training


def test_a_model_that_draws_in_each_pass_is_refused():
    model = classifier().train()
    model.bert.encoder.layer[0].register_forward_hook(lambda module, inputs, output: output + torch.randn(output.shape))
    batch = hooked(model)
    batch.clean()
    with pytest.raises(InputError, match="random numbers of its own"):
        batch.check()


def test_answers_that_are_no_numbers_are_told_as_such():
    model = classifier()
    torch.nn.init.constant_(model.classifier.weight, torch.nan)
    batch = hooked(model)
    batch.clean()
    with pytest.raises(InputError, match="of the batch are no numbers"):
        batch.check()


def test_vectors_in_another_layout_than_the_tokens_are_refused():
    batch = hooked(classifier())
    batch.mask = batch.mask.T
    with pytest.raises(InputError, match="would go to other places than words"):
        batch.clean()


# -- noise of rows -----------------------------------------------------------------------------------------------------


def noise_of(inputs, mask, layer="word", seed=3):
    packed = packed_rows(inputs)
    model = classifier()
    batch = HookedBatch(
        model=model,
        injection=Injection(model, layer, packed),
        mask=mask if packed is None else packed.mask,
        run=lambda: None,
        run_with_loss=lambda: (torch.empty(()), None),
        compared=lambda output: output,
        distance=symmetric_kl,
        token_ids=lambda: token_ids_of(inputs, packed),
        noise_seed=seed,
    )
    return batch.row_noise


IDS = torch.tensor([[5, 6, 7, 8], [9, 10, PAD, PAD]])


def test_sequences_of_a_packed_row_have_the_noise_of_padded_rows():
    apart = noise_of({"input_ids": IDS}, IDS != PAD).normal(8)
    packed = {"input_ids": IDS[IDS != PAD].unsqueeze(0), "position_ids": torch.tensor([[0, 1, 2, 3, 0, 1]])}
    together = noise_of(packed, None).normal(8)
    torch.testing.assert_close(together[IDS != PAD], apart[IDS != PAD], rtol=0, atol=1e-6)


def test_each_choice_of_an_example_is_a_row():
    choices = torch.stack((IDS, IDS.flip(0)))
    found = noise_of({"input_ids": choices}, (choices != PAD).flatten(0, 1)).normal(8)
    apart = noise_of({"input_ids": IDS}, IDS != PAD).normal(8)
    torch.testing.assert_close(found, torch.cat((apart, apart.flip(0))), rtol=0, atol=1e-6)


def test_special_tokens_that_stay_as_they_are_are_none_of_a_row():
    framed = torch.tensor([[1, 5, 6, 7, 8, 2], [1, 9, 10, 2, PAD, PAD]])
    found = noise_of({"input_ids": framed}, framed > 4).normal(8)[framed > 4]
    apart = noise_of({"input_ids": IDS}, IDS != PAD).normal(8)[IDS != PAD]
    torch.testing.assert_close(found, apart, rtol=0, atol=1e-6)


def test_several_places_have_noise_of_their_own():
    found = noise_of({"input_ids": IDS}, IDS != PAD, layer=("word", 1)).normal(8)
    assert found.shape == (4, 4, 8)
    assert (found[::2] != found[1::2])[IDS != PAD].all()


@pytest.mark.parametrize("inputs", [{"inputs_embeds": torch.zeros(2, 4, 8)}, {"input_ids": IDS[:, :3]}])
def test_without_the_tokens_of_rows_noise_is_of_a_generator(inputs):
    assert noise_of(inputs, IDS != PAD) is None
