import numpy as np
import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, Trainer

from alum.core.errors import InputError
from alum.core.methods import METHODS
from alum.data.table import Table
from alum.models.tokenization import Tokenization
from alum.tasks.kinds.completion import CompletionSupervision
from alum.tasks.kinds.language_modeling import CAUSAL_LM
from alum.tasks.layout import Layout
from alum.tasks.lookup import kind_of
from alum.tasks.rows import TaskRows
from alum.training.trainer import AlumTrainer
from tiny_models import language_model
from tiny_runs import config, logged, plain_config, trained

SUPERVISION = CompletionSupervision()
LAYOUT = Layout(text=("prompt",), label="completion")
WHOLE = Layout(text=(), label="completion")
PROMPTS = ["a b", "c d e"]
COMPLETIONS = ["g h i", "j"]
IGNORED = -100


def character_tokenizer(bos=False, side="right", eos="<eos>"):
    """A token for each character: ``<eos>`` is 0, ``<bos>`` 1, a newline 2, a space 3, a 4, b 5, ..."""
    vocabulary = {token: i for i, token in enumerate(["<eos>", "<bos>", "\n", " ", *"abcdefghijklmnop"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<eos>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=eos, bos_token="<bos>", padding_side=side)


TOKENIZER = character_tokenizer()
LETTERS = {letter: 4 + i for i, letter in enumerate("abcdefghijklmnop")} | {"\n": 2, " ": 3, "<": 1, ">": 0}


def ids(text):
    """Of ``<bos>`` written as "<", ``<eos>`` as ">"."""
    return [LETTERS[letter] for letter in text]


def table(**columns):
    return Table.of(Dataset.from_dict(columns or {"prompt": PROMPTS, "completion": COMPLETIONS}), "rows.jsonl")


def encoded(rows, layout=LAYOUT, tokenizer=TOKENIZER, length=32):
    return SUPERVISION.encode(TaskRows(rows, layout), Tokenization(tokenizer, length))


# -- encoding ----------------------------------------------------------------------------------------------------------


def test_labels_are_on_the_completion_and_its_end():
    first, second = encoded(table())
    assert first["input_ids"] == ids("a b\ng h i>")
    assert first["labels"] == [IGNORED] * 4 + ids("g h i>")
    assert first["attention_mask"] == [1] * 10
    assert second["input_ids"] == ids("c d e\nj>")


def test_without_a_prompt_the_whole_text_is_learned():
    first, second = encoded(table(), WHOLE)
    assert first["input_ids"] == first["labels"] == ids("g h i>")
    assert second["input_ids"] == second["labels"] == ids("j>")


def test_the_start_of_a_sequence_where_the_tokenizer_has_one():
    tokenizer = character_tokenizer(bos=True)
    first, _ = encoded(table(), tokenizer=tokenizer)
    assert first["input_ids"] == ids("<a b\ng h i>")
    assert first["labels"][:5] == [IGNORED] * 5
    whole, _ = encoded(table(), WHOLE, tokenizer)
    assert (whole["input_ids"], whole["labels"]) == (ids("<g h i>"), [IGNORED, *ids("g h i>")])


def test_without_a_token_for_the_end_there_is_none():
    first, _ = encoded(table(), tokenizer=character_tokenizer(eos=None))
    assert first["input_ids"] == ids("a b\ng h i")


@pytest.mark.parametrize(
    ("prompt", "further", "completion", "whole"),
    [
        ("a", "b", "c", "a\nb\nc>"),
        ("a", "", "c", "a\nc>"),
        ("a ", "b\n", "c", "a b\nc>"),
        ("a", "b", " c", "a\nb c>"),
        ("", "", "c", "c>"),
    ],
)
def test_a_newline_parts_what_no_white_space_parts(prompt, further, completion, whole):
    rows = table(prompt=[prompt], input=[further], completion=[completion])
    (row,) = encoded(rows, Layout(text=("prompt", "input"), label="completion"))
    assert row["input_ids"] == ids(whole)
    assert row["labels"] == [IGNORED] * (len(whole) - len(completion) - 1) + ids(completion + ">")


@pytest.mark.parametrize(
    ("length", "kept", "num_labels"), [(9, " b\ng h i>", 6), (7, "\ng h i>", 6), (6, "g h i>", 6), (4, "g h ", 4)]
)
def test_prompts_lose_their_start_and_only_then_completions_their_end(length, kept, num_labels):
    (first, _), bos = encoded(table(), length=length), encoded(table(), tokenizer=character_tokenizer(True), length=7)
    assert first["input_ids"] == ids(kept)
    assert first["labels"] == [IGNORED] * (len(kept) - num_labels) + ids(kept)[-num_labels:]
    assert bos[0]["input_ids"] == ids("<g h i>")


def test_rows_without_a_completion_have_no_labels():
    features = encoded(table(prompt=PROMPTS))
    assert features.to_dict() == {
        "input_ids": [ids("a b"), ids("c d e")],
        "attention_mask": [[1] * 3, [1] * 5],
    }


@pytest.mark.parametrize(
    ("columns", "layout", "message"),
    [
        ({"prompt": ["a", None], "completion": ["b", "c"]}, LAYOUT, "row 2: column 'prompt' must be text, not None"),
        ({"prompt": ["a"], "completion": [3]}, LAYOUT, "row 1: column 'completion' must be text, not 3"),
        ({"completion": ["a"]}, LAYOUT, "no column 'prompt'"),
        ({"prompt": ["a", ""]}, LAYOUT, "row 2: neither prompt nor completion has a token"),
    ],
)
def test_rows_that_do_not_fit_are_named(columns, layout, message):
    with pytest.raises(InputError, match=rf"rows\.jsonl.* {message}"):
        encoded(table(**columns), layout)


# -- batches -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_on_the_tokenizers_side_and_the_mask_tells_it_from_the_end(side):
    tokenizer = character_tokenizer(side=side)
    batch = SUPERVISION.collator(tokenizer)(list(encoded(table(prompt=["a", "a b"], completion=["c", "d"]))))
    short, long = ids("a\nc>"), ids("a b\nd>")

    def padded(row, value):
        return [value, value, *row] if side == "left" else [*row, value, value]

    assert batch["input_ids"].tolist() == [padded(short, 0), long]  # with the token of the end, 0
    assert batch["attention_mask"].tolist() == [padded([1] * 4, 0), [1] * 6]
    labels = [IGNORED, IGNORED, *ids("c>")]
    assert batch["labels"].tolist() == [padded(labels, IGNORED), [IGNORED] * 4 + ids("d>")]


# -- predictions and scores --------------------------------------------------------------------------------------------


def test_predictions_are_held_against_the_next_token():
    labels = torch.tensor([[IGNORED, 7, 5, 8], [IGNORED, IGNORED, IGNORED, 6]])
    logits = torch.eye(10)[torch.tensor([[7, 5, 9, 0], [0, 0, 6, 6]])]
    gathered = SUPERVISION.gathered(logits, labels)
    assert gathered.tolist() == [[1, 1, 0], [IGNORED, IGNORED, 1]]
    assert SUPERVISION.gathered((logits, "cache"), labels).tolist() == gathered.tolist()

    predictions = SUPERVISION.predict(gathered.numpy(), None, TaskRows(table(), LAYOUT))
    assert predictions == [
        {"right_tokens": 2, "completion_tokens": 3},
        {"right_tokens": 1, "completion_tokens": 1},
    ]
    assert SUPERVISION.score(predictions, TaskRows(table(), LAYOUT)) == {"token_accuracy": 3 / 4}


def test_without_a_completion_nothing_is_predicted():
    gathered = SUPERVISION.gathered(torch.randn(2, 4, 10), None)
    assert SUPERVISION.predict(gathered.numpy(), None, TaskRows(table(), LAYOUT)) == [None, None]


def test_there_are_no_label_names():
    assert SUPERVISION.label_names(TaskRows(table(), LAYOUT)) == ()
    assert SUPERVISION.head(()) == {}


# -- training ----------------------------------------------------------------------------------------------------------


class Remembering(AlumTrainer):
    """Keeps the last batch and δ."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        self.inputs = inputs
        return super().compute_loss(model, inputs, *args, **kwargs)

    def _log_result(self, result, *rest):
        self.delta = result.delta
        super()._log_result(result, *rest)


def trainer_options(tokenizer):
    return {
        "data_collator": SUPERVISION.collator(tokenizer),
        "processing_class": tokenizer,
        "preprocess_logits_for_metrics": SUPERVISION.gathered,
    }


def trained_on_completions(tmp_path, architecture="gpt2", layout=LAYOUT, side="right", **settings):
    return trained(
        language_model(architecture, dropout=0.0),
        config(tmp_path, **{"max_steps": 2, "per_device_train_batch_size": 2, "learning_rate": 0.01, **settings}),
        encoded(table(), layout),
        Remembering,
        **trainer_options(character_tokenizer(side=side)),
    )


GAINING = ("alum", "alum_one_pass", "fgm", "pgd")


@pytest.mark.quick_cases(8)
@pytest.mark.parametrize(
    ("name", "architecture", "layout"),
    [
        *((name, "gpt2", LAYOUT) for name in METHODS),
        *((name, *other) for name in ("standard", *GAINING) for other in (("gpt2", WHOLE), ("llama", LAYOUT))),
    ],
)
def test_every_method_trains(tmp_path, name, architecture, layout):
    draws = 2 if name in GAINING else 0
    trainer = trained_on_completions(tmp_path, architecture, layout, adv_method=name, adv_gain_draws=draws)
    assert trainer.kind is CAUSAL_LM is kind_of(trainer.model)
    assert len(logged(trainer, "loss")) == 2
    assert np.isfinite(logged(trainer, "loss")).all()
    if name in GAINING:
        assert min(logged(trainer, "adversarial_gain")) > 1


@pytest.mark.parametrize("name", ["alum", "alum_one_pass", "fgm", "pgd", "noise"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_not_perturbed(tmp_path, name, side):
    trainer = trained_on_completions(tmp_path, adv_method=name, side=side, max_steps=1)
    tokens, perturbed = trainer.inputs["attention_mask"].bool(), (trainer.delta != 0).any(-1)
    assert sorted(tokens.sum(-1).tolist()) == [8, 10]
    assert not perturbed[~tokens].any()
    assert (perturbed.sum(-1) >= tokens.sum(-1) - 1).all()  # nothing depends on the last token


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_is_trained_is_counted_as_right(tmp_path, side):
    settings = {"adv_method": "alum_one_pass", "max_steps": 80, "optim": "adamw_torch"}
    trainer = trained_on_completions(tmp_path, side=side, **settings)
    features = encoded(table())
    predicted = trainer.predict(features)
    assert predicted.predictions.shape == (2, predicted.label_ids.shape[1] - 1)
    predictions = SUPERVISION.predict(predicted.predictions, features, TaskRows(table(), LAYOUT))
    assert predictions == [
        {"right_tokens": 6, "completion_tokens": 6},
        {"right_tokens": 2, "completion_tokens": 2},
    ]


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_evaluation_is_the_trainers(tmp_path, architecture):
    features, model = encoded(table()), language_model(architecture)
    seen = []

    def scores(prediction):
        seen.append(prediction)
        return SUPERVISION.score(
            SUPERVISION.predict(prediction.predictions, features, TaskRows(table(), LAYOUT)), TaskRows(table(), LAYOUT)
        )

    options = {**trainer_options(TOKENIZER), "eval_dataset": features}
    ours = AlumTrainer(model=model, args=config(tmp_path), compute_metrics=scores, **options).evaluate()
    del options["preprocess_logits_for_metrics"]
    plain = Trainer(
        model=model,
        args=plain_config(tmp_path),
        compute_metrics=lambda all_logits: seen.append(all_logits) or {},
        **options,
    )
    assert ours["eval_loss"] == pytest.approx(plain.evaluate()["eval_loss"], rel=1e-5)
    # By hand from the plain Trainer's logits: position t says what comes at t + 1.
    likeliest, labels = seen[1].predictions.argmax(-1)[:, :-1], seen[1].label_ids[:, 1:]
    counted = labels != IGNORED
    assert ours["eval_token_accuracy"] == pytest.approx((likeliest == labels)[counted].mean())
