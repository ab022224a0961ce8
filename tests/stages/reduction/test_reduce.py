import json
import random
from statistics import fmean

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alum.stages.reduction.arguments import ReduceArguments
from alum.stages.reduction.run import reduce_inputs
from tiny_texts import opinions, write_rows


def test_answers_stay_and_would_turn_with_a_word_less(finetuned, tmp_path, capsys):
    """What is said of each text is what the model says when it is asked, and so is that no word more can go.

    Among texts of words at random are some whose answer stands on several of them.
    """
    rows, rng = opinions(16, seed=3), random.Random(0)
    words = sorted({word for row in opinions(64) for word in row["text"].split()} - {"."})
    rows += [{"text": f"{' '.join(rng.choices(words, k=6))} .", "label": "good"} for _ in range(48)]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    result = reduce_inputs(
        ReduceArguments(
            model_name_or_path=finetuned.output_dir, validation_file=str(file), text_columns="text",
            label_column="label", output_dir=str(tmp_path / "out"),
        )
    )  # fmt: skip
    model = AutoModelForSequenceClassification.from_pretrained(finetuned.output_dir).eval()
    tokenizer = AutoTokenizer.from_pretrained(finetuned.output_dir)

    def asked(text):
        with torch.no_grad():
            probs = model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1)
        return model.config.id2label[int(probs.argmax())], float(probs.max())

    assert any(1 < one.num_words_left < one.num_words for one in result.texts)
    for one in result.texts:
        assert one.reduced == one.reduced.strip()
        assert asked(one.original) == (one.answer, pytest.approx(one.probability_before, abs=1e-5))
        assert asked(one.reduced) == (one.answer, pytest.approx(one.probability_after, abs=1e-5))
        words = one.reduced.split()
        if one.num_words_left > 1:
            for number, word in enumerate(words):
                if word != ".":
                    assert asked(" ".join(words[:number] + words[number + 1 :]))[0] != one.answer
    assert result.mean_words_left == fmean(one.num_words_left for one in result.texts)
    assert result.mean_words_left < result.mean_words
    assert json.loads((tmp_path / "out" / "reduction.json").read_text())["num_rows"] == 64
    result.show()
    shown = capsys.readouterr()
    assert f"64 of 64 rows: of {result.mean_words:.1f} words a text {result.mean_words_left:.1f} are left" in shown.out
    assert "taking words away: 64 rows in" in shown.err


def reduced_rows(finetuned, tmp_path, texts, **settings):
    file = write_rows(tmp_path / "rows.jsonl", [{"text": text, "label": "good"} for text in texts])
    return reduce_inputs(
        ReduceArguments(
            model_name_or_path=finetuned.output_dir, validation_file=str(file), text_columns="text",
            label_column="label", **settings,
        )
    )  # fmt: skip


def test_words_that_are_not_read_do_not_count(finetuned, tmp_path):
    """Of 8 tokens two are special, and each of the first words is one; none of those behind them comes in."""
    tokenizer = AutoTokenizer.from_pretrained(finetuned.output_dir)
    text = opinions(1)[0]["text"]
    words, read = text.split(), tokenizer.decode(tokenizer(text, max_length=8, truncation=True)["input_ids"][1:-1])
    assert len(read.split()) < len(words)
    (one,) = reduced_rows(finetuned, tmp_path, [text], max_seq_length=8).texts
    assert one.original == read
    assert one.num_words == len(read.split())
    assert set(one.reduced.split()) <= set(read.split())


def test_texts_of_a_word_are_none_for_which_one_is_enough(finetuned, tmp_path, capsys):
    long = [row["text"] for row in opinions(3)]
    result = reduced_rows(finetuned, tmp_path, [*long, "dog", "...", "lovely"])
    several = [one for one in result.texts if one.num_words > 1]
    assert (result.num_rows, result.num_rows_of_several_words, len(several)) == (6, 3, 3)
    assert result.one_word_share == fmean(one.num_words_left == 1 for one in several)
    result.show()
    assert "of the 3 rows of two words or more" in capsys.readouterr().out
    result = reduced_rows(finetuned, tmp_path, ["dog", "lovely"])
    assert result.one_word_share is None
    result.show()
    assert "one word is enough" not in capsys.readouterr().out


def test_rows_are_few_unless_more_are_asked_for(finetuned, tmp_path, capsys):
    result = reduced_rows(finetuned, tmp_path, ["lovely dog"] * 300)
    assert (result.num_rows, result.num_rows_available) == (256, 300)
    result.show()
    assert "256 of 300 rows: of 2.0 words" in capsys.readouterr().out
