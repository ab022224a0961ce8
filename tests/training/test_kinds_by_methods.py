"""Every kind of task with every method, on rows that go the whole way: encoded, padded, trained, predicted, scored."""

import itertools
import math

import pytest
import torch
from datasets import Dataset

from alum.core.methods import METHODS
from alum.core.objective import alum_loss
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.data.table import Table
from alum.models.tokenization import Tokenization
from alum.tasks.layout import Layout
from alum.tasks.lookup import USER_KINDS
from alum.tasks.rows import TaskRows
from alum.training import trainer as training
from alum.training.trainer import AlumTrainer
from tiny_models import headed, language_model
from tiny_runs import config, logged, trained

TEXTS = ["the cat sits by the river", "a dog", "the teacher reads a long letter in the garden", "it rains"]
OTHERS = ["an animal rests", "it sleeps in the long grass", "someone reads", "the sun shines"]
TOKENIZER = train_wordpiece([" ".join((*TEXTS, *OTHERS))] * 3, 200, 64)

# By the name that users give a kind: the layout and the columns of four rows.
ROWS = {
    "sentence_classification": (
        Layout(text=("a",), label_names=("no", "yes")),
        {"a": TEXTS, "label": [0, 1, 1, 0]},
    ),
    "pair_classification": (
        Layout(text=("a", "b"), label_names=("no", "yes", "maybe")),
        {"a": TEXTS, "b": OTHERS, "label": ["yes", "no", "maybe", "no"]},
    ),
    "regression": (Layout(text=("a", "b")), {"a": TEXTS, "b": OTHERS, "label": [0.1, 2.0, 3.5, 1.0]}),
    "multiple_choice": (
        Layout(text=("a",), choices=("b", "c")),
        {"a": TEXTS, "b": OTHERS, "c": OTHERS[::-1], "label": [0, 1, 1, 0]},
    ),
    "question_answering": (
        Layout(text=("b", "a"), label="answers"),
        {
            "a": TEXTS,
            "b": OTHERS,
            "answers": [{"text": [t.split()[-1]], "answer_start": [len(t) - len(t.split()[-1])]} for t in TEXTS],
        },
    ),
    "token_classification": (
        Layout(text=("words",), label="tags", label_names=("O", "B-x", "I-x")),
        {"words": [t.split() for t in TEXTS], "tags": [[i % 3 for i in range(len(t.split()))] for t in TEXTS]},
    ),
    "causal_lm": (Layout(text=("a",), label="b"), {"a": TEXTS, "b": OTHERS}),
}


def test_the_table_has_every_kind():
    assert set(ROWS) == set(USER_KINDS)


GAINING = ("alum", "alum_one_pass", "fgm", "pgd")


def is_trained(number, name, method):
    """Each kind by the methods of the paper's table, and each other method on kinds that take turns.

    Their steps are compared with plain PyTorch, of each kind and method, in ``benchmarks/test_cells.py``.
    """
    if METHODS[method].is_for_language_models and USER_KINDS[name][0].kind.predicted_rows is None:
        return False
    return method in ("standard", *GAINING) or (number + list(ROWS).index(name)) % 3 == 0 or name == "causal_lm"


PAIRS = [
    (name, method)
    for name, (number, method) in itertools.product(ROWS, enumerate(METHODS))
    if is_trained(number, name, method)
]


@pytest.mark.quick_cases(24)
@pytest.mark.parametrize(("name", "method"), PAIRS)
def test_a_kind_trains_with_a_method(name, method, tmp_path, monkeypatch):
    results = []

    def observed(batch, *args, **kwargs):
        result = alum_loss(batch, *args, **kwargs)
        results.append((batch.mask, result))  # which the clean pass may set
        return result

    monkeypatch.setattr(training, "alum_loss", observed)
    layout, columns = ROWS[name]
    table = Table.of(Dataset.from_dict(columns), "rows.jsonl")
    supervision, _ = USER_KINDS[name]
    rows = TaskRows(table, layout)
    features = supervision.encode(rows, Tokenization(TOKENIZER, 32))
    if name == "causal_lm":
        model = language_model("gpt2", dropout=0.0, vocab_size=len(TOKENIZER))
    else:
        head = supervision.head(layout.label_names)
        model = headed(supervision.auto_class, "bert", dropout=0.0, vocab_size=len(TOKENIZER), **head)

    def scores(prediction):
        return supervision.score(supervision.predict(prediction.predictions, features, rows), rows)

    trainer = trained(
        model,
        config(
            tmp_path,
            adv_method=method,
            adv_gain_draws=2 if method in GAINING else 0,
            max_steps=2,
            per_device_train_batch_size=4,
        ),
        features,
        AlumTrainer,
        eval_dataset=features,
        data_collator=supervision.collator(TOKENIZER),
        compute_metrics=scores,
        preprocess_logits_for_metrics=supervision.gathered,
    )
    assert trainer.kind is supervision.kind  # found from the model's head
    assert all(map(math.isfinite, logged(trainer, "loss")))
    if method in GAINING:
        assert min(logged(trainer, "adversarial_gain")) > 1
    for mask, result in results:
        assert result.skipped == 0
        if result.delta is not None:
            assert torch.count_nonzero(result.delta[~mask]) == 0
            assert not mask.all()
    assert len(results) == (0 if method == "standard" else 2)
    metrics = trainer.evaluate()
    assert supervision.main_metric in {key.removeprefix("eval_") for key in metrics}
    assert all(math.isfinite(value) for value in metrics.values())
