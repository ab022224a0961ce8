import pytest
import torch
from datasets import Dataset

from alum.attacks.embedding_pgd import EmbeddingPGD
from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.evaluation.gradient_masking import PART_NAMES, check_gradient_masking
from alum.tasks.kinds.question_answering import QUESTION_ANSWERING
from alum.tasks.kinds.regression import REGRESSION
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.tasks.lookup import SUPERVISED
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
    }
    assert parts[0].figures["accuracy_under_attack"] == 1.0


def test_figures_are_shares_of_right_answers_among_all_rows(ordinary):
    measured, features = measured_on_its_own_answers(ordinary[0].model, num_wrong=10)
    attack = EmbeddingPGD(0.03, num_steps=5)
    noise, transfer, large, converged = check_gradient_masking(measured, features, attack, other=measured)
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


@pytest.mark.parametrize("change", [{"hidden_size": 16}, {"vocab_size": VOCAB_SIZE + 1}])
def test_perturbations_of_a_model_that_does_not_fit_are_not_tried(ordinary, change):
    other = on_task(classifier(dropout=0.0, **change), TOKENIZER, SEQUENCE_CLASSIFICATION, 16)
    for given in (None, other):
        parts = check_gradient_masking(*ordinary, ATTACK, other=given)
        assert [part.passed for part in parts] == [True, None, True, True]
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
