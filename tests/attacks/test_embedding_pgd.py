import dataclasses
import itertools

import pytest
import torch
import torch.nn.functional as F

from alum.attacks.embedding_pgd import AttackedBatch, EmbeddingPGD, slopes, worst_of
from alum.attacks.logit_ratio import logit_ratio_against
from alum.core.errors import InputError
from alum.core.outputs.log_odds import log_odds_against
from tiny_linear_model import LinearModel
from tiny_models import PAD, classifier, token_batch

EPSILON = 0.1


IDS = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 8, 9, PAD], [10, 11, 12, PAD, PAD]])
MASK = IDS != PAD
LABELS = torch.tensor([0, 1, 1])


def losses(outputs, inputs):
    return F.cross_entropy(outputs["logits"], inputs["labels"], reduction="none")


def wrong(outputs, inputs):
    return outputs["logits"].argmax(-1) != inputs["labels"]


def batch_of(model, inputs, labels, fallen=None, **changes):
    def run(inputs):
        return model(**{name: values for name, values in inputs.items() if name != "labels"})

    batch = AttackedBatch(model, run, {**inputs, "labels": labels}, inputs["input_ids"] != PAD, losses, fallen)
    return dataclasses.replace(batch, **changes)


def linear_batch(model, **changes):
    return batch_of(model, {"input_ids": IDS}, LABELS, **changes)


def attacked(model, **settings):
    return EmbeddingPGD(**{"epsilon": EPSILON, **settings})(linear_batch(model))


def worst_case_losses(model, epsilon=EPSILON):
    return F.softplus(-worst_case_margins(model, epsilon))


def worst_case_margins(model, epsilon):
    """The margin falls fastest along the difference of the classes' weights, by radius · length at every token."""
    with torch.no_grad():
        logits = model(IDS).logits
        norms = model.embeddings(IDS).norm(dim=-1) * MASK
        radius = epsilon * norms.sum(-1) / MASK.sum(-1)
        sign = 1 - 2 * LABELS
        margin = (logits[:, 0] - logits[:, 1]) * sign
        return margin - radius * (model.margin_lengths() * MASK).sum(-1)


@pytest.mark.parametrize("settings", [{"num_steps": 10}, {"num_steps": 1, "step_size": 1.0}, {"num_restarts": 3}])
def test_on_a_linear_model_the_attack_is_the_closed_form_worst_case(settings):
    model = LinearModel()
    found = attacked(model, **settings)
    torch.testing.assert_close(found.losses, worst_case_losses(model), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.losses, losses(found.outputs, {"labels": LABELS}))


def test_too_short_steps_stay_inside():
    """Steps of 0.25 and 0.25 / √2 of the radius: 0.427 of the way on a linear model."""
    model = LinearModel()
    clean = model(IDS).logits
    part, whole = (attacked(model, num_steps=n, step_size=0.25).outputs["logits"] - clean for n in (2, 20))
    torch.testing.assert_close(part, whole * 0.25 * (1 + 0.5**0.5), rtol=1e-4, atol=1e-5)


def test_where_every_step_overshoots_the_clean_outputs_stay():
    """The loss -(z - c)² has its maximum next to the clean point, nearer than the only step is long."""
    model = LinearModel()
    peak = model(IDS).logits[:, 0].detach() + 1e-3

    def loss(outputs, inputs):
        return -(outputs.logits[:, 0] - peak[inputs["labels"]]).square()

    batch = batch_of(model, {"input_ids": IDS}, torch.arange(3), losses=loss)
    found = EmbeddingPGD(EPSILON, num_steps=1, step_size=1.0)(batch)
    torch.testing.assert_close(found.outputs["logits"], model(IDS).logits, rtol=0, atol=0)
    assert not found.delta.any()


# -- what counts as fallen, and curves over the radius -----------------------------------------------------------------

EPSILONS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]


def margins_of(outputs, labels):
    return (outputs["logits"][:, 0] - outputs["logits"][:, 1]) * (1 - 2 * labels)


def many(model, count=40):
    """Sentences that the linear model is right about."""
    ids = torch.randint(1, 20, (count, 5), generator=torch.Generator().manual_seed(1))
    return ids, model(ids).logits.argmax(-1)


def test_on_a_linear_model_exactly_those_fall_whose_margin_is_too_small():
    model = LinearModel()
    ids, labels = many(model)
    norms = model.embeddings(ids).norm(dim=-1).mean(-1)
    radii = margins_of(model(ids), labels) / (norms * model.margin_lengths().sum())  # where each of them falls
    batch = batch_of(model, {"input_ids": ids}, labels, fallen=wrong)
    for epsilon, found in zip(EPSILONS, EmbeddingPGD(0.1).curve(batch, EPSILONS), strict=True):
        clear = (radii - epsilon).abs() > 1e-4 * epsilon
        assert torch.equal(found.fallen[clear], (radii < epsilon)[clear])
        assert torch.equal(found.fallen, wrong(found.outputs, {"labels": labels}))
    assert 0 < (radii < EPSILONS[2]).sum() < (radii < EPSILONS[-1]).sum()  # else the curve would say nothing


def test_what_falls_falls_by_the_perturbation_that_is_returned():
    model = LinearModel()
    ids, labels = many(model)
    batch = batch_of(model, {"input_ids": ids}, labels, fallen=wrong)
    found = EmbeddingPGD(0.2, num_restarts=2)(batch)
    again = worst_of(batch, [found.delta])
    assert found.fallen.any()
    assert torch.equal(again.fallen, found.fallen)
    torch.testing.assert_close(again.outputs["logits"], found.outputs["logits"])
    radius = 0.2 * model.embeddings(ids).norm(dim=-1).mean(-1)
    assert (found.delta.norm(dim=-1) <= radius.unsqueeze(-1) * (1 + 1e-5)).all()


def test_examples_that_stand_have_the_result_that_they_have_alone():
    """Others leave when they fall, which changes nothing for those that stay."""
    model = LinearModel()
    ids, labels = many(model)
    together, all_the_way = (
        EmbeddingPGD(0.1, num_restarts=2)(batch_of(model, {"input_ids": ids}, labels, fallen))
        for fallen in (wrong, None)
    )
    standing = ~together.fallen
    assert 0 < standing.sum() < len(ids)
    assert torch.equal(together.fallen, wrong(all_the_way.outputs, {"labels": labels}))
    torch.testing.assert_close(together.losses[standing], all_the_way.losses[standing], rtol=1e-4, atol=1e-5)


def test_wrong_answers_are_not_attacked():
    model = LinearModel()
    ids, labels = many(model)
    calls = []

    def run(inputs):
        calls.append(len(inputs["input_ids"]))
        return model(inputs["input_ids"])

    batch = batch_of(model, {"input_ids": ids}, 1 - labels, fallen=wrong, run=run)
    assert EmbeddingPGD(0.1)(batch).fallen.all()
    assert calls == [40]


@pytest.mark.parametrize("epsilons", [[0.1, 0.1], [0.2, 0.1], [0.0, 0.1]])
def test_radii_that_do_not_rise_are_refused(epsilons):
    with pytest.raises(InputError, match="rise"):
        list(EmbeddingPGD(0.1).curve(linear_batch(LinearModel()), epsilons))


@pytest.mark.parametrize(
    "settings",
    [{"epsilon": 0.0}, {"epsilon": float("nan")}, {"num_steps": -1}, {"num_restarts": 0}, {"step_size": -1.0}],
)
def test_settings_out_of_their_range_are_refused(settings):
    with pytest.raises(InputError):
        EmbeddingPGD(**{"epsilon": 0.1, **settings})


# -- further losses and slopes -----------------------------------------------------------------------------------------


def ratios(outputs):
    return [lambda outputs, inputs: logit_ratio_against(outputs["logits"], inputs["labels"])]


@pytest.fixture(scope="module")
def of_three_labels():
    inputs = token_batch(lengths=(9, 6, 8, 5, 7, 9, 6, 8) * 8)
    model = classifier(dropout=0.0, num_labels=3)
    labels = model(**inputs).logits.argmax(-1)
    return batch_of(model, inputs, labels, wrong, losses=lambda o, i: log_odds_against(o["logits"], i["labels"]))


def test_a_further_loss_turns_what_the_first_one_turns_and_more(of_three_labels):
    alone, both = (
        EmbeddingPGD(0.1, num_steps=5)(dataclasses.replace(of_three_labels, further_losses=further))
        for further in (None, ratios)
    )
    assert (both.fallen >= alone.fallen).all()
    assert (both.losses >= alone.losses - 1e-5)[~both.fallen].all()
    torch.testing.assert_close(both.losses, of_three_labels.losses(both.outputs, of_three_labels.inputs))
    ascent = EmbeddingPGD(0.1, num_steps=5)(
        dataclasses.replace(of_three_labels, losses=ratios(None)[0])  # the ratio by itself
    )
    assert torch.equal(both.fallen, alone.fallen | ascent.fallen)
    assert (ascent.fallen & ~alone.fallen).any()


def test_a_further_loss_costs_as_many_passes_for_those_that_stand(of_three_labels):
    calls = []

    def run(inputs):
        calls.append(len(inputs["input_ids"]))
        return of_three_labels.run(inputs)

    batch = dataclasses.replace(of_three_labels, run=run, fallen=None)
    for further, num_passes in ((None, 1 + 6), (ratios, 1 + 6 + 6), (lambda outputs: [], 1 + 6)):
        calls.clear()
        EmbeddingPGD(0.1, num_steps=5)(dataclasses.replace(batch, further_losses=further))
        assert calls == [64] * num_passes


def test_the_slope_is_that_of_a_linear_model_in_closed_form():
    """Margins change by twice the radius times their gradient's length, at every token."""
    model = LinearModel()
    batch = linear_batch(model, losses=lambda outputs, inputs: -margins_of(outputs, inputs["labels"]))
    by_gradient, by_losses = slopes(batch, 0.01)
    norms = model.embeddings(IDS).norm(dim=-1) * MASK
    radius = 0.01 * norms.sum(-1) / MASK.sum(-1)
    expected = 2 * radius * (model.margin_lengths() * MASK).sum(-1)
    torch.testing.assert_close(by_gradient, expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(by_losses, expected, rtol=1e-3, atol=1e-5)


# -- on an encoder -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def encoder():
    inputs = token_batch(lengths=(9, 6, 8, 5, 7, 9, 6, 8))
    model = classifier(dropout=0.0)
    return batch_of(model, inputs, model(**inputs).logits.argmax(-1))


def attacked_losses(encoder, **settings):
    return EmbeddingPGD(**settings)(encoder).losses


@pytest.mark.parametrize("epsilon", [0.03, 3.0])
@pytest.mark.parametrize("num_steps", [1, 5])
def test_no_example_is_better_off_than_clean(encoder, epsilon, num_steps):
    clean = encoder.losses(encoder.run(encoder.inputs), encoder.inputs)
    assert (attacked_losses(encoder, epsilon=epsilon, num_steps=num_steps) >= clean).all()


@pytest.mark.parametrize(
    ("fewer", "more"),
    [
        ({"num_steps": 2}, {"num_steps": 2, "num_restarts": 3}),
        ({"num_steps": 2}, {"num_steps": 5}),
        ({"num_steps": 5, "num_restarts": 2}, {"num_steps": 20, "num_restarts": 4}),
    ],
)
def test_more_steps_and_restarts_never_find_less(encoder, fewer, more):
    weaker, stronger = (attacked_losses(encoder, epsilon=1.0, **settings) for settings in (fewer, more))
    assert (stronger >= weaker - 1e-5).all()
    assert (stronger > weaker + 1e-3).any()


def test_a_wider_ball_is_worse_for_every_example(encoder):
    found = list(EmbeddingPGD(0.1, num_steps=3).curve(encoder, [0.03, 0.1, 0.3]))
    for narrow, wide in itertools.pairwise(found):
        assert (wide.losses >= narrow.losses).all()
        assert wide.losses.mean() > narrow.losses.mean()
    assert found[0].losses.mean() == pytest.approx(attacked_losses(encoder, epsilon=0.03, num_steps=3).mean().item())


def test_what_fell_stays_fallen_as_it_was(encoder):
    batch = dataclasses.replace(encoder, fallen=wrong)
    found = list(EmbeddingPGD(0.1, num_steps=3, num_restarts=2).curve(batch, [0.1, 0.3, 1.0, 3.0]))
    assert found[0].fallen.sum() < found[-1].fallen.sum()
    for narrow, wide in itertools.pairwise(found):
        assert (wide.fallen >= narrow.fallen).all()
        torch.testing.assert_close(wide.delta[narrow.fallen], narrow.delta[narrow.fallen], rtol=0, atol=0)
        assert torch.equal(wide.outputs["logits"][narrow.fallen], narrow.outputs["logits"][narrow.fallen])


def test_the_attack_is_fixed_by_its_seed(encoder):
    settings = {"epsilon": 1.0, "num_steps": 2, "num_restarts": 2}
    state = torch.get_rng_state()
    first, second = (attacked_losses(encoder, **settings) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_padding_is_not_attacked(encoder):
    """An example's outputs are the same with and without padding beside it."""
    attack = EmbeddingPGD(0.1, num_steps=3)
    together = attack(encoder)
    assert not together.delta[~encoder.mask].any()
    assert together.delta[encoder.mask].any(-1).all()
    inputs = {name: values[1:2, :6] for name, values in encoder.inputs.items() if name != "labels"}
    alone = attack(batch_of(encoder.model, inputs, encoder.inputs["labels"][1:2]))
    torch.testing.assert_close(alone.outputs["logits"][0], together.outputs["logits"][1], rtol=1e-3, atol=1e-4)


def test_the_worst_of_given_perturbations_is_kept_for_each_example(encoder):
    shape = (*encoder.mask.shape, 32)
    generator = torch.Generator().manual_seed(0)
    deltas = [torch.randn(shape, generator=generator) * encoder.mask.unsqueeze(-1) for _ in range(3)]
    each = torch.stack([worst_of(encoder, [delta]).losses for delta in deltas])
    worst = worst_of(encoder, deltas)
    torch.testing.assert_close(worst.losses, each.amax(0))
    assert len(set(each.argmax(0).tolist())) > 1
    torch.testing.assert_close(worst_of(encoder, []).losses, losses(encoder.run(encoder.inputs), encoder.inputs))
