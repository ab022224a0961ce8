import re

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from alum.cli.main import main
from alum.data.pretraining.tokenizer import train_wordpiece
from tiny_stages import save_untrained
from tiny_texts import opinions

TEXTS = [row["text"] for row in opinions(16)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A classifier with random weights, set so that over the texts neither label is ahead on average."""
    folder = tmp_path_factory.mktemp("classifier")
    tokenizer = train_wordpiece(TEXTS, 120, 32)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    labels = {"id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}}
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=32, initializer_range=0.3, **sizes, **labels)
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        inputs = tokenizer(TEXTS, return_tensors="pt", padding=True)
        model.classifier.bias -= model(**inputs).logits.mean(0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def attack(folder, capsys):
    """Exit code, standard output and standard error of an attack on a text with further flags."""

    def attack(text, *flags, model=folder):
        capsys.readouterr()
        code = main(["attack", "--model_name_or_path", str(model), "--text", text, *flags])
        said = capsys.readouterr()
        return code, said.out, said.err

    return attack


def test_it_shows_what_changed_and_what_the_model_said_before_and_after(attack):
    headlines = set()
    for text in TEXTS[:8]:
        code, out, _ = attack(text)
        assert code == 0
        lines = out.splitlines()
        headlines.add(lines[0].split(":")[0])
        # Undoing the marks gives the text.
        (marked,) = [line for line in lines if re.sub(r"\[(\S+) → [^]]+\]", r"\1", line) == text]
        changed, words = map(int, re.search(r"changed: (\d+) of (\d+)\.", lines[-1]).groups())
        assert (changed, words) == (marked.count("→"), len(text.split()) - 1)  # the full stop is no word
        rates = np.array(re.findall(r"([\d.]+) %", out), dtype=float).reshape(2, 2)  # labels by before and after
        np.testing.assert_allclose(rates.sum(0), 100, atol=0.11)
    assert "The attack succeeded" in headlines


@pytest.mark.parametrize("name", ["deepwordbug", "textbugger", "homoglyphs", "typos"])
def test_success_or_not_is_0(attack, name):
    assert attack(TEXTS[0], "--attack", name)[0] == 0
    code, out, _ = attack(TEXTS[0], "--attack", name, "--max_queries", "1")
    assert code == 0
    assert "The attack failed" in out
    assert "Words changed: 0 of 7. Queries: 1." in out


def test_the_answer_may_be_wrong_before(attack):
    outs = [attack(TEXTS[0], "--label", label)[1] for label in ("bad", "good")]
    assert sum("Nothing to attack" in out for out in outs) == 1


def test_pairs(attack):
    code, out, _ = attack(TEXTS[0], "--text_pair", TEXTS[1])
    assert code == 0
    assert f"Text 1:\n{TEXTS[0]}\nText 2:\n" in out


def test_control_characters_and_markup_are_shown_not_obeyed(attack):
    code, out, _ = attack("[bold]gentle[/bold] \x1b[31m \x07 \u202e [/] :cat:", "--max_queries", "1")
    assert code == 0
    assert r"[bold]gentle[/bold] \x1b[31m \x07 \u202e [/] :cat:" in out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)


@pytest.mark.parametrize(
    ("text", "flags", "words"),
    [
        ("", "", "no words"),
        ("the cat", "--attack deepwordbg", "Did you mean 'deepwordbug'"),
        ("the cat", "--label best", "expected one of bad, good"),
        ("the cat", "--max_changed_words 2", "(0, 1], not 2.0"),
        ("the cat", "--max_queries 0", "1 or more, not 0"),
        ("the cat", "--attacked_text middle", "--attacked_text"),
        ("the \udcff cat", "", "UTF-8"),
    ],
)
def test_bad_input_is_one_line_and_2(attack, text, flags, words):
    code, out, error = attack(text, *flags.split())
    assert (code, out) == (2, "")
    assert error.splitlines()[-1].startswith("alum: error: ")
    assert words in error.splitlines()[-1]
    assert "Traceback" not in error


def test_a_model_without_a_head_is_2(attack, tmp_path):
    code, _, error = attack("the cat", model=save_untrained(tmp_path / "model"))
    assert code == 2
    assert "has not been fine-tuned" in error
