"""Training without padding is training with it: every kind, architecture and sort of method, step for step."""

import pytest
import torch
from transformers import (
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)

from alum.core.errors import InputError
from alum.core.methods import METHODS
from alum.models.hooks.padding_free import PaddingFree
from alum.models.hooks.sequence_attention import SUPPORTED
from alum.training.step import AlumStep
from alum.training.trainer import AlumTrainer
from tiny_models import ARCHITECTURES, PAD, VOCAB_SIZE, classifier, config_of, headed, language_model, token_batch
from tiny_runs import config, logged, trained, weights

LENGTHS = (9, 20, 6, 3)
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
TINY = [name for name in ARCHITECTURES if name in SUPPORTED]
# Of each sort: no adversary, exact, one-pass, of the model's own, by the task loss, on the way of its ascent.
METHODS_OF_EACH_SORT = ("standard", "alum", "alum_one_pass", "alum_virtual", "pgd", "freelb")
FREE_AND_PADDED = (True, False)


def generator():
    return torch.Generator().manual_seed(1)


def choices():
    inputs = {name: values.view(2, 2, -1) for name, values in token_batch(LENGTHS).items()}
    return {**inputs, "labels": torch.tensor([0, 1])}


def spans():
    return {
        **token_batch(LENGTHS),
        "start_positions": torch.tensor([1, 9, 2, 1]),
        "end_positions": torch.tensor([3, 12, 4, 1]),
    }


def labelled_tokens(num_labels=2):
    inputs = token_batch(LENGTHS)
    labels = torch.randint(0, num_labels, inputs["input_ids"].shape, generator=generator())
    return {**inputs, "labels": labels.masked_fill(inputs["attention_mask"] == 0, -100)}


def rows(labels):
    return {**token_batch(LENGTHS), "labels": torch.tensor(labels)}


# By kind: the head, what the configuration says of it, and a batch.
KINDS = {
    "sentence_classification": (AutoModelForSequenceClassification, {}, lambda: rows([0, 1, 1, 0])),
    "regression": (AutoModelForSequenceClassification, {"num_labels": 1}, lambda: rows([0.1, 2.0, 3.5, 1.0])),
    "multiple_choice": (AutoModelForMultipleChoice, {}, choices),
    "question_answering": (AutoModelForQuestionAnswering, {}, spans),
    "token_classification": (AutoModelForTokenClassification, {}, labelled_tokens),
    "language_model": (None, {}, lambda: labelled_tokens(VOCAB_SIZE)),
}
CELLS = [
    (kind, architecture)
    for kind, (auto_class, *_) in KINDS.items()
    for architecture in TINY
    if auto_class is None or type(config_of(architecture)) in auto_class._model_mapping
]


def model_of(kind, architecture, dropout=0.0):
    auto_class, settings, _ = KINDS[kind]
    settings = {**settings, "local_attention": 6} if architecture == "modernbert" else settings
    if auto_class is None:
        return language_model(architecture, dropout, **settings).train()
    return headed(auto_class, architecture, dropout, **settings).train()


def without_answers_at_padding(model, tokens):
    """Models for question answering count padding among the places of an answer, which are more then."""
    head = model.classifier if hasattr(model, "classifier") else model.qa_outputs
    head.register_forward_hook(lambda module, args, logits: logits.masked_fill(~tokens[..., None], -1e30))


def step_of(kind, architecture, method, free, **settings):
    """Losses, divergence and gain of a step, and the gradients of its weights."""
    model, inputs = model_of(kind, architecture), KINDS[kind][2]()
    for module in model.modules():  # that of some heads is no setting
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    if free:
        PaddingFree(model)
    elif kind == "question_answering":
        without_answers_at_padding(model, inputs["attention_mask"].bool())
    step = AlumStep(model, method, **settings)
    result = step(inputs, num_gain_draws=2 if METHODS[method].alpha else 0)
    figures = [result.loss, result.task_loss, result.adversarial_loss]
    if result.diagnostics is not None:
        found = result.diagnostics
        figures += [value for value in vars(found).values() if isinstance(value, torch.Tensor)]
    return [figure.item() for figure in figures], result.delta, {n: p.grad for n, p in model.named_parameters()}


def assert_same_step(kind, architecture, method, **settings):
    (free, delta, of_free), (padded, of_delta, of_padded) = (
        step_of(kind, architecture, method, f, **settings) for f in FREE_AND_PADDED
    )
    assert free == pytest.approx(padded, rel=1e-4, abs=1e-5)
    assert (delta is None) == (of_delta is None)
    if delta is not None:
        torch.testing.assert_close(delta, of_delta, rtol=1e-3, atol=1e-4)
    largest = max(gradient.abs().max() for gradient in of_padded.values() if gradient is not None)
    for name, gradient in of_padded.items():
        if gradient is not None:
            torch.testing.assert_close(of_free[name] / largest, gradient / largest, **CLOSE)


@pytest.mark.quick_cases(20)
@pytest.mark.parametrize(("kind", "architecture"), CELLS)
def test_every_kind_and_architecture(kind, architecture):
    assert_same_step(kind, architecture, "alum_one_pass")


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name in METHODS_OF_EACH_SORT if name != "alum_one_pass"])
@pytest.mark.parametrize(("kind", "architecture"), CELLS)
def test_every_kind_and_architecture_with_every_sort_of_method(kind, architecture, method):
    assert_same_step(kind, architecture, method)


@pytest.mark.parametrize(
    "method", [n for n, row in METHODS.items() if not row.changes_text and not row.has_proximal_term]
)
def test_every_method(method):
    kind = "language_model" if METHODS[method].is_for_language_models else "sentence_classification"
    assert_same_step(kind, "bert", method)


@pytest.mark.parametrize("layer", ["embeddings", 1, ("word", 1)])
@pytest.mark.parametrize("method", ["alum", "alum_one_pass"])
def test_every_place(method, layer):
    for architecture in ("bert", "llama"):
        assert_same_step("sentence_classification", architecture, method, layer=layer)


# -- in the Trainer ----------------------------------------------------------------------------------------------------


def sentences(count=24):
    """Rows of 4 to 19 words, whose label says which half of the vocabulary the second is from."""
    found, draw = [], generator()
    for _ in range(count):
        length = int(torch.randint(4, 20, (), generator=draw))
        ids = torch.randint(4, VOCAB_SIZE, (length,), generator=draw)
        found.append({"input_ids": ids, "labels": int(ids[1] >= VOCAB_SIZE // 2)})
    return found


def padded(features):
    ids = torch.nn.utils.rnn.pad_sequence([f["input_ids"] for f in features], batch_first=True, padding_value=PAD)
    return {
        "input_ids": ids,
        "attention_mask": (ids != PAD).long(),
        "labels": torch.tensor([f["labels"] for f in features]),
    }


def run(folder, free, model=None, data_collator=padded, **settings):
    model = classifier(dropout=0.0) if model is None else model
    arguments = config(folder, padding_free=free, learning_rate=0.01, max_steps=3, **settings)
    return trained(model, arguments, sentences(), data_collator=data_collator, eval_dataset=sentences(8))


@pytest.mark.parametrize(
    "settings",
    [
        {"adv_method": "standard"},
        {"adv_method": "alum", "adv_dropout": "off"},
        {"adv_method": "alum_one_pass", "gradient_accumulation_steps": 2},
        {"adv_method": "alum_virtual", "adv_fraction": 0.5},
        {"adv_method": "freelb", "eval_strategy": "steps", "eval_steps": 1},
        {"adv_method": "smart", "gradient_checkpointing": True},
    ],
    ids=lambda settings: settings["adv_method"],
)
def test_a_training_ends_at_the_same_weights(tmp_path, settings):
    free, with_padding = (run(tmp_path, f, **settings) for f in FREE_AND_PADDED)
    for name in ("loss", "divergence", "perturbation_norm"):
        assert logged(free, name) == pytest.approx(logged(with_padding, name), rel=1e-4, abs=1e-8)
    torch.testing.assert_close(weights(free), weights(with_padding), **CLOSE)
    scores = [
        [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
        for trainer in (free, with_padding)
    ]
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)


def test_the_model_runs_with_padding_again_after_training(tmp_path):
    seen = []
    model = classifier()
    model.base_model.embeddings.register_forward_hook(lambda module, args, output: seen.append(output.shape[0]))
    trainer = run(tmp_path, free=True, model=model, adv_method="alum")
    assert set(seen) == {1}
    seen.clear()
    trainer.evaluate()
    assert set(seen) == {8}
    assert model.config._attn_implementation == "sdpa"


def test_the_adversary_beats_noise_under_dropout(tmp_path):
    trainer = run(tmp_path, free=True, model=classifier(dropout=0.1), adv_method="alum_one_pass", adv_gain_draws=1)
    assert min(logged(trainer, "adversarial_gain")) > 2


def test_what_cannot_is_refused_before_training(tmp_path):
    arguments = config(tmp_path, padding_free=True, adv_method="standard")
    with pytest.raises(InputError, match="in a model of type t5: it can in albert"):
        AlumTrainer(model=classifier("t5"), args=arguments, train_dataset=sentences())
    compiled = config(tmp_path, padding_free=True, torch_compile=True)
    with pytest.raises(InputError, match="padding_free does not work with torch_compile"):
        AlumTrainer(model=classifier(), args=compiled, train_dataset=sentences())
