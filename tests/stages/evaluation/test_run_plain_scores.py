"""Kinds of task that no attack on texts fits, through `evaluate`: their plain scores."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_byte_level_bpe, train_wordpiece
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.run import evaluate
from tiny_models import headed
from tiny_texts import opinions, write_rows

TEXTS = [row["text"] for row in opinions(24)]
TAGS = ("adjective", "noun", "other")
WORDS = [text.split() for text in TEXTS]
TAGGED = [
    {"words": words, "tags": [TAGS[(number + len(word)) % 3] for word in words]} for number, words in enumerate(WORDS)
]
PROMPTED = [{"prompt": " ".join(words[:4]), "completion": " ".join(words[4:])} for words in WORDS]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagger")
    tokenizer = train_wordpiece(TEXTS, 120, 64)
    names = {"id2label": dict(enumerate(TAGS)), "label2id": {name: i for i, name in enumerate(TAGS)}}
    model = headed(AutoModelForTokenClassification, num_labels=3, **names, **sizes(tokenizer))
    with torch.no_grad():  # mean logits that are all the same, so that it gives every label
        model.classifier.bias -= model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.mean((0, 1))
    save(model, tokenizer, folder)
    return folder, write_rows(folder / "rows.jsonl", TAGGED)


@pytest.fixture(scope="module")
def completer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completer")
    tokenizer = train_byte_level_bpe(TEXTS, 300, 64, "causal_lm")
    save(headed(AutoModelForCausalLM, "gpt2", **sizes(tokenizer)), tokenizer, folder)
    return folder, write_rows(folder / "rows.jsonl", PROMPTED)


def sizes(tokenizer):
    return {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "max_position_embeddings": 64}


def save(model, tokenizer, folder):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def measured(place, kind, text_columns, label_column, **settings):
    model, file = place
    return evaluate(
        EvaluateArguments(
            **{
                "model_name_or_path": [str(model)],
                "validation_file": str(file),
                "kind": kind,
                "text_columns": text_columns,
                "label_column": label_column,
                "attacks": ["none"],
                "per_device_eval_batch_size": 5,
                **settings,
            }
        )
    )


def measured_tagger(place, **settings):
    return measured(place, "token_classification", "words", "tags", **settings)


def measured_completer(place, **settings):
    return measured(place, "causal_lm", "prompt", "completion", **settings)


def answers(folder, rows):
    """Tags of a tagger: of each word the likeliest label of its first piece."""
    model, tokenizer = (
        auto_class.from_pretrained(folder) for auto_class in (AutoModelForTokenClassification, AutoTokenizer)
    )
    found = []
    for row in rows:
        encoded = tokenizer(row["words"], is_split_into_words=True, return_tensors="pt")
        likeliest = model.eval()(**encoded).logits[0].argmax(-1)
        places = [encoded.word_ids().index(word) for word in range(len(row["words"]))]
        found.append([TAGS[likeliest[place]] for place in places])
    return found


def test_a_tagger_has_the_f1_of_its_answers(tagger):
    result = measured_tagger(tagger)
    gold, found = (
        [tag for row in rows for tag in row] for rows in ([r["tags"] for r in TAGGED], answers(tagger[0], TAGGED))
    )
    expected = f1_score(gold, found, average="macro")
    assert 0 < expected < 1
    assert result.score("f1") == pytest.approx(expected)
    (row,) = result.results["scores"]
    assert row["low"] < row["value"] < row["high"]


def test_a_taggers_labels_are_matched_by_their_names(tagger, tmp_path):
    """The file shows two of the model's labels, neither of which has the number that it has for the model."""
    rows = [{**row, "tags": [tag.replace("adjective", "noun") for tag in row["tags"]]} for row in TAGGED]
    gold, found = (
        [tag for tags in some for tag in tags] for some in ([row["tags"] for row in rows], answers(tagger[0], rows))
    )
    assert set(found) == set(TAGS)
    result = measured_tagger((tagger[0], write_rows(tmp_path / "rows.jsonl", rows)))
    assert result.score("f1") == pytest.approx(f1_score(gold, found, average="macro"))


def test_labels_that_a_tagger_does_not_know_are_refused(tagger, tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", [{"words": ["the", "cat"], "tags": ["article", "noun"]}])
    with pytest.raises(
        InputError, match="outputs are adjective, noun, other, but the labels of rows are article, noun"
    ):
        measured_tagger((tagger[0], file))


def test_a_language_model_has_the_share_of_tokens_that_it_puts_first(completer):
    model, tokenizer = (
        auto_class.from_pretrained(completer[0]) for auto_class in (AutoModelForCausalLM, AutoTokenizer)
    )
    right = total = 0
    nats = 0.0
    for row in PROMPTED:
        prompt, completion = (
            tokenizer(text, add_special_tokens=False)["input_ids"] for text in (row["prompt"] + "\n", row["completion"])
        )
        ids = torch.tensor([*prompt, *completion, tokenizer.eos_token_id])
        start = tokenizer("")["input_ids"]
        ids = torch.cat((torch.tensor(start, dtype=ids.dtype), ids))
        learned = len(completion) + 1
        labels = torch.cat((torch.full((len(ids) - learned,), -100), ids[-learned:]))
        outputs = model.eval()(input_ids=ids[None], labels=labels[None])
        nats += outputs.loss.item() * learned
        likeliest = outputs.logits[0].argmax(-1)
        right += int((likeliest[-learned - 1 : -1] == ids[-learned:]).sum())
        total += learned
    result = measured_completer(completer)
    assert result.score("token_accuracy") == pytest.approx(right / total)
    assert result.score("perplexity") == pytest.approx(np.exp(nats / total))
    by_name = {row["metric"]: row for row in result.results["scores"]}
    assert by_name["perplexity"]["low"] < by_name["perplexity"]["value"] < by_name["perplexity"]["high"]


def test_a_lead_in_perplexity_is_not_told(completer):
    result = measured_completer(completer, model_name_or_path=[f"first={completer[0]}", f"second={completer[0]}"])
    assert {entry["metric"] for entry in result.results["comparisons"]} == {"token_accuracy"}


@pytest.mark.parametrize(
    ("kind", "measure", "metric"),
    [("tagger", measured_tagger, "f1"), ("completer", measured_completer, "token_accuracy")],
)
def test_a_stopped_evaluation_goes_on(kind, measure, metric, request, tmp_path):
    place, folder = request.getfixturevalue(kind), tmp_path / "out"
    models = {"model_name_or_path": [f"first={place[0]}", f"second={place[0]}"], "output_dir": str(folder)}
    whole = measure(place, **models)
    assert (folder / "report.html").is_file()
    for entry in whole.results["comparisons"]:  # of one model with itself
        assert (entry["difference"], entry["p_value"], entry["test"]) == (0.0, 1.0, "permutation")
        assert entry["low"] < 0 < entry["high"]
    assert metric in {entry["metric"] for entry in whole.results["comparisons"]}
    (clean,) = folder.glob("rows/first/*/clean.jsonl")
    lines = clean.read_bytes().splitlines(keepends=True)
    assert len(lines) == 24
    clean.write_bytes(b"".join(lines[:9]) + lines[9][:5])
    (folder / "results.json").unlink()
    again = measure(place, **models)
    assert clean.read_bytes().splitlines(keepends=True) == lines
    for name in ("first", "second"):
        assert again.score(metric, model=name) == whole.score(metric, model=name)
