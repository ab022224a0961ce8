import numpy as np
import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from transformers import DataCollatorForMultipleChoice
from transformers.modeling_outputs import MultipleChoiceModelOutput

from alum.core.divergences import symmetric_kl
from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.data.table import Table
from alum.models.tokenization import Tokenization
from alum.tasks.kinds.multiple_choice import MULTIPLE_CHOICE, MultipleChoiceSupervision
from alum.tasks.layout import Layout
from alum.tasks.lookup import kind_of
from alum.tasks.rows import TaskRows
from alum.training.trainer import AlumTrainer
from tiny_models import headed
from tiny_runs import config, trained, weights

SUPERVISION = MultipleChoiceSupervision()
COLUMNS = Layout(text=("context", "start"), choices=("ending0", "ending1", "ending2"))
LISTS = Layout(text=("context",), choices=("endings",))
CONTEXTS = ["the cat sits by the river", "a dog sleeps", "the teacher reads a long letter in the garden", "it rains"]
STARTS = ["it", "", "then she", "the house"]
ENDINGS = [
    ["jumps", "sees a fish", "the"],
    ["it barks at the cat", "rain", "a letter"],
    ["smiles", "reads on", "rains"],
    ["is wet", "stands by the river in the long rain", "sleeps"],
]
TOKENIZER = train_wordpiece([" ".join((*CONTEXTS, *STARTS, *(text for row in ENDINGS for text in row)))] * 3, 200, 64)


def table(labels=(0, 1, 2, 0), **columns):
    rows = {"context": CONTEXTS, "start": STARTS, "endings": ENDINGS, "label": list(labels)}
    rows |= {f"ending{i}": [row[i] for row in ENDINGS] for i in range(3)}
    return Table.of(Dataset.from_dict({**rows, **columns}), "rows.jsonl")


def encoded(rows, layout=COLUMNS):
    return SUPERVISION.encode(TaskRows(rows, layout), Tokenization(TOKENIZER, 64))


def decoded(ids):
    return TOKENIZER.decode(ids, clean_up_tokenization_spaces=False)


# -- encoding ----------------------------------------------------------------------------------------------------------


def test_a_feature_holds_every_choice_beside_the_context():
    features = encoded(table())
    assert [decoded(ids) for ids in features[0]["input_ids"]] == [
        "[CLS] the cat sits by the river [SEP] it jumps [SEP]",
        "[CLS] the cat sits by the river [SEP] it sees a fish [SEP]",
        "[CLS] the cat sits by the river [SEP] it the [SEP]",
    ]
    assert decoded(features[1]["input_ids"][1]) == "[CLS] a dog sleeps [SEP] rain [SEP]"  # nothing starts its choices
    assert features[0]["token_type_ids"][0] == [0] * 8 + [1] * 3
    assert features["labels"] == [0, 1, 2, 0]


def test_choices_may_be_one_column_of_lists():
    columns, lists = encoded(table(start=[""] * 4)), encoded(table(), LISTS)
    assert columns.to_dict() == lists.to_dict()


def test_labels_may_be_text():
    assert encoded(table(labels=["2", "1", "0", "2"]))["labels"] == [2, 1, 0, 2]
    assert len(table(labels=["2", "", "0", "2"]).labelled("label")) == 3


def test_rows_without_labels_are_encoded():
    rows = Table.of(table().rows.remove_columns("label"), "rows.jsonl")
    assert "labels" not in encoded(rows).column_names


def test_long_inputs_are_truncated():
    cut = SUPERVISION.encode(TaskRows(table(), COLUMNS), Tokenization(TOKENIZER, 8))
    assert max(map(len, cut[2]["input_ids"])) == 8


@pytest.mark.parametrize("label", [3, -2, "3", "first", True, 1.5])
def test_a_label_that_is_no_choice_names_file_and_row(label):
    row = {name: values[:1] for name, values in table().rows.to_dict().items()}
    rows = Table(Dataset.from_dict({**row, "label": [label]}), "x.jsonl", [7])
    with pytest.raises(InputError, match=r"x\.jsonl, row 7: label .* 3 choices, 0 to 2"):
        encoded(rows)


@pytest.mark.parametrize(
    ("third", "message"),
    [
        (["one", "two"], r"row 3: 2 choices in column 'endings', but 3 in row 1"),
        (None, r"row 3: column 'endings' must be a list of the choices' texts, not None"),
        (["one", None, "two"], r"row 3: column 'endings' must be a list of the choices' texts"),
    ],
)
def test_choices_that_do_not_fit_name_file_and_row(third, message):
    with pytest.raises(InputError, match=message):
        encoded(table(endings=[*ENDINGS[:2], third, ENDINGS[3]]), LISTS)


def test_a_single_choice_is_none():
    with pytest.raises(InputError, match=r"row 1: .* at least two choices, not 1"):
        encoded(table(endings=[["one"]] * 4), LISTS)


def test_a_missing_choice_names_file_and_row():
    with pytest.raises(InputError, match="row 2: column 'ending1' must be text, not None"):
        encoded(table(ending1=["one", None, "two", "three"]))


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        (Layout(text=("context",)), "--choice_columns"),
        (Layout(text=("context",), choices=("endings", "ending9")), "no column 'ending9'"),
        (Layout(text=("a", "b", "c"), choices=("endings",)), "not 3: a, b, c"),
    ],
)
def test_a_layout_that_does_not_fit_says_what_does(layout, message):
    with pytest.raises(InputError, match=message):
        encoded(table(), layout)


# -- batches -----------------------------------------------------------------------------------------------------------


def test_batches_are_those_of_transformers():
    features = list(encoded(table()))
    ours, theirs = SUPERVISION.collator(TOKENIZER)(features), DataCollatorForMultipleChoice(TOKENIZER)(features)
    torch.testing.assert_close(dict(ours), dict(theirs))
    assert ours["input_ids"].shape[:2] == (4, 3)


def test_batches_need_no_labels():
    features = list(encoded(table()).remove_columns("labels"))
    assert set(SUPERVISION.collator(TOKENIZER)(features)) == {"input_ids", "token_type_ids", "attention_mask"}


# -- predictions and scores --------------------------------------------------------------------------------------------


def test_scores_by_hand():
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 0.1, 0.2], [-3.0, -2.0, -1.0], [1.0, 5.0, 2.0]])
    predictions = SUPERVISION.predict(logits, None, TaskRows(table(), COLUMNS))
    assert predictions == [0, 2, 2, 1]
    assert all(type(prediction) is int for prediction in predictions)  # as json writes it
    assert SUPERVISION.score(predictions, TaskRows(table(), COLUMNS)) == {"accuracy": 2 / 4}
    assert SUPERVISION.score(predictions, TaskRows(table(labels=["0", "2", "2", "1"]), LISTS)) == {"accuracy": 1.0}


def test_the_choices_are_compared():
    logits = torch.randn(2, 3)
    assert MULTIPLE_CHOICE.compared(MultipleChoiceModelOutput(logits=logits), {}) is logits
    assert MULTIPLE_CHOICE.distance is symmetric_kl


# -- training ----------------------------------------------------------------------------------------------------------


class Remembering(AlumTrainer):
    def _log_result(self, result, *rest):
        self.results = [*getattr(self, "results", []), result]
        super()._log_result(result, *rest)


def model(**settings):
    return headed(SUPERVISION.auto_class, dropout=0.0, **settings)


def trained_on_choices(tmp_path, **settings):
    return trained(
        model(vocab_size=len(TOKENIZER)),
        config(tmp_path, **{"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 0.01, **settings}),
        encoded(table()),
        Remembering,
        data_collator=SUPERVISION.collator(TOKENIZER),
        processing_class=TOKENIZER,
    )


def test_the_kind_follows_from_the_model():
    assert kind_of(model()) is MULTIPLE_CHOICE


@pytest.mark.parametrize("layer", ["word", "embeddings", 1])
def test_padding_is_not_perturbed(tmp_path, layer):
    trainer = trained_on_choices(tmp_path, adv_method="alum", max_steps=1, adv_layer=str(layer))
    (batch,) = trainer.get_train_dataloader()
    delta = trainer.results[0].delta
    lengths = batch["attention_mask"].sum(-1).flatten()
    assert delta.shape[:2] == (12, batch["input_ids"].shape[-1])
    assert sorted((delta.norm(dim=-1) > 0).sum(-1).tolist()) == sorted(lengths.tolist())
    assert lengths.min() < delta.shape[1]


def test_special_tokens_may_be_kept(tmp_path):
    trainer = trained_on_choices(tmp_path, adv_method="alum", max_steps=1, adv_special_tokens="keep")
    (batch,) = trainer.get_train_dataloader()
    perturbed = (trainer.results[0].delta.norm(dim=-1) > 0).sum()
    assert perturbed == batch["attention_mask"].sum() - 3 * 12  # [CLS] and two [SEP] for each of 12 choices


@pytest.mark.parametrize("name", ["standard", "alum_one_pass", "fgm"])  # no noise, whose shape is the batch's
def test_accumulating_small_batches_is_one_large_one(tmp_path, name):
    small, large = (
        weights(trained_on_choices(tmp_path, adv_method=name, **batches))
        for batches in ({"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}, {})
    )
    torch.testing.assert_close(small, large, rtol=1e-5, atol=1e-5)


def test_what_is_trained_is_predicted(tmp_path):
    trainer = trained_on_choices(tmp_path, adv_method="alum_one_pass", max_steps=60, optim="adamw_torch")
    features = encoded(table()).remove_columns("labels")
    predictions = SUPERVISION.predict(trainer.predict(features).predictions, features, TaskRows(table(), COLUMNS))
    assert SUPERVISION.score(predictions, TaskRows(table(), COLUMNS)) == {"accuracy": 1.0}


def test_row_scores_say_which_rows_are_right():
    assert SUPERVISION.row_scores([0, 2, 2, 1], TaskRows(table(), COLUMNS)) == {"accuracy": [1.0, 0.0, 1.0, 0.0]}
    assert SUPERVISION.score([0, 2, 2, 1], TaskRows(table(), COLUMNS)) == {"accuracy": 0.5}


def test_the_softplus_of_example_losses_has_the_models_own_loss_as_its_mean():
    model = headed(SUPERVISION.auto_class, dropout=0.0, vocab_size=len(TOKENIZER))
    inputs = SUPERVISION.collator(TOKENIZER)(list(encoded(table())))
    outputs = model(**inputs)
    losses = MULTIPLE_CHOICE.example_losses(outputs, inputs)
    assert losses.shape == (4,)
    torch.testing.assert_close(F.softplus(losses).mean(), outputs.loss)
