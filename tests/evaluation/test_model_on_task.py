import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from datasets import Dataset

from alum.attacks.embedding_pgd import EmbeddingPGD
from alum.core.errors import InputError
from alum.core.methods import method_named
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.data.table import Table
from alum.evaluation.label_names import LabelMapping
from alum.tasks.kinds.multiple_choice import MULTIPLE_CHOICE
from alum.tasks.kinds.question_answering import QUESTION_ANSWERING
from alum.tasks.kinds.regression import REGRESSION
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.tasks.kinds.token_classification import TOKEN_CLASSIFICATION
from alum.tasks.layout import Layout
from alum.tasks.lookup import SUPERVISED
from alum.tasks.rows import TaskRows
from text_models import on_task
from tiny_linear_model import HIDDEN, LENGTH, VOCAB_SIZE, LinearModel
from tiny_models import classifier, headed

ATTACK = EmbeddingPGD(epsilon=0.1, num_steps=2)


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece(["a b c d e f g h i j k l m n o p"], 21, LENGTH)


def examples(count, lengths=(LENGTH,), vocab_size=VOCAB_SIZE):
    rng = np.random.default_rng(0)
    rows = [rng.integers(1, vocab_size, lengths[i % len(lengths)]).tolist() for i in range(count)]
    return Dataset.from_dict({"input_ids": rows, "labels": rng.integers(0, 2, count).tolist()})


def measuring(model, tokenizer, kind=SEQUENCE_CLASSIFICATION, batch_size=4, **settings):
    return on_task(model, tokenizer, kind, batch_size, **settings)


# -- outputs of every kind ---------------------------------------------------------------------------------------------

TEXTS = [
    "the cat sits by the river",
    "a dog",
    "the teacher reads a long letter in the garden by the river while it rains and the cat sits there",
    "it rains",
    "someone sleeps by the fire",
]
OTHERS = ["an animal rests", "it sleeps", "someone reads", "the sun shines in the long grass", "a fire is warm"]
WORDS = train_wordpiece([" ".join((*TEXTS, *OTHERS))] * 3, 200, 64)
SPANS = [{"text": [text.split()[-1]], "answer_start": [len(text) - len(text.split()[-1])]} for text in TEXTS]

KINDS = {
    "sentence": (SEQUENCE_CLASSIFICATION, Layout(text=("a",), label_names=("no", "yes")), [0, 1, 1, 0, 1]),
    "pair": (SEQUENCE_CLASSIFICATION, Layout(text=("a", "b"), label_names=("x", "y", "z")), [0, 2, 1, 0, 1]),
    "regression": (REGRESSION, Layout(text=("a", "b")), [0.1, 2.0, 3.5, 1.0, 0.0]),
    "multiple choice": (MULTIPLE_CHOICE, Layout(text=("a",), choices=("b", "c", "a")), [0, 1, 1, 2, 0]),
    "question answering": (QUESTION_ANSWERING, Layout(text=("b", "a"), label="label"), SPANS),
}


def set_up(name, batch_size=2, **settings):
    """A model of the kind, what is measured on it, the rows and their features."""
    kind, layout, labels = KINDS[name]
    supervision = SUPERVISED[kind.name]
    table = Table.of(Dataset.from_dict({"a": TEXTS, "b": OTHERS, "c": OTHERS[::-1], "label": labels}), "rows.jsonl")
    head = supervision.head(layout.label_names)
    model = headed(supervision.auto_class, dropout=0.5, vocab_size=len(WORDS), **head).train()
    rows = TaskRows(table, layout)
    measured = on_task(model, WORDS, kind, batch_size, **settings)
    return measured, measured.features(rows), rows


def parts(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


@pytest.mark.parametrize("name", KINDS)
def test_outputs_are_those_of_each_feature_alone(name):
    measured, features, _ = set_up(name)
    found = parts(measured.outputs(features))
    model, collate = measured.model.eval(), measured.evaluated.supervision.collator(WORDS)
    for row, feature in enumerate(features):
        with torch.no_grad():
            outputs = model(**{k: v for k, v in collate([feature]).items() if "labels" not in k and "pos" not in k})
        expected = [outputs.logits] if "logits" in outputs else [outputs.start_logits, outputs.end_logits]
        for values, own in zip(found, expected, strict=True):
            assert len(values) == len(features)
            np.testing.assert_allclose(values[row][: own.shape[-1]], own[0].numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("attack", [None, ATTACK])
def test_outputs_can_be_scored(name, attack):
    measured, features, rows = set_up(name)
    supervision = measured.evaluated.supervision
    predicted = supervision.predict(measured.outputs(features, attack), features, rows)
    scores = supervision.score(predicted, rows)
    for metric, values in supervision.row_scores(predicted, rows).items():
        assert np.mean(values) == pytest.approx(scores["mse" if metric == "squared_error" else metric])


@pytest.mark.parametrize("name", KINDS)
def test_batches_and_their_padding_change_nothing_under_attack(name):
    found = []
    for size in (1, 5):
        measured, features, _ = set_up(name, batch_size=size)
        found.append(parts(measured.outputs(features, ATTACK)))
    for values, others in zip(*found, strict=True):
        width = min(values.shape[-1], others.shape[-1])
        if name == "question answering":  # compare inside the windows: beyond them there is only padding
            for row, feature in enumerate(features):
                n = len(feature["input_ids"])
                np.testing.assert_allclose(values[row][:n], others[row][:n], rtol=1e-3, atol=1e-4)
        else:
            np.testing.assert_allclose(values[:, :width], others[:, :width], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_outputs_that_are_no_numbers_answer_nothing(name):
    measured, features, _ = set_up(name)
    with torch.no_grad():
        next(reversed(list(measured.model.parameters()))).fill_(torch.nan)
    with pytest.raises(InputError, match=r"outputs of .* are not numbers \(NaN\)"):
        measured.outputs(features)


@pytest.mark.parametrize("name", KINDS)
def test_the_attack_raises_the_task_loss_and_more_of_it_at_larger_radii(name):
    measured, features, _ = set_up(name)
    losses = []
    for _, batch in measured.attacked_batches(features):
        at_radii = EmbeddingPGD(0.1, num_steps=4).curve(dataclasses.replace(batch, fallen=None), [1e-6, 0.03, 0.3])
        losses.append([worst.losses.mean().item() for worst in at_radii])
        lengths = batch.inputs["input_ids"].ne(WORDS.pad_token_id).flatten(0, -2)
        assert torch.equal(batch.mask, lengths)  # as many rows as there are choices
    tiny, small, large = np.mean(losses, axis=0)
    assert tiny < small - 1e-4 < large - 1e-3


def test_classification_falls_monotonously_over_the_radii():
    measured, features, _ = set_up("pair")
    own = measured.outputs(features).argmax(-1).tolist()
    features = features.remove_columns("labels").add_column("labels", own)
    curve = measured.outputs_by_radius(features, EmbeddingPGD(0.1, num_steps=4), [0.01, 0.1, 1.0, 10.0])
    right = [(outputs.argmax(-1) == own).tolist() for outputs in curve]
    assert all(not late or early for a, b in itertools.pairwise(right) for early, late in zip(a, b, strict=True))
    assert sum(right[0]) > sum(right[-1])


def test_the_attack_lowers_the_margin_as_far_as_the_closed_form_says(tokenizer):
    """One step is as long as the radius; wrong answers are left as they are."""
    model, rows = LinearModel(), examples(12)
    measured = measuring(model, tokenizer)
    attack = EmbeddingPGD(epsilon=0.1, num_steps=1)
    clean, attacked = measured.outputs(rows), measured.outputs(rows, attack)
    labels = np.array(rows["labels"][:])
    norms = model.embeddings(torch.tensor(rows["input_ids"][:])).norm(dim=-1).detach().numpy()
    before, after = ((logits[:, 0] - logits[:, 1]) * (1 - 2 * labels) for logits in (clean, attacked))
    moved = 0.1 * norms.mean(-1) * model.margin_lengths().sum().item()
    assert 0 < (before > 0).sum() < 12
    np.testing.assert_allclose(before - after, np.where(before > 0, moved, 0.0), rtol=1e-3, atol=1e-5)


def multiply_logits(model, factor):
    """Makes a model surer, with the same answers."""

    def multiplied(module, inputs, outputs):
        for name in {"logits", "start_logits", "end_logits"} & set(outputs):
            outputs[name] = outputs[name] * factor
        return outputs

    model.register_forward_hook(multiplied)


def test_a_model_that_is_sure_is_turned_exactly_where_it_is_turned_at_ease():
    """Logits times 300 are the same decisions, though the cross-entropy has no gradient left in most rows."""
    measured, features, _ = set_up("sentence", batch_size=8)
    own = measured.outputs(features).argmax(-1).tolist()
    features = features.remove_columns("labels").add_column("labels", own)
    attack, radii = EmbeddingPGD(0.1, num_steps=5, num_restarts=2), [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
    at_ease = [outputs.argmax(-1).tolist() for outputs in measured.outputs_by_radius(features, attack, radii)]
    multiply_logits(measured.model, 300.0)
    ((_, batch),) = measured.attacked_batches(features)
    probabilities = measured.run(batch.inputs)["logits"].softmax(-1).amax(-1)
    sure = [outputs.argmax(-1).tolist() for outputs in measured.outputs_by_radius(features, attack, radii)]
    assert sure == at_ease
    assert probabilities.eq(1).sum() >= 4
    assert at_ease[0] == own != at_ease[-2]


@pytest.mark.parametrize("name", ["pair", "multiple choice", "question answering"])
def test_the_attack_moves_every_row_of_a_model_that_is_sure(name):
    measured, features, _ = set_up(name, batch_size=8)
    multiply_logits(measured.model, 1e4)
    widths = [len(ids) for ids in features["input_ids"]] if name == "question answering" else [None] * len(features)
    sure = [
        [int(row[:width].argmax()) for row, width in zip(outputs, widths, strict=True)]
        for outputs in parts(measured.outputs(features))
    ]
    if name == "question answering":
        labelled = dict(zip(("start_positions", "end_positions"), sure, strict=True))
    else:
        labelled = {"labels": sure[0]}
    features = features.remove_columns(list(labelled))
    for column, values in labelled.items():
        features = features.add_column(column, values)
    ((_, batch),) = measured.attacked_batches(features)
    clean = batch.losses(measured.run(batch.inputs), batch.inputs)
    worst = EmbeddingPGD(0.01, num_steps=3)(batch)
    assert (clean < -17).sum() >= 4  # where the cross-entropy has no gradient in fp32
    assert (worst.losses > clean).all()
    assert worst.delta.view(len(features), -1).any(-1).all()


# -- answers and tolerances --------------------------------------------------------------------------------------------


def test_finer_outputs_are_joined_in_outputs_losses_and_attacks():
    measured, features, _ = set_up("pair", mapping=LabelMapping((1, 0, 0), 2))
    features = features.remove_columns("labels").add_column("labels", [0, 1, 1, 0, 1])
    own = on_task(measured.model, WORDS, SEQUENCE_CLASSIFICATION).outputs(features)
    expected = np.stack((own[:, 1:].max(-1), own[:, 0]), axis=-1)
    np.testing.assert_allclose(measured.outputs(features), expected, rtol=1e-5, atol=1e-6)
    attacked = measured.outputs(features, EmbeddingPGD(3.0))
    assert attacked.shape == (5, 2)
    labels = np.array(features["labels"][:])
    assert (attacked.argmax(-1) == labels).sum() <= (expected.argmax(-1) == labels).sum()
    for rows, batch in measured.attacked_batches(features):
        log_probs = torch.tensor(expected[rows]).log_softmax(-1)
        losses = batch.losses(measured.run(batch.inputs), batch.inputs)
        against = log_probs[range(len(rows)), 1 - labels[rows]] - log_probs[range(len(rows)), labels[rows]]
        torch.testing.assert_close(losses, against, rtol=1e-4, atol=1e-5)


def test_a_regressors_answers_are_wrong_beyond_the_tolerance():
    measured, features, _ = set_up("regression")
    errors = np.abs(measured.outputs(features)[:, 0] - np.array(KINDS["regression"][2]))
    tolerance = float(np.sort(errors)[1:3].mean())
    measured = dataclasses.replace(measured, tolerance=tolerance)
    assert measured.is_wrong is not None
    for rows, batch in measured.attacked_batches(features):
        wrong = batch.fallen(measured.run(batch.inputs), batch.inputs)
        assert wrong.tolist() == (errors[rows] > tolerance).tolist()


def test_numbers_and_spans_have_no_wrong_answers():
    assert set_up("regression")[0].is_wrong is None
    assert set_up("question answering")[0].is_wrong is None
    assert set_up("multiple choice")[0].is_wrong is not None


def test_rows_without_labels_are_measured_but_not_attacked():
    measured, features, _ = set_up("sentence")
    unlabelled = features.remove_columns("labels")
    np.testing.assert_array_equal(measured.outputs(unlabelled), measured.outputs(features))
    with pytest.raises(InputError, match="labels"):
        measured.outputs(unlabelled, ATTACK)


def test_a_kind_without_losses_is_not_attacked(tokenizer):
    measured = measuring(headed(SUPERVISED["token_classification"].auto_class), tokenizer, TOKEN_CLASSIFICATION)
    with pytest.raises(InputError, match="token_classification"):
        measured.outputs(examples(2), ATTACK)


# -- what measuring leaves behind --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "measure",
    [
        lambda measured, rows: measured.outputs(rows, ATTACK),
        lambda measured, rows: measured.gain_and_divergence(rows, method_named("alum")),
        lambda measured, rows: measured.gain_and_divergence(rows, method_named("alum_one_pass")),
    ],
    ids=["attack", "joint gain", "one-pass gain"],
)
def test_measuring_leaves_the_parameters_as_they_were(tokenizer, measure):
    model = classifier(dropout=0.0)
    frozen = model.bert.embeddings.position_embeddings.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    measure(measuring(model, tokenizer), examples(5))
    assert not frozen.requires_grad
    assert all(p.requires_grad for p in model.parameters() if p is not frozen)
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_attack_that_fails_gives_the_parameters_back(tokenizer):
    model = classifier()
    model.classifier.register_forward_hook(lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        measuring(model, tokenizer).outputs(examples(1), ATTACK)
    assert all(p.requires_grad for p in model.parameters())


# -- gain --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [method_named("alum", epsilon=0.01, num_steps=8), method_named("alum_one_pass", epsilon=0.01)],
    ids=lambda method: method.name,
)
def test_the_gain_on_a_linear_model_is_the_closed_form(tokenizer, method):
    """For small δ the divergence is p(1 - p)·s², with s how far the margin moves.

    Along the gradient, where enough steps outweigh the noise at the start, s = r Σ‖w_t‖ with weights w_t at the
    positions. In random directions E[s²] = r² Σ‖w_t‖² / H.
    """
    model = LinearModel()
    lengths = model.margin_lengths()
    expected = HIDDEN * (lengths.sum().square() / lengths.square().sum()).item()
    measured = measuring(model, tokenizer, batch_size=64)
    gain, _ = measured.gain_and_divergence(examples(64), method, num_draws=64)
    # s² of a draw is about χ² with one degree of freedom: the mean of n has a standard deviation of √(2/n).
    assert gain == pytest.approx(expected, rel=4 * math.sqrt(2 / (64 * 64)))


def test_the_gain_of_noise_is_one(tokenizer):
    measured = measuring(LinearModel(), tokenizer, batch_size=256)
    gain, _ = measured.gain_and_divergence(examples(2048), method_named("noise", epsilon=1e-3), num_draws=4)
    assert gain == pytest.approx(1.0, rel=4 * math.sqrt(2 / 2048))


def test_a_perturbation_that_moves_nothing_has_gain_one(tokenizer):
    model = LinearModel()
    model.weight.data.zero_()
    assert measuring(model, tokenizer).gain_and_divergence(examples(4), method_named("alum")) == (1.0, 0.0)
