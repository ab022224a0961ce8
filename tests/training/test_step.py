import pytest
import torch
from torch import nn
from transformers import AutoModelForMultipleChoice, AutoModelForSequenceClassification

from alum.core.divergences import symmetric_kl
from alum.core.errors import InputError
from alum.core.methods import METHODS
from alum.training.step import AlumStep
from tiny_models import classifier, headed, language_model, token_batch

LABELS = torch.tensor([0, 1])


def gradients(model):
    return [parameter.grad for parameter in model.parameters()]


def test_standard_training_is_an_ordinary_backward_pass():
    model, plain = classifier(), classifier()
    AlumStep(model, "standard")({**token_batch(), "labels": LABELS})
    plain(**token_batch(), labels=LABELS).loss.backward()
    torch.testing.assert_close(gradients(model), gradients(plain), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["alum", "alum_one_pass"])
def test_one_call_fills_the_gradients_of_the_whole_objective(name):
    model, written_out = classifier(), classifier()
    result = AlumStep(model, name, alpha=3.0)({**token_batch(), "labels": LABELS})

    clean = written_out(**token_batch(), labels=LABELS)
    embeddings = written_out.get_input_embeddings()
    handle = embeddings.register_forward_hook(lambda module, inputs, output: output + result.delta)
    adversarial = written_out(**token_batch()).logits
    handle.remove()
    constant = clean.logits.detach() if name == "alum_one_pass" else clean.logits
    (clean.loss + 3.0 * symmetric_kl(adversarial, constant).mean()).backward()
    torch.testing.assert_close(gradients(model), gradients(written_out))


@pytest.mark.parametrize("name", METHODS)
def test_the_loss_falls_in_a_loop_of_ones_own(name):
    model = language_model().train()
    batch = {**token_batch(), "labels": token_batch()["input_ids"]}
    step, optimizer = AlumStep(model, name), torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(5):
        losses.append(step(batch).task_loss.item())
        optimizer.step()
        optimizer.zero_grad()
        step.after_optimizer_step()
    assert losses[-1] < losses[0]


def test_a_wrapper_that_runs_the_model_otherwise_is_refused():
    with pytest.raises(InputError, match="DataParallel is not supported here: wrap the model by Distributed"):
        AlumStep(nn.DataParallel(classifier()))


def test_the_callers_backward_is_used_for_both_passes():
    model, scaled = classifier(), classifier()
    batch = {**token_batch(), "labels": LABELS}
    AlumStep(model)(batch)
    AlumStep(scaled, backward=lambda loss: (4.0 * loss).backward())(batch)
    torch.testing.assert_close(gradients(scaled), [4.0 * gradient for gradient in gradients(model)])


def test_the_gain_is_measured_when_asked_for():
    step, batch = AlumStep(classifier()), {**token_batch(), "labels": LABELS}
    assert step(batch).diagnostics is None
    assert step(batch, num_gain_draws=4).diagnostics.adversarial_gain > 1


def test_a_model_that_cannot_be_perturbed_is_refused_when_the_step_is_made():
    with pytest.raises(InputError, match="no kind of task fits Linear"):
        AlumStep(nn.Linear(2, 2))
    with pytest.raises(InputError, match="one block over and over"):
        AlumStep(classifier("albert"), layer=1)


# -- directions of the task loss's gradient ----------------------------------------------------------------------------


def with_head_times(factor, model):
    for parameter in model.classifier.parameters():
        parameter.data *= factor
    return model


@pytest.mark.parametrize("name", ["alum_one_pass", "fgm", "pgd", "alum_virtual"])
def test_a_row_that_the_model_is_sure_of_is_perturbed_as_any_other(name):
    deltas = []
    for factor in (1.0, 1e5):
        model = with_head_times(factor, classifier(dropout=0.0))
        labels = model(**token_batch()).logits.argmax(-1)
        settings = {"num_steps": 1} if name == "pgd" else {}
        deltas.append(AlumStep(model, name, **settings)({**token_batch(), "labels": labels}).delta)
    # With two labels log odds are linear in the logits, so that their factor changes no direction.
    torch.testing.assert_close(deltas[1], deltas[0], rtol=0, atol=0.02 * deltas[0].abs().max().item())
    assert (deltas[0].flatten(1).norm(dim=1) > 0).all()


@pytest.mark.parametrize("auto_class", [AutoModelForSequenceClassification, AutoModelForMultipleChoice])
def test_one_pass_at_the_predicted_label_has_the_virtual_direction_where_there_are_two(auto_class):
    choices = auto_class is AutoModelForMultipleChoice
    batch = token_batch()
    if choices:
        batch = {name: torch.stack((values, values.flip(0)), dim=1) for name, values in batch.items()}
    models = [headed(auto_class, dropout=0.0, num_labels=2) for _ in range(3)]
    predicted = models[0](**batch).logits.argmax(-1)
    labels = torch.stack((predicted[0], 1 - predicted[1]))  # one that is right and one that is wrong
    virtual, turned, plain = (
        AlumStep(model, name, ascent=ascent)({**batch, "labels": labels}).delta
        for model, name, ascent in zip(
            models,
            ("alum_virtual", "alum_one_pass", "alum_one_pass"),
            ("predicted", "predicted", "task_loss"),
            strict=True,
        )
    )
    torch.testing.assert_close(turned, virtual, rtol=1e-3, atol=1e-6)
    right, wrong = (slice(0, 2), slice(2, 4)) if choices else (slice(0, 1), slice(1, 2))
    torch.testing.assert_close(plain[right], turned[right])
    torch.testing.assert_close(plain[wrong], -turned[wrong])


@pytest.mark.parametrize("model", [language_model, lambda: classifier(num_labels=1, problem_type="regression")])
def test_what_has_no_label_for_a_row_cannot_be_turned(model):
    model = model()
    batch = token_batch()
    labels = batch["input_ids"] if model.config.problem_type is None else torch.tensor([0.1, 0.2])
    with pytest.raises(InputError, match="one label out of several for each row"):
        AlumStep(model, "alum_one_pass", ascent="predicted")({**batch, "labels": labels})


# -- noise -------------------------------------------------------------------------------------------------------------


def noised(step):
    return step({**token_batch(), "labels": LABELS}).delta


def test_each_call_and_seed_has_noise_of_its_own():
    step = AlumStep(classifier(), "noise")
    deltas = [noised(step), noised(step), noised(AlumStep(classifier(), "noise", seed=1))]
    again = AlumStep(classifier(), "noise", seed=0)
    assert torch.equal(noised(again), deltas[0])
    assert torch.equal(noised(again), deltas[1])
    assert len({delta.sum().item() for delta in deltas}) == 3


def test_noise_does_not_touch_the_global_random_state():
    state = torch.get_rng_state()
    noised(AlumStep(classifier(dropout=0.0), "noise"))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("settings", [{"method": "noise"}, {"method": "alum", "target_divergence": 0.1}])
def test_a_loop_goes_on_with_the_state_it_has_kept(settings):
    undisturbed, stopped = (AlumStep(classifier(dropout=0.0), **settings) for _ in range(2))
    first = [noised(undisturbed) for _ in range(4)]
    second = [noised(stopped) for _ in range(2)]
    resumed = AlumStep(stopped.model, **settings)
    resumed.load_state_dict(stopped.state_dict())
    second += [noised(resumed) for _ in range(2)]
    for found, expected in zip(second, first, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("settings", [{"method": "noise"}, {"method": "alum_virtual", "ascent": "sampled"}])
def test_what_is_drawn_for_vectors_and_labels_follows_from_seed_and_call(settings):
    vectors = torch.randn(2, 6, 32, generator=torch.Generator().manual_seed(0))

    def deltas(seed):
        step = AlumStep(classifier(dropout=0.0), layer="embeddings", seed=seed, **settings)
        return [step({"inputs_embeds": vectors, "labels": LABELS}).delta for _ in range(6)]

    torch.manual_seed(0)
    first = deltas(0)
    torch.manual_seed(1)
    assert all(map(torch.equal, first, deltas(0)))
    assert not all(map(torch.equal, first, deltas(1)))
    assert not all(torch.equal(first[0], other) for other in first[1:])
