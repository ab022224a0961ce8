import copy
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset

from alum.attacks.embedding_pgd import EmbeddingPGD
from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.evaluation.gradient_masking import PART_NAMES, check_gradient_masking
from alum.tasks.kinds.question_answering import QUESTION_ANSWERING
from alum.tasks.kinds.regression import REGRESSION
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.tasks.lookup import SUPERVISED
from alum.training.step import AlumStep
from text_models import on_task
from tiny_models import MASK, VOCAB_SIZE, classifier, headed

TOKENIZER = train_wordpiece([" ".join(map(chr, range(97, 123)))], VOCAB_SIZE, 16)
ATTACK = EmbeddingPGD(0.3, num_steps=10)
NUM_ROWS = 40


def measured_on_its_own_answers(model, num_wrong=0):
    """With features of which the model gets all but the first ``num_wrong`` right."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(MASK + 1, VOCAB_SIZE, (NUM_ROWS, 8), generator=generator)
    with torch.no_grad():
        labels = model(input_ids=ids).logits.argmax(-1)
    labels[:num_wrong] = 1 - labels[:num_wrong]
    features = Dataset.from_dict({"input_ids": ids.tolist(), "labels": labels.tolist()})
    return on_task(model, TOKENIZER, SEQUENCE_CLASSIFICATION, 16), features


def with_masked_gradients(model):
    """The same answers, from logits that are large and round: their gradient is zero everywhere."""

    def rounded(module, inputs, output):
        centred = output["logits"] - output["logits"].mean(-1, keepdim=True)
        output["logits"] = (centred * 1e4).clamp(-100, 100).round()
        return output

    model.register_forward_hook(rounded)
    return model


def outcomes(parts):
    return {part.name: part.passed for part in parts}


@pytest.fixture(scope="module")
def ordinary():
    return measured_on_its_own_answers(classifier(dropout=0.0))


def test_an_ordinary_model_passes(ordinary):
    parts = check_gradient_masking(*ordinary, ATTACK, other=ordinary[0])
    assert outcomes(parts) == dict.fromkeys(PART_NAMES, True)
    noise = parts[0].figures
    assert noise["accuracy_under_attack"] < noise["accuracy_under_noise"] - 0.1  # an attack, not noise


def test_a_model_with_masked_gradients_fails(ordinary):
    masked, features = measured_on_its_own_answers(with_masked_gradients(classifier(dropout=0.0)))
    assert features["labels"][:] == ordinary[1]["labels"][:]
    parts = check_gradient_masking(masked, features, ATTACK, other=ordinary[0])
    assert outcomes(parts) == {
        "stronger_than_noise": False,
        "stronger_than_transfer": False,
        "broken_at_large_radius": False,
        "converged": False,  # further starts are random and find what the first one missed
        "repeatable": True,
        "gradient_is_the_slope": False,
        "cross_entropy_has_gradients": False,  # logits of ±100
    }
    assert parts[0].figures["accuracy_under_attack"] == 1.0


def test_figures_are_shares_of_right_answers_among_all_rows(ordinary):
    measured, features = measured_on_its_own_answers(ordinary[0].model, num_wrong=10)
    attack = EmbeddingPGD(0.03, num_steps=5)
    noise, transfer, large, converged, *_ = check_gradient_masking(measured, features, attack, other=measured)
    labels = features["labels"][:]

    def accuracy(attack):
        return (measured.outputs(features, attack).argmax(-1) == labels).mean()

    assert noise.figures["accuracy_under_attack"] == pytest.approx(accuracy(attack))
    assert 0.1 < accuracy(attack) < 0.7
    assert accuracy(attack) < noise.figures["accuracy_under_noise"] <= 0.75
    # A model's own perturbations are as strong as its attack is.
    assert transfer.figures["accuracy_under_transfer"] == pytest.approx(accuracy(attack), abs=1 / NUM_ROWS)
    assert large.figures["accuracy"] == accuracy(EmbeddingPGD(1.0, num_steps=50))
    assert (large.figures["epsilon"], large.figures["num_steps"]) == (1.0, 50)
    assert converged.figures["accuracy_under_more"] == accuracy(EmbeddingPGD(0.03, num_steps=20, num_restarts=4))
    assert f"{round(40 * accuracy(attack))} of 40 right under attack" in noise.found


# -- six models that learned a task ------------------------------------------------------------------------------------


def task_rows(count, seed):
    """Rows of eight words; the label says whether most of them are from the first half of the vocabulary."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(MASK + 1, VOCAB_SIZE, (count, 9), generator=generator)
    return ids, (2 * (ids < (MASK + VOCAB_SIZE) / 2).sum(-1) > 9).long()


def trained(method, num_steps, model=None, **settings):
    model = model or classifier(dropout=0.0)
    step = AlumStep(model, method, **settings)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    model.train()
    for number in range(num_steps):
        ids, labels = task_rows(64, seed=number)
        step({"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels})
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@pytest.fixture(scope="module")
def standard():
    return trained("standard", 150)


def checked(model, epsilon=0.1):
    ids, labels = task_rows(NUM_ROWS, seed=1000)
    features = Dataset.from_dict({"input_ids": ids.tolist(), "labels": labels.tolist()})
    measured = on_task(model, TOKENIZER, SEQUENCE_CLASSIFICATION, 16)
    assert (measured.outputs(features).argmax(-1) == labels.numpy()).mean() > 0.8
    return outcomes(check_gradient_masking(measured, features, EmbeddingPGD(epsilon)))


def accuracy_under_pgd(model, epsilon=0.1):
    ids, labels = task_rows(NUM_ROWS, seed=1000)
    features = Dataset.from_dict({"input_ids": ids.tolist(), "labels": labels.tolist()})
    measured = on_task(model, TOKENIZER, SEQUENCE_CLASSIFICATION, 16)
    return (measured.outputs(features, EmbeddingPGD(epsilon)).argmax(-1) == labels.numpy()).mean()


@contextmanager
def changed(module, change):
    """With outputs of a module changed; those of most modules are a tensor or a tuple that begins with one."""

    def hook(module, inputs, output):
        return (change(output[0]), *output[1:]) if isinstance(output, tuple) else change(output)

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


HONEST_OUTCOMES = dict.fromkeys(PART_NAMES, True) | {"stronger_than_transfer": None}


def test_a_model_of_standard_training_passes(standard):
    assert checked(standard) == HONEST_OUTCOMES


@pytest.mark.parametrize("method", ["alum_one_pass", pytest.param("pgd", marks=pytest.mark.slow)])
def test_models_trained_against_attacks_pass_though_they_are_robust(standard, method):
    robust = trained(method, 60, copy.deepcopy(standard), epsilon=0.05)
    assert accuracy_under_pgd(robust) > accuracy_under_pgd(standard) + 0.15
    assert checked(robust) == HONEST_OUTCOMES


def test_a_model_of_large_logits_is_flagged_for_what_the_cross_entropy_would_hide(standard):
    plain = checked(standard)
    with changed(standard.classifier, lambda logits: 300 * logits):
        assert checked(standard) == plain | {"cross_entropy_has_gradients": False}


@pytest.mark.slow
@pytest.mark.parametrize("gradient", ["none", "straight through"])
def test_a_model_of_rounded_embeddings_is_flagged(standard, gradient):
    def rounded(embeddings, step=0.25):
        found = (embeddings / step).round() * step
        return found if gradient == "none" else embeddings + (found - embeddings).detach()

    with changed(standard.bert.embeddings, rounded):
        found = checked(standard)
    assert found["gradient_is_the_slope"] is False
    if gradient == "none":
        assert found["stronger_than_noise"] is False or found["broken_at_large_radius"] is False


@pytest.mark.slow
def test_a_model_of_random_layers_is_flagged(standard):
    with changed(standard.bert.encoder.layer[0], lambda hidden: F.dropout(hidden, 0.2)):
        assert checked(standard)["repeatable"] is False


def test_half_precision_has_slopes_too_coarse_to_tell(ordinary):
    model = classifier(dropout=0.0).to(torch.bfloat16)
    measured, features = measured_on_its_own_answers(model)
    found = outcomes(check_gradient_masking(measured, features, ATTACK))
    assert (found["gradient_is_the_slope"], found["repeatable"]) == (None, True)


@pytest.mark.parametrize("change", [{"hidden_size": 16}, {"vocab_size": VOCAB_SIZE + 1}])
def test_perturbations_of_a_model_that_does_not_fit_are_not_tried(ordinary, change):
    other = on_task(classifier(dropout=0.0, **change), TOKENIZER, SEQUENCE_CLASSIFICATION, 16)
    for given in (None, other):
        parts = check_gradient_masking(*ordinary, ATTACK, other=given)
        assert [part.passed for part in parts] == [True, None, *[True] * 5]
        assert not parts[1].figures


def test_where_no_answer_is_right_nothing_can_be_said(ordinary):
    measured, features = measured_on_its_own_answers(ordinary[0].model, num_wrong=NUM_ROWS)
    assert outcomes(check_gradient_masking(measured, features, ATTACK)) == dict.fromkeys(PART_NAMES)


@pytest.mark.parametrize("kind", [REGRESSION, QUESTION_ANSWERING])
def test_kinds_without_wrong_answers_are_refused(kind):
    measured = on_task(headed(SUPERVISED[kind.name].auto_class, num_labels=1), TOKENIZER, kind)
    with pytest.raises(InputError, match="not right or wrong"):
        check_gradient_masking(measured, Dataset.from_dict({}), ATTACK)


def test_the_parameters_are_given_back(ordinary):
    check_gradient_masking(*ordinary, ATTACK, other=ordinary[0])
    assert all(parameter.requires_grad for parameter in ordinary[0].model.parameters())
