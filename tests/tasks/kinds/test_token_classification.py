import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import DataCollatorForTokenClassification, PreTrainedTokenizerFast
from transformers.modeling_outputs import TokenClassifierOutput

from alum.core.divergences import symmetric_kl
from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.data.table import Table
from alum.models.tokenization import Tokenization
from alum.tasks.entities import entities, entity_scores
from alum.tasks.kinds.token_classification import (
    TOKEN_CLASSIFICATION,
    TokenClassificationSupervision,
)
from alum.tasks.layout import Layout
from alum.tasks.lookup import kind_of
from alum.tasks.rows import TaskRows
from alum.training.trainer import AlumTrainer
from tiny_models import headed
from tiny_runs import FOR_ANY_MODEL, config, logged, trained

SUPERVISION = TokenClassificationSupervision()
NAMES = ("O", "B-person", "I-person", "B-group", "I-group")
LAYOUT = Layout(text=("tokens",), label="ner_tags", label_names=NAMES)
WORDS = [["anna", "bell", "sees", "unbell", "."], ["the", "bells", "play"]]
TAGS = [[1, 2, 0, 3, 0], [0, 3, 0]]
# Every piece that the words are to fall into; "unbell" and "bells" take several.
SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]")
PIECES = (*SPECIAL, "anna", "bell", "sees", "un", "##bell", ".", "the", "##s", "play")
TOKENIZER = PreTrainedTokenizerFast(
    tokenizer_object=Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(PIECES)}, unk_token="[UNK]")),
    pad_token="[PAD]",
    unk_token="[UNK]",
)
TOKENIZER.backend_tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()


def table(words=WORDS, tags=TAGS, **columns):
    return Table.of(Dataset.from_dict({"tokens": words, "ner_tags": tags, **columns}), "rows.jsonl")


def without_labels(rows):
    return Table.of(rows.rows.remove_columns("ner_tags"), rows.where)


def encoded(rows, tokenizer=TOKENIZER, length=64, layout=LAYOUT):
    return SUPERVISION.encode(TaskRows(rows, layout), Tokenization(tokenizer, length))


def byte_level(add_prefix_space=False):
    """As RoBERTa and GPT-2 have it: a space belongs to the word after it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([" ".join(row) for row in WORDS] * 5, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")


# -- encoding ----------------------------------------------------------------------------------------------------------


def test_a_words_first_sub_word_carries_its_label():
    first, second = encoded(table())
    assert TOKENIZER.convert_ids_to_tokens(first["input_ids"]) == ["anna", "bell", "sees", "un", "##bell", "."]
    assert first["labels"] == [1, 2, 0, 3, -100, 0]
    assert first["word_starts"] == [0, 1, 2, 3, 5]
    assert TOKENIZER.convert_ids_to_tokens(second["input_ids"]) == ["the", "bell", "##s", "play"]
    assert second["labels"] == [0, 3, -100, 0]
    assert second["word_starts"] == [0, 1, 3]


def test_special_tokens_carry_none():
    tokenizer = train_wordpiece([" ".join(row) for row in WORDS] * 3, 60, 64)
    (row,) = encoded(table([["anna", "sees"]], [[1, 0]]), tokenizer)
    starts = row["word_starts"]
    assert starts[0] == 1
    assert [label for label in row["labels"] if label != -100] == [1, 0]
    assert [row["labels"][start] for start in starts] == [1, 0]
    assert row["labels"][0] == row["labels"][-1] == -100


def test_words_that_are_cut_off_have_no_start():
    first, _ = encoded(table(), length=4)
    assert first["word_starts"] == [0, 1, 2, 3, -1]
    assert first["labels"] == [1, 2, 0, 3]


def test_tags_may_be_names():
    names = [[NAMES[tag] for tag in row] for row in TAGS]
    assert encoded(table(tags=names)).to_dict() == encoded(table()).to_dict()


def test_rows_without_labels_still_know_where_words_start():
    features = encoded(without_labels(table()))
    assert "labels" not in features.column_names
    assert features["word_starts"] == [[0, 1, 2, 3, 5], [0, 1, 3]]


@pytest.mark.parametrize("add_prefix_space", [False, True])
def test_byte_level_tokenizers_see_words_as_in_a_text(add_prefix_space):
    tokenizer = byte_level(add_prefix_space)
    first, _ = encoded(table(), tokenizer)
    assert first["input_ids"] == tokenizer("anna bell sees unbell .")["input_ids"]
    pieces = tokenizer.convert_ids_to_tokens([first["input_ids"][start] for start in first["word_starts"][1:]])
    assert all(piece.startswith("Ġ") for piece in pieces)


def test_label_names():
    classes = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=list(NAMES)))})
    named = Table.of(table().rows.cast(classes), "rows")
    assert SUPERVISION.label_names(TaskRows(named, LAYOUT)) == NAMES
    assert SUPERVISION.label_names(TaskRows(table(), LAYOUT)) == ("0", "1", "2", "3")
    assert SUPERVISION.label_names(TaskRows(table(tags=[["V", "N"], ["N"]]), LAYOUT)) == ("N", "V")


def test_the_head_is_as_wide_as_the_labels():
    head = SUPERVISION.head(NAMES)
    assert (head["num_labels"], head["id2label"][3]) == (5, "B-group")
    with pytest.raises(InputError, match="at least two labels"):
        SUPERVISION.head(("O",))


@pytest.mark.parametrize(
    ("words", "tags", "message"),
    [
        (
            WORDS,
            [TAGS[0], [0, 3]],
            r"rows\.jsonl, row 2: 3 words in column 'tokens', but 2 labels in column 'ner_tags'",
        ),
        (WORDS, [TAGS[0], [0, 5, 0]], r"rows\.jsonl, row 2: label 5 .* is none of 0 \(O\), 1 \(B-person\)"),
        (WORDS, [TAGS[0], None], r"row 2: column 'ner_tags' must be a list .* not None"),
        ([WORDS[0], None], TAGS, r"row 2: column 'tokens' must be a list .* not None"),
        ([WORDS[0], ["the", None, "play"]], TAGS, r"row 2: .* None is no text"),
        ([WORDS[0], []], [TAGS[0], []], r"row 2: .* nothing that becomes a token"),
        (["one text", "another"], TAGS, r"row 1: column 'tokens' must be a list .* not 'one text'"),
    ],
)
def test_rows_that_do_not_fit_are_named(words, tags, message):
    with pytest.raises(InputError, match=message):
        encoded(table(words, tags))


def test_two_columns_of_words_are_refused():
    with pytest.raises(InputError, match="one column of words, not 2: tokens, more"):
        encoded(table(), layout=Layout(text=("tokens", "more"), label="ner_tags", label_names=NAMES))


def test_tokenizers_that_lose_the_words_are_refused():
    class Slow:
        is_fast = False

    with pytest.raises(InputError, match=r"Slow .* needs a fast tokenizer"):
        encoded(table(), Slow())


# -- batches -----------------------------------------------------------------------------------------------------------


def test_batches_are_those_of_transformers():
    features = list(encoded(table()).remove_columns("word_starts"))
    theirs = DataCollatorForTokenClassification(TOKENIZER)(features)
    torch.testing.assert_close(SUPERVISION.collator(TOKENIZER)(features), dict(theirs))


def test_padding_is_on_the_right_and_needs_no_token_of_its_own():
    tokenizer = byte_level()
    tokenizer.padding_side = "left"
    batch = SUPERVISION.collator(tokenizer)(list(encoded(table(), tokenizer)))
    lengths = batch["attention_mask"].sum(-1)
    assert lengths[0] != lengths[1]
    assert batch["attention_mask"].tolist() == [[1] * n + [0] * (max(lengths) - n) for n in lengths.tolist()]
    assert (batch["labels"][batch["attention_mask"] == 0] == -100).all()


# -- predictions and scores --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O O", []),
        ("B-a I-a O", [("a", 0, 1)]),
        ("B-a B-a I-a", [("a", 0, 0), ("a", 1, 2)]),  # adjacent
        ("O I-a I-a", [("a", 1, 2)]),  # I after O begins one
        ("I-a O I-a", [("a", 0, 0), ("a", 2, 2)]),
        ("B-a I-b I-b", [("a", 0, 0), ("b", 1, 2)]),  # another type begins one
        ("I-a B-a", [("a", 0, 0), ("a", 1, 1)]),
        ("B-creative-work I-creative-work", [("creative-work", 0, 1)]),
        ("", []),
    ],
)
def test_entities_by_hand(tags, found):
    assert sorted(entities(tags.split())) == found


def test_an_entity_counts_where_span_and_type_agree():
    # Gold: a at 0-1, b at 3, a at 4; found: a at 0-1 (right), a at 3 (type), a at 4-5 (span), b at 7 (nothing there).
    # A second row whose entity is right; the same span in another row would not be.
    gold = [["B-a", "I-a", "O", "B-b", "B-a", "O", "O", "O"], ["B-b", "O"]]
    found = [["B-a", "I-a", "O", "B-a", "B-a", "I-a", "O", "B-b"], ["B-b", "O"]]
    assert entity_scores(gold, found) == pytest.approx({"precision": 2 / 5, "recall": 2 / 4, "f1": 4 / 9})
    assert entity_scores([["B-a"], ["O"]], [["O"], ["B-a"]])["f1"] == 0
    assert entity_scores([["O"]], [["O"]]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def logits_that_say(tags, width):
    return np.stack([np.eye(len(NAMES))[row + [4] * (width - len(row))] for row in tags])


def test_predictions_are_one_name_a_word():
    rows, features = table(), encoded(table())
    predictions = SUPERVISION.predict(
        logits_that_say([[1, 2, 0, 3, 4, 0], [0, 0, 4, 3]], 6), features, TaskRows(rows, LAYOUT)
    )
    assert predictions == [["B-person", "I-person", "O", "B-group", "O"], ["O", "O", "B-group"]]
    # Of three entities the first two are found, and one more; of eight words two are wrong.
    assert SUPERVISION.score(predictions, TaskRows(rows, LAYOUT)) == pytest.approx(
        {"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "accuracy": 6 / 8}
    )


def test_words_that_were_cut_off_are_outside():
    features = encoded(table(), length=3)
    logits = logits_that_say([[1, 2, 0], [0, 3, 0]], 3)
    assert SUPERVISION.predict(logits, features, TaskRows(table(), LAYOUT)) == [
        ["B-person", "I-person", "O", "O", "O"],
        ["O", "B-group", "O"],
    ]
    unnamed = Layout(text=("tokens",), label="ner_tags", label_names=tuple("abcde"))
    assert SUPERVISION.predict(logits, features, TaskRows(table(), unnamed))[0] == ["b", "c", "a", "a", "a"]


@pytest.mark.parametrize("names", ["NVP", ("O", "B-x", "S-x")])
def test_other_labels_are_scored_by_words(names):
    # Gold 0 0 1 2, found 0 1 1 1: precision 1, 1/3, 0; recall 1/2, 1, 0; F1 2/3, 1/2, 0.
    rows = table([["a", "b", "c"], ["d"]], [[0, 0, 1], [2]])
    predictions = [[names[0], names[1], names[1]], [names[1]]]
    layout = Layout(text=("tokens",), label="ner_tags", label_names=tuple(names))
    assert SUPERVISION.score(predictions, TaskRows(rows, layout)) == pytest.approx(
        {"precision": (1 + 1 / 3) / 3, "recall": 1.5 / 3, "f1": (2 / 3 + 1 / 2) / 3, "accuracy": 2 / 4}
    )


def test_labelled_tokens_are_compared():
    logits, labels = torch.randn(2, 3, 5), torch.tensor([[1, -100, 2], [-100, -100, 0]])
    compared = TOKEN_CLASSIFICATION.compared(TokenClassifierOutput(logits=logits), {"labels": labels})
    torch.testing.assert_close(compared, torch.stack((logits[0, 0], logits[0, 2], logits[1, 2])))
    assert TOKEN_CLASSIFICATION.distance is symmetric_kl


# -- training ----------------------------------------------------------------------------------------------------------


class Remembering(AlumTrainer):
    """Keeps the last batch and δ."""

    def compute_loss(self, model, inputs, *args, **kwargs):
        self.inputs = inputs
        return super().compute_loss(model, inputs, *args, **kwargs)

    def _log_result(self, result, *rest):
        self.delta = result.delta
        super()._log_result(result, *rest)


def model(architecture="bert"):
    return headed(SUPERVISION.auto_class, architecture, dropout=0.0, **SUPERVISION.head(NAMES))


def trained_on_tags(tmp_path, architecture="bert", **settings):
    return trained(
        model(architecture),
        config(tmp_path, **{"max_steps": 2, "per_device_train_batch_size": 2, "learning_rate": 0.01, **settings}),
        encoded(table()),
        Remembering,
        data_collator=SUPERVISION.collator(TOKENIZER),
        processing_class=TOKENIZER,
    )


@pytest.mark.parametrize("architecture", ["bert", "gpt2", "llama"])
def test_the_kind_follows_from_the_model(architecture):
    assert kind_of(model(architecture)) is TOKEN_CLASSIFICATION


GAINING = ("alum", "alum_one_pass", "fgm", "pgd")


@pytest.mark.parametrize(
    ("name", "architecture"),
    [*((name, "bert") for name in FOR_ANY_MODEL), *((name, "gpt2") for name in ("standard", *GAINING))],
)
def test_every_method_trains(tmp_path, name, architecture):
    draws = 2 if name in GAINING else 0
    trainer = trained_on_tags(tmp_path, architecture, adv_method=name, adv_gain_draws=draws)
    assert len(logged(trainer, "loss")) == 2
    assert np.isfinite(logged(trainer, "loss")).all()
    if name in GAINING:
        assert min(logged(trainer, "adversarial_gain")) > 1


@pytest.mark.parametrize("name", ["alum", "alum_one_pass", "fgm", "pgd", "noise"])
def test_padding_is_not_perturbed(tmp_path, name):
    trainer = trained_on_tags(tmp_path, adv_method=name, max_steps=1)
    tokens = trainer.inputs["attention_mask"].bool()
    assert sorted(tokens.sum(-1).tolist()) == [4, 6]
    assert torch.equal((trainer.delta != 0).any(-1), tokens)


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_what_is_trained_is_predicted_without_labels(tmp_path, architecture):
    settings = {"adv_method": "alum_one_pass", "max_steps": 60, "optim": "adamw_torch"}
    trainer = trained_on_tags(tmp_path, architecture, **settings)
    # One row a batch, so that widths differ between batches; the longer one last.
    trainer.args.per_device_eval_batch_size = 1
    rows = table(WORDS[::-1], TAGS[::-1])
    features = encoded(without_labels(rows))
    predictions = SUPERVISION.predict(trainer.predict(features).predictions, features, TaskRows(rows, LAYOUT))
    assert SUPERVISION.score(predictions, TaskRows(rows, LAYOUT))["f1"] == 1.0
