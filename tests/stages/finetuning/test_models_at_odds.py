"""Fine-tuning of models whose tokenizer, padding or length is not what one would hope for."""

import json

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_byte_level_bpe
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.run import evaluate
from alum.stages.finetuning.run import finetune
from tiny_models import language_model
from tiny_stages import finetune_arguments, finetune_config, log_lines, save_untrained
from tiny_texts import opinions, write_rows


@pytest.fixture
def rows(tmp_path):
    for split in ("train", "validation"):
        write_rows(tmp_path / f"{split}.jsonl", opinions(12))
    return tmp_path


@pytest.fixture
def encoder(tmp_path):
    return save_untrained(tmp_path / "model")


@pytest.fixture
def decoder(tmp_path):
    """GPT-2 as it comes: neither tokenizer nor configuration has a padding token."""
    tokenizer = train_byte_level_bpe([row["text"] for row in opinions()], 290, 64, "causal_lm")
    tokenizer.pad_token = None
    special = {"pad_token_id": None, "eos_token_id": tokenizer.eos_token_id}
    language_model("gpt2", vocab_size=len(tokenizer), **special).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def tuned(model, rows, **settings):
    return finetune(finetune_arguments(model, rows, **settings), finetune_config(rows / "run", max_steps=2))


def test_a_decoder_without_padding_takes_the_end_of_sequence_and_says_so(decoder, rows, caplog):
    tuned(decoder, rows)
    assert "has no padding token: '<|endoftext|>' is taken" in caplog.text
    model = AutoModelForSequenceClassification.from_pretrained(rows / "run")
    tokenizer = AutoTokenizer.from_pretrained(rows / "run")
    assert model.config.pad_token_id == tokenizer.pad_token_id == tokenizer.eos_token_id
    predicted = [line["prediction"] for line in log_lines(rows / "run" / "predictions.jsonl")]
    alone = []
    for row in opinions(12):
        with torch.no_grad():
            logits = model(**tokenizer(row["text"], return_tensors="pt")).logits
        alone.append(("bad", "good")[logits.argmax()])
    assert predicted == alone


def test_a_decoder_without_padding_is_measured_a_row_at_a_time(decoder, rows):
    model = AutoModelForSequenceClassification.from_pretrained(
        decoder, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1}
    )
    model.save_pretrained(decoder)
    tokenizer = AutoTokenizer.from_pretrained(decoder)
    right = 0
    for row in opinions(12):
        with torch.no_grad():
            logits = model(**tokenizer(row["text"], return_tensors="pt")).logits
        right += ("bad", "good")[logits.argmax()] == row["label"]
    arguments = EvaluateArguments(
        model_name_or_path=[str(decoder)],
        validation_file=str(rows / "validation.jsonl"),
        text_columns="text",
        label_column="label",
        attacks=["none"],
    )
    assert evaluate(arguments).score("accuracy") == pytest.approx(right / 12)


def test_a_text_without_a_token_is_named(decoder, rows):
    write_rows(rows / "train.jsonl", [*opinions(3), {"text": "", "label": "good"}])
    with pytest.raises(InputError, match="train, row 4: column 'text' holds nothing that becomes a token"):
        tuned(decoder, rows)


def test_empty_texts_of_an_encoder_have_its_special_tokens(encoder, rows):
    write_rows(rows / "train.jsonl", [{**row, "text": ""} for row in opinions(12)])
    assert tuned(encoder, rows).num_steps == 2


def test_a_token_without_an_embedding_is_refused(encoder, rows):
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    tokenizer.add_tokens(["one more"])
    tokenizer.save_pretrained(encoder)
    with pytest.raises(InputError, match="there is none for 'one more'"):
        tuned(encoder, rows)


def test_padding_without_an_embedding_is_refused(encoder, rows):
    config = encoder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "pad_token_id": 1000}))
    with pytest.raises(InputError, match="names 1000 as its pad_token_id"):
        tuned(encoder, rows)


@pytest.mark.parametrize(("columns", "least"), [("text", 3), ("text,text", 5)])
def test_lengths_without_room_for_text_are_refused(columns, least, encoder, rows):
    """Of BERT's special tokens one text has two, and a pair three."""
    with pytest.raises(
        InputError, match=rf"max_seq_length {least - 1} leaves no room beside .* expected {least} or more"
    ):
        tuned(encoder, rows, text_columns=columns, max_seq_length=least - 1)
    assert tuned(encoder, rows, text_columns=columns, max_seq_length=least).num_steps == 2
