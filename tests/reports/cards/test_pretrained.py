import dataclasses
from pathlib import Path

import pytest
from transformers import GPT2Config, GPT2LMHeadModel, SchedulerType

from alum.core.methods import METHODS
from alum.data.pretraining.tokenizer import train_byte_level_bpe
from alum.reports.cards.pretrained import write_pretraining_card
from reading_cards import VERSIONS_LINE, Card, trained_by
from tiny_stages import save_untrained
from tiny_texts import opinions

# -- pre-trained -------------------------------------------------------------------------------------------------------

RESULT = {
    "output_dir": "/home/somebody/pretrained",
    "objective": "masked_lm",
    "method": "alum",
    "base_model": None,
    "architecture": "bert-mini",
    "corpora": ["/home/somebody/brown.txt", "texts/pil_medical.txt"],
    "metrics_before": {
        "brown": {"loss": 9.125, "perplexity": 9181.5, "accuracy": 0.001, "num_tokens": 1234.0},
        "wiki": {"loss": 9.25, "perplexity": 10404.6, "accuracy": 0.0, "num_tokens": 77.0},
    },
    "metrics": {
        "brown": {"loss": 2.0, "perplexity": 7.38906, "accuracy": 0.5625, "num_tokens": 1234.0},
        "wiki": {"loss": 3.0, "perplexity": 20.08554, "accuracy": 0.375, "num_tokens": 77.0},
    },
    "num_parameters": 11170560,
    "num_train_sequences": 5989,
    "sequence_length_tokens": 128,
    "num_train_tokens": 4096000,
    "tokens_per_second": 1234.4,
    "num_steps": 1000,
    "train_seconds": 3318.0,
    "train_flops": 2.75e14,
    "first_gain": {"step": 501, "gain": 12345.6, "divergence": 0.25, "strength": None},
    "last_gain": {"step": 1000, "gain": None, "divergence": 8e-10, "strength": None},
}
ARGUMENTS = {"mlm_probability": "0.15", "whole_word_masking": False, "train_weights": []}
METHOD_SETTINGS = (
    "alpha", "epsilon", "epsilon_unit", "norm", "scope", "num_steps", "step_size", "step_rule", "projection",
    "init_std", "dropout", "layer",
)  # fmt: skip
CONFIG = {
    "learning_rate": 1e-4,
    "lr_scheduler_type": SchedulerType.LINEAR,
    "warmup_steps": 0.01,
    "weight_decay": 0.01,
    "per_device_train_batch_size": 32,
    "gradient_accumulation_steps": 2,
    "num_train_epochs": 1.0,
    "max_steps": 1000,
    "max_grad_norm": 1.0,
    "seed": 42,
    "adv_method": "alum",
    **{f"adv_{name}": None for name in METHOD_SETTINGS},
    "adv_special_tokens": "perturb",
    "adv_fraction": 1.0,
    "adv_every_steps": 1,
    "adv_start_fraction": 0.5,
    "adv_alpha_ramp_fraction": 0.0,
    "adv_epsilon_ramp_fraction": 0.0,
}


def card_of(folder, arguments=None, config=None, **result):
    settings = {**CONFIG, **(config or {})}
    write_pretraining_card(folder, {**RESULT, **result}, {**ARGUMENTS, **(arguments or {})}, trained_by(settings))
    return Card(folder)


def test_the_hub_reads_the_front_matter(tmp_path):
    card = card_of(tmp_path)
    assert {name: value for name, value in card.front.items() if name != "model-index"} == {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
        "tags": ["alum", "adversarial-training", "pre-training"],
        "metrics": ["perplexity", "accuracy"],
    }
    found = {(one.dataset_name, one.metric_type): one.metric_value for one in card.on_hub.eval_results}
    assert found == {
        (text, metric): value
        for text, scores in RESULT["metrics"].items()
        for metric, value in scores.items()
        if metric != "num_tokens"
    }
    assert {one.task_type for one in card.on_hub.eval_results} == {"fill-mask"}
    assert card.on_hub.model_name == tmp_path.name


def test_a_corpus_of_the_hub_is_named_by_its_id(tmp_path):
    assert card_of(tmp_path, arguments={"dataset_name": "org/corpus"}).on_hub.datasets == ["org/corpus"]


def test_a_causal_model_that_was_continued_without_an_adversary_is_tagged_so(tmp_path):
    found = card_of(tmp_path, objective="causal_lm", base_model="org/gpt", config={"adv_method": "standard"}).on_hub
    assert (found.pipeline_tag, found.tags) == ("text-generation", ["alum", "continual-pre-training"])
    assert found.base_model == "org/gpt"


def test_a_base_model_on_disk_is_no_link_on_the_hub(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    card = card_of(tmp_path, base_model=str(base))
    assert "base_model" not in card.front
    assert str(tmp_path) not in card.content
    assert card.headings[0] == "base, pre-training continued"


def test_a_model_from_scratch_is_described_with_its_sizes(tmp_path):
    (tmp_path / "config.json").write_text('{"num_hidden_layers": 4, "hidden_size": 256, "vocab_size": 30522}')
    card = card_of(tmp_path)
    assert card.headings == ["bert-mini, pre-trained from scratch", "Validation", "Training", "Adversary"]
    assert card.paragraphs[0] == (
        "bert-mini with 11,170,560 parameters (4 layers, 256 hidden dimensions, 30,522 pieces in the vocabulary), "
        "trained from scratch by the method alum of alum 0.1.0."
    )
    assert card.paragraphs[-1] == VERSIONS_LINE


def test_sizes_are_found_under_the_names_of_other_models(tmp_path):
    GPT2Config(n_layer=3, n_embd=48, n_head=6, vocab_size=1000).save_pretrained(tmp_path)
    sizes = "3 layers, 48 hidden dimensions, 6 attention heads, 1,000 pieces in the vocabulary"
    assert f"({sizes}), trained further by" in card_of(tmp_path, base_model="gpt").paragraphs[0]


def test_each_validation_text_has_its_scores_before_and_after(tmp_path):
    card = card_of(tmp_path)
    assert card.header[0] == [
        "text", "predicted tokens", "loss before", "loss after", "perplexity before", "perplexity after",
        "accuracy before", "accuracy after",
    ]  # fmt: skip
    assert card.rows["brown"] == ["1,234", "9.125", "2.000", "9182", "7.389", "0.1 %", "56.2 %"]
    assert card.rows["wiki"] == ["77", "9.250", "3.000", "10405", "20.086", "0.0 %", "37.5 %"]


def test_scores_that_were_not_taken_are_dashes(tmp_path):
    assert card_of(tmp_path, metrics_before={}).rows["wiki"] == ["77", "–", "3.000", "–", "20.086", "–", "37.5 %"]


def test_what_training_took_and_how_it_was_set(tmp_path):
    rows = card_of(tmp_path).rows
    assert {name: value for name, value in rows.items() if not name.startswith("adv_") and isinstance(value, str)} == {
        "corpora": "brown.txt, texts/pil_medical.txt",
        "sequences": "5,989, of 128 tokens",
        "objective": "masked language modelling",
        "mask rate": "15 %",
        "steps": "1,000",
        "tokens seen": "4,096,000 (1,234 per second)",
        "time": "55 min",
        "compute": "2.75e+14 FLOPs",
        "compute of an attacked step": "2.67 × a standard one",
        "adversarial gain at step 501": "12,346 (divergence 2.5e-01)",
        "adversarial gain at step 1,000": "below rounding (divergence 8.0e-10)",
        "learning_rate": "0.0001",
        "lr_scheduler_type": "linear",
        "warmup_steps": "0.01",
        "weight_decay": "0.01",
        "per_device_train_batch_size": "32",
        "gradient_accumulation_steps": "2",
        "max_steps": "1000",
        "max_grad_norm": "1.0",
        "seed": "42",
    }


def test_what_was_not_known_or_counted_is_left_out(tmp_path):
    rows = card_of(tmp_path, num_train_sequences=None, train_flops=None, objective="causal_lm").rows
    assert rows["sequences"] == "streamed, of 128 tokens"
    assert rows["objective"] == "causal language modelling"
    assert not {"compute", "mask rate"} & rows.keys()


@pytest.mark.parametrize(
    ("rate", "whole_words", "text"),
    [("0.15", False, "15 %"), ("0.05:0.25", False, "5 % to 25 %"), ("0.2:0.2", True, "20 %, whole words")],
)
def test_the_mask_rate_is_that_of_the_arguments(tmp_path, rate, whole_words, text):
    arguments = {"mlm_probability": rate, "whole_word_masking": whole_words}
    assert card_of(tmp_path, arguments=arguments).rows["mask rate"] == text


def test_corpora_that_were_seen_unequally_have_their_weights(tmp_path):
    rows = card_of(tmp_path, arguments={"train_weights": [2.0, 0.5]}).rows
    assert rows["corpora"] == "brown.txt × 2, texts/pil_medical.txt × 0.5"


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.26, "4.3 s"), (89, "1 min"), (3599, "1 h 0 min"), (100_000, "27 h 47 min")]
)
def test_time_is_in_units_that_people_read(tmp_path, seconds, text):
    assert card_of(tmp_path, train_seconds=seconds).rows["time"] == text


def test_the_adversarys_settings_are_the_methods_own_where_none_were_made(tmp_path):
    card = card_of(tmp_path, config={"adv_alpha": 10.0, "adv_norm": "linf", "adv_layer": "1", "adv_fraction": 0.5})
    method = {name: str(value) for name, value in dataclasses.asdict(METHODS["alum"]).items()}
    assert {name: value for name, value in card.rows.items() if name.startswith("adv_")} == {
        **{f"adv_{name}": method[name] for name in METHOD_SETTINGS},
        "adv_alpha": "10.0",
        "adv_norm": "linf",
        "adv_layer": "1",
        "adv_special_tokens": "perturb",
        "adv_fraction": "0.5",
        "adv_every_steps": "1",
    }
    assert f"alum: {METHODS['alum'].source}. Known differences: {METHODS['alum'].differences}." in card.paragraphs


@pytest.mark.parametrize(
    ("start", "alpha_ramp", "epsilon_ramp", "text"),
    [
        (0.5, 0.0, 0.0, "Standard for the first 50 % of the steps, then adversarial."),
        (0.0, 0.0, 0.0, "Adversarial from the first step on."),
        (
            None,
            0.1,
            0.25,
            "Adversarial from the first step on; alpha grows from 0 over 10 % of the steps; "
            "epsilon grows from 0 over 25 % of the steps.",
        ),
    ],
)
def test_the_curriculum_is_told(tmp_path, start, alpha_ramp, epsilon_ramp, text):
    names = ("adv_start_fraction", "adv_alpha_ramp_fraction", "adv_epsilon_ramp_fraction")
    config = dict(zip(names, (start, alpha_ramp, epsilon_ramp), strict=True))
    assert text in card_of(tmp_path, config=config).paragraphs


def test_without_an_adversary_none_is_described(tmp_path):
    card = card_of(tmp_path, method="standard", config={"adv_method": "standard"})
    assert "Adversary" not in card.headings
    assert not [name for name in card.rows if name.startswith("adv_")]


def test_the_picture_is_shown_where_there_is_one(tmp_path):
    assert "<img" not in card_of(tmp_path).html
    (tmp_path / "loss.png").write_bytes(b"")
    assert '<img src="loss.png"' in card_of(tmp_path).html


def test_names_are_taken_as_they_are(tmp_path):
    names = ["a|b.txt", "`tick`.txt", "<script>.txt", "*star*_[x](y).txt", "two\nlines.txt", "``", "c\\|d"]
    scores = dict.fromkeys(names, RESULT["metrics"]["wiki"])
    base = 'o\'r: "g" #/`m`|\n---\nlicense: mit'
    card = card_of(tmp_path, base_model=base, corpora=names, metrics=scores, metrics_before=scores)
    shown = [name.replace("\n", " ") for name in names]
    assert card.rows["corpora"] == ", ".join(shown)
    assert all(card.rows[name][:3] == ["77", "3.000", "3.000"] for name in shown)
    assert card.headings[0] == base.replace("\n", " ") + ", pre-training continued"
    assert set(card.front) == {"library_name", "pipeline_tag", "tags", "metrics", "model-index"}  # it is no id
    assert "<script>" not in card.html


def save_untrained_gpt(folder):
    tokenizer = train_byte_level_bpe([row["text"] for row in opinions()], 300, 64, "causal_lm")
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64, "bos_token_id": 0, "eos_token_id": 0}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("objective", "save"), [("masked_lm", save_untrained), ("causal_lm", save_untrained_gpt)])
def test_the_lines_that_load_the_model_do(tmp_path, monkeypatch, capsys, objective, save):
    card = card_of(save(tmp_path / 'my "model"'), objective=objective)
    (code,) = card.codes
    assert len([line for line in code.splitlines() if line]) == 3
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert ("token_str" if objective == "masked_lm" else "generated_text") in capsys.readouterr().out


def test_the_card_is_named_as_the_hub_expects(tmp_path):
    card_of(tmp_path)
    assert [path.name for path in Path(tmp_path).iterdir()] == ["README.md"]
