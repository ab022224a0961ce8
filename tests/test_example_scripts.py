"""Scripts of the shape of transformers' own run as they stand in examples/scripts, and without alum as plain ones."""

import json
import math
import random
import re
import runpy
import sys

import pytest
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

from alum.data.pretraining.tokenizer import train_wordpiece
from places import ROOT
from tiny_tokenizers import byte_level_bpe

SCRIPTS = ROOT / "examples" / "scripts"
GOOD, BAD, NOUNS = ("good", "fine", "bright"), ("bad", "poor", "dark"), ("cat", "dog", "house", "river")
LENGTH = 24


def sentence(rng, adjectives):
    return (
        f"the {rng.choice(NOUNS)} is {rng.choice(adjectives)} and the {rng.choice(NOUNS)} is {rng.choice(adjectives)}"
    )


def classified(rng):
    label = rng.randrange(2)
    return {"text": sentence(rng, (BAD, GOOD)[label]), "label": label}


def answered(rng):
    words = sentence(rng, GOOD).split()
    words.insert(rng.randrange(len(words)), "treasure")
    context = " ".join(words)
    answers = {"text": ["treasure"], "answer_start": [context.index("treasure")]}
    return {"question": "where is it", "context": context, "answers": answers}


def tagged(rng):
    words = sentence(rng, GOOD + BAD).split()
    return {"words": words, "tags": ["thing" if word in NOUNS else "other" for word in words]}


def chosen(rng):
    label = rng.randrange(2)
    endings = [rng.choice(BAD), rng.choice(BAD)]
    endings[label] = rng.choice(GOOD)
    return {"context": f"the {rng.choice(NOUNS)}", "endings": [f"is {ending}" for ending in endings], "label": label}


ROWS = {
    "classification": classified,
    "question_answering": answered,
    "tagging": tagged,
    "multiple_choice": chosen,
    "masked_lm": lambda rng: sentence(rng, GOOD + BAD),
    "causal_lm": lambda rng: sentence(rng, GOOD + BAD),
}


def write_rows(file, make, count, seed):
    rng = random.Random(seed)
    rows = [make(rng) for _ in range(count)]
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return str(file)


def save_model(folder, name):
    """An untrained model, 32 wide, without a head, and its tokenizer."""
    rng = random.Random(0)
    texts = [f"{sentence(rng, GOOD + BAD)} where is it treasure" for _ in range(100)]
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    if name == "causal_lm":
        tokenizer = byte_level_bpe(texts)
        config = GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=LENGTH)
        GPT2LMHeadModel(config).save_pretrained(folder)
    else:
        tokenizer = train_wordpiece(texts, 120, LENGTH)
        config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=LENGTH, **size)
        BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def run(script, name, folder, monkeypatch, capsys, *flags):
    """What a script prints."""
    arguments = {
        "model_name_or_path": save_model(folder / "model", name),
        "train_file": write_rows(folder / "train.txt", ROWS[name], 192, seed=1),
        "validation_file": write_rows(folder / "dev.txt", ROWS[name], 32, seed=2),
        "max_length": LENGTH,
        "output_dir": folder / "out",
        "num_train_epochs": 5,
        "learning_rate": 5e-3,
        "per_device_train_batch_size": 16,
        "logging_steps": 20,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    given = [str(part) for flag, value in arguments.items() for part in (f"--{flag}", value)]
    monkeypatch.setattr(sys, "argv", [str(script), *given, *flags])
    monkeypatch.setenv("HF_DATASETS_CACHE", str(folder / "cache"))
    runpy.run_path(str(script), run_name="__main__")
    return capsys.readouterr().out


def figure(shown):
    found = re.search(r"^(accuracy|exact match|perplexity) ([\d.]+)$", shown, re.MULTILINE)
    return found[1], float(found[2])


def has_learned(shown):
    name, value = figure(shown)
    return value < 12 if name == "perplexity" else value > 0.8


def without_alum(script, folder):
    """The script with what the comments of its numbered lines say in their place."""
    lines = script.read_text().splitlines()
    former = [re.sub(r"^( *)(\w+ = |).*# \d, instead of: (.*)", r"\1\2\3", line) for line in lines]
    assert sum(a != b for a, b in zip(lines, former, strict=True)) == 3
    assert "Alum" not in "\n".join(former).split('"""')[2]
    plain = folder / script.name
    plain.write_text("\n".join(former) + "\n")
    return plain


def test_each_script_has_rows_to_run_on():
    assert {script.stem for script in SCRIPTS.glob("*.py")} == set(ROWS)


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("name", ROWS)
def test_a_script_learns_with_an_adversary(name, tmp_path, monkeypatch, capsys):
    shown = run(SCRIPTS / f"{name}.py", name, tmp_path, monkeypatch, capsys, "--adv_method", "alum_one_pass")
    assert has_learned(shown)
    gains = [float(gain) for gain in re.findall(r"'adversarial_gain': '?([\d.e+]+)", shown)]
    assert gains
    assert all(map(math.isfinite, gains))
    assert max(gains) > 3


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("name", ROWS)
def test_three_lines_less_and_it_is_a_script_of_the_trainer(name, tmp_path, monkeypatch, capsys):
    shown = run(without_alum(SCRIPTS / f"{name}.py", tmp_path), name, tmp_path, monkeypatch, capsys)
    assert has_learned(shown)
    assert "adversarial" not in shown
