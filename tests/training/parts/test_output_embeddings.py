"""Training with the adversarial softmax, against a plain loop in which the label's logit is lowered by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from alum.core.errors import InputError
from alum.core.measures.pass_counts import pass_counts
from alum.core.methods import method_named
from alum.models.model_parts import output_embeddings
from alum.training.step import AlumStep
from alum.training.trainer import AlumTrainer
from tiny_models import CAUSAL, LANGUAGE_MODELS, classifier, language_model, token_batch
from tiny_runs import config, labelled_sentences, logged, masked_sentences, measuring_config, trained, weights

EPSILON = 0.3


def loss_by_hand(model, batch, epsilon=EPSILON):
    """Mean -log p over the labels, each with the logit (w_y - ε‖w_y‖ h/‖h‖)ᵀh, ‖w_y‖ and h/‖h‖ held constant."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    seen = []
    handle = output_embeddings(model).register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    logits = model(**inputs).logits
    handle.remove()
    losses = []
    for row, labels in enumerate(batch["labels"]):
        for position, label in enumerate(labels):
            place = position - 1 if type(model).__name__ in ("GPT2LMHeadModel", "LlamaForCausalLM") else position
            if label == -100 or place < 0:
                continue
            h, embedding = seen[0][row, place], output_embeddings(model).weight[label].detach()
            delta = -epsilon * embedding.norm() * h.detach() / h.detach().norm()
            moved = logits[row, place] + F.one_hot(label, logits.shape[-1]) * (delta @ h)
            losses.append(F.cross_entropy(moved, label))
    return torch.stack(losses).mean()


def some_labels(batch):
    labels = batch["input_ids"].clone()
    labels[:, ::2] = -100
    return {**batch, "labels": labels}


def gradients(model):
    return [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize("architecture", LANGUAGE_MODELS)
def test_a_step_trains_on_the_loss_at_the_worst_output_embeddings(architecture):
    ours, plain = (language_model(architecture, dropout=0.0).train() for _ in range(2))
    batch = some_labels(token_batch())
    result = AlumStep(ours, "adv_softmax", epsilon=EPSILON)(batch)
    expected = loss_by_hand(plain, batch)
    expected.backward()
    torch.testing.assert_close(result.loss, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradients(ours), gradients(plain), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(result.task_loss, loss_by_hand(plain, batch, 0.0).detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(result.loss, result.task_loss + result.adversarial_loss)
    assert result.adversarial_loss > 0


def stepped(model, rows, num_steps):
    """Gradient descent as in the runs of the tests."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    batch = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    for _ in range(num_steps):
        loss_by_hand(model, batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return {name: value.detach() for name, value in model.named_parameters()}


@pytest.mark.parametrize("settings", [{}, {"label_smoothing_factor": 0.0}, {"adv_gain_draws": 0}], ids=str)
@pytest.mark.parametrize("architecture", ["bert", *CAUSAL])
def test_the_trainer_whose_head_sees_predicted_positions_alone_trains_the_same(tmp_path, architecture, settings):
    rows = masked_sentences(8)
    settings = measuring_config(tmp_path, adv_method="adv_softmax", adv_epsilon=EPSILON, **settings)
    ours = trained(language_model(architecture, dropout=0.0), settings, rows)
    expected = stepped(language_model(architecture, dropout=0.0), rows, num_steps=4)
    torch.testing.assert_close(weights(ours), expected, rtol=1e-4, atol=1e-5)


def test_a_loss_of_ones_own_is_raised_by_the_same_term(tmp_path):
    """There the head sees every position."""

    def own_loss(outputs, labels, num_items_in_batch):
        return F.cross_entropy(outputs.logits.flatten(0, -2), labels.flatten())

    rows = masked_sentences(8)
    settings = config(tmp_path, adv_method="adv_softmax", adv_epsilon=EPSILON)
    ours = trained(language_model(dropout=0.0), settings, rows, compute_loss_func=own_loss)
    torch.testing.assert_close(
        weights(ours), stepped(language_model(dropout=0.0), rows, num_steps=4), rtol=1e-4, atol=1e-5
    )


def test_alpha_weighs_what_the_perturbation_adds():
    batch = some_labels(token_batch())
    losses = [
        AlumStep(language_model(dropout=0.0), "adv_softmax", epsilon=EPSILON, alpha=alpha)(batch).loss
        for alpha in (0.0, 0.5, 1.0)
    ]
    torch.testing.assert_close(losses[1], (losses[0] + losses[2]) / 2)
    assert losses[0] < losses[2]


def test_evaluation_is_untouched(tmp_path):
    rows = masked_sentences(8)
    adversarial, standard = (
        AlumTrainer(
            model=language_model(), args=config(tmp_path, adv_method=name), train_dataset=rows, eval_dataset=rows
        ).evaluate()["eval_loss"]
        for name in ("adv_softmax", "standard")
    )
    assert adversarial == standard


def test_a_part_of_a_batch_and_of_the_steps_may_be_spared(tmp_path):
    trainer = trained(
        language_model(dropout=0.0),
        config(tmp_path, adv_method="adv_softmax", adv_fraction=0.5, adv_every_steps=2),
        masked_sentences(),
    )
    attacked = [loss > 0 for loss in logged(trainer, "adversarial_loss")]
    assert attacked == [False, True, False, True]


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_other_kinds_of_models_are_refused(tmp_path):
    message = "'adv_softmax' perturbs the output embeddings .* a model of kind sequence_classification predicts none"
    with pytest.raises(InputError, match=message):
        AlumStep(classifier(), "adv_softmax")
    with pytest.raises(InputError, match=message):
        AlumTrainer(
            model=classifier(), args=config(tmp_path, adv_method="adv_softmax"), train_dataset=labelled_sentences()
        )


def test_a_model_without_output_embeddings_is_refused(monkeypatch):
    model = language_model()
    monkeypatch.setattr(model, "get_output_embeddings", lambda: None)
    with pytest.raises(InputError, match="BertForMaskedLM has no output embeddings to perturb"):
        AlumStep(model, "adv_softmax")


def test_output_embeddings_that_do_not_give_the_logits_are_refused(monkeypatch):
    model = language_model()
    monkeypatch.setattr(model, "get_output_embeddings", lambda: nn.Linear(32, 64))
    with pytest.raises(InputError, match=r"must run exactly once in a forward pass, but they ran 0 times"):
        AlumStep(model, "adv_softmax")(some_labels(token_batch()))


def test_a_batch_without_labels_is_refused():
    with pytest.raises(InputError, match="'adv_softmax' needs labels"):
        AlumStep(language_model(), "adv_softmax")(token_batch())


@pytest.mark.parametrize(
    ("name", "value"), [("adv_num_steps", 3), ("adv_layer", "1"), ("adv_special_tokens", "keep"), ("adv_norm", "linf")]
)
def test_settings_of_a_perturbation_of_the_input_are_refused(tmp_path, name, value):
    with pytest.raises(InputError, match=f"{name} {value} has no effect .* at the output embeddings of the labels"):
        config(tmp_path, adv_method="adv_softmax", **{name: value})


def test_a_target_divergence_is_refused(tmp_path):
    with pytest.raises(InputError, match="adv_target_divergence needs a divergence"):
        config(tmp_path, adv_method="adv_softmax", adv_target_divergence=0.1)


def test_its_cost_is_that_of_standard_training():
    assert pass_counts(method_named("adv_softmax")).in_standard_steps == 1.0
    assert not method_named("adv_softmax").has_one_graph
