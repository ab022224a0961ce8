import re

import pytest
from transformers import GPT2Config, GPT2LMHeadModel, SchedulerType

from alum.core.errors import InputError
from alum.core.methods import METHODS
from alum.data.pretraining.tokenizer import train_byte_level_bpe
from alum.reports.cards.finetuned import CardTask, write_model_card
from alum.stages.finetuning.run import finetune
from alum.tasks.lookup import SUPERVISED
from alum.tasks.named import TASKS
from reading_cards import VERSIONS_LINE, Card, trained_by
from small_files import fill_disk
from tiny_stages import finetune_arguments, finetune_config, save_untrained
from tiny_texts import opinions, write_rows

TUNED = {
    "task": "sst2",
    "method": "alum",
    "metrics": {"loss": 0.5, "accuracy": 0.875},
    "label_names": ["negative", "positive"],
    "num_train_rows": 640,
    "num_steps": 20,
    "train_seconds": 89.0,
    "train_flops": None,
    "first_gain": {"step": 1, "gain": 2.5, "divergence": 1e-6, "strength": 0.25},
    "last_gain": {"step": 20, "gain": 825.4, "divergence": 2e-3, "strength": 0.875},
}
TUNING = {
    "learning_rate": 3e-5,
    "lr_scheduler_type": SchedulerType.LINEAR,
    "max_steps": -1,
    "num_train_epochs": 3.0,
    "seed": 7,
    "adv_method": "alum",
    "adv_epsilon": None,
    "adv_alpha": 2.0,
    "adv_text_changes": None,
    "adv_text_word_share": None,
    "adv_fraction": 0.5,
}


def tuned_card(folder, base="models/base-model", task=None, result=None, **config):
    settings = {**TUNING, **config}
    task = task or CardTask(SUPERVISED["sequence_classification"], 1, TASKS["sst2"], {"validation": 872})
    write_model_card(folder, base, task, {**TUNED, **(result or {})}, trained_by(settings))
    return Card(folder)


def test_a_card_has_the_first_and_the_last_gain_and_what_they_cost(tmp_path):
    rows = tuned_card(tmp_path, result={"train_flops": 2.5e12}).rows
    assert rows["adversarial gain at step 1"] == "2.5 (divergence 1.0e-06, strength 25 %)"
    assert rows["adversarial gain at step 20"] == "825 (divergence 2.0e-03, strength 88 %)"
    assert (rows["time"], rows["compute"]) == ("1 min", "2.50e+12 FLOPs")
    assert rows["compute of an attacked step"] == "2.67 × a standard one"  # 8 passes instead of 3
    assert not [
        row for row in tuned_card(tmp_path, result={"first_gain": None, "last_gain": None}).rows if "gain" in row
    ]


def test_the_hub_reads_scores_data_and_use(tmp_path):
    found = tuned_card(tmp_path, base="org/base-model").on_hub
    assert (found.library_name, found.pipeline_tag) == ("transformers", "text-classification")
    assert (found.base_model, found.datasets, found.metrics) == ("org/base-model", ["nyu-mll/glue"], ["accuracy"])
    assert found.tags == ["alum", "adversarial-training"]
    assert found.model_name == tmp_path.name
    assert [(one.metric_type, one.metric_name, one.metric_value) for one in found.eval_results] == [
        ("loss", "loss", 0.5),
        ("accuracy", "accuracy", 0.875),
    ]
    one = found.eval_results[0]
    assert (one.dataset_type, one.dataset_config, one.dataset_split) == ("nyu-mll/glue", "sst2", "validation")
    assert (one.dataset_name, one.task_type) == ("sst2 (872 rows)", "text-classification")


def test_scores_of_other_splits_are_results_of_their_own(tmp_path):
    sizes = {"validation": 9815, "validation_mismatched": 9832}
    task = CardTask(SUPERVISED["sequence_classification"], 2, TASKS["mnli"], sizes)
    scores = {"accuracy": 0.5, "validation_mismatched_accuracy": 0.25, "loss": float("nan")}
    found = tuned_card(tmp_path, task=task, result={"metrics": scores, "task": "mnli"}).on_hub.eval_results
    assert {(one.dataset_split, one.dataset_name): one.metric_value for one in found} == {
        ("validation_matched", "mnli (9,815 rows)"): 0.5,
        ("validation_mismatched", "mnli (9,832 rows)"): 0.25,
    }
    assert len(found) == 2  # no hub takes what is no number


def test_metrics_have_the_names_of_the_hub(tmp_path):
    task = CardTask(SUPERVISED["regression"], 2, None, {"validation": 5})
    found = tuned_card(tmp_path, task=task, result={"metrics": {"pearson": 0.5, "spearman": 0.25, "mse": 1.0}}).on_hub
    assert found.metrics == ["pearsonr", "spearmanr", "mse"]
    assert {one.dataset_type for one in found.eval_results} == {"local"}
    assert found.datasets is None


@pytest.mark.parametrize("base", ["../models/base", "/srv/models/base", "base model", "", "a/b/c"])
def test_a_base_model_that_is_no_id_is_no_link_on_the_hub(tmp_path, base):
    assert "base_model" not in tuned_card(tmp_path, base=base).front


def test_a_base_model_on_this_machine_is_told_without_its_place(tmp_path, monkeypatch):
    (tmp_path / "private" / "base").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    card = tuned_card(tmp_path, base="private/base", result={"task": f"{tmp_path}/a.jsonl + {tmp_path}/b.jsonl"})
    assert "base_model" not in card.front
    assert "private" not in card.content
    assert card.headings[0] == "base, fine-tuned on a.jsonl + b.jsonl"


def test_the_licence_is_left_to_the_user(tmp_path):
    card = tuned_card(tmp_path)
    assert "license" not in card.front
    assert "# license: yours to choose" in card.content


@pytest.mark.parametrize("settings", [{"adv_method": "standard", "adv_alpha": None}, {"adv_alpha": 0.0}])
def test_a_model_trained_without_an_adversary_is_not_tagged_with_one(tmp_path, settings):
    card = tuned_card(tmp_path, adv_fraction=1.0, **settings)
    assert card.front["tags"] == ["alum"]
    assert "Adversary" not in card.headings
    assert not [name for name in card.rows if name.startswith("adv_")]


def test_a_fine_tuned_card_says_what_was_trained_from_what_and_how_well(tmp_path):
    card = tuned_card(tmp_path)
    assert card.headings == ["base-model, fine-tuned on sst2", "Validation", "Training", "Adversary"]
    assert card.paragraphs[0] == (
        "Fine-tuned from models/base-model by the method alum of alum 0.1.0 on 640 rows, in 20 steps. "
        "Labels, by their numbers from 0: negative, positive."
    )
    assert card.paragraphs[-1] == VERSIONS_LINE
    assert (card.rows["loss"], card.rows["accuracy"]) == ("0.500", "87.5 %")
    assert (card.rows["learning_rate"], card.rows["num_train_epochs"], card.rows["seed"]) == ("3e-05", "3.0", "7")


def test_the_adversary_has_every_value_that_held_whether_it_was_set_or_not(tmp_path):
    rows = tuned_card(tmp_path).rows
    assert {name: value for name, value in rows.items() if name.startswith("adv_")} == {
        "adv_alpha": "2.0",
        "adv_epsilon": str(METHODS["alum"].epsilon),
        "adv_fraction": "0.5",
    }


def test_an_adversary_in_the_text_has_its_changes_and_no_radius(tmp_path):
    settings = {"adv_space": "text", "adv_text_draws": None, "adv_target_divergence": None}
    rows = tuned_card(tmp_path, adv_method="r_drop", adv_alpha=None, **settings).rows
    assert (rows["adv_text_changes"], rows["adv_text_word_share"], rows["adv_text_draws"]) == (
        "typing,deepwordbug",
        "0.2",
        "1",
    )
    assert not {"adv_epsilon", "adv_target_divergence"} & rows.keys()


def test_a_radius_that_followed_the_divergence_has_its_target(tmp_path):
    assert tuned_card(tmp_path, adv_target_divergence=0.25).rows["adv_target_divergence"] == "0.25"


def test_of_epochs_and_steps_the_one_that_holds_is_given(tmp_path):
    rows = tuned_card(tmp_path, max_steps=100).rows
    assert rows["max_steps"] == "100"
    assert "num_train_epochs" not in rows


def test_a_fine_tuned_card_takes_names_as_they_are(tmp_path):
    result = {"task": "my|task*s*\n# two", "label_names": ["<b>", "`x`"]}
    card = tuned_card(tmp_path, base="a|b/`x`_<b>", result=result)
    assert card.headings[0] == "`x`_<b>, fine-tuned on my|task*s* # two"
    assert card.paragraphs[0].startswith("Fine-tuned from a|b/`x`_<b> by the method")
    assert card.paragraphs[0].endswith("from 0: <b>, `x`.")
    assert "<b>" not in card.html


def test_a_model_that_is_pushed_is_loaded_by_its_id(tmp_path):
    card = tuned_card(tmp_path, hub_model_id="somebody/tuned")
    assert 'pipeline("text-classification", "somebody/tuned")' in card.codes[0]
    assert card.on_hub.model_name == "somebody/tuned"


def test_adapters_are_of_their_own_library(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    assert tuned_card(tmp_path).on_hub.library_name == "peft"


def test_a_full_disk_leaves_no_half_of_a_card(tmp_path, monkeypatch):
    fill_disk(monkeypatch)
    with pytest.raises(InputError, match=r"README\.md could not be written: No space left .* Free space"):
        tuned_card(tmp_path)
    assert list(tmp_path.iterdir()) == []


# -- the lines that use a model ----------------------------------------------------------------------------------------


def _sentences():
    return [row["text"] for row in opinions(12)]


def _context_rows():
    return [
        {
            "question": "who ?",
            "context": text,
            "answers": {"text": [text.split()[2]], "answer_start": [text.index(text.split()[2])]},
        }
        for text in _sentences()
    ]


KINDS = {  # kind: its rows, its columns, and what the lines print
    "sentence_classification": (lambda: opinions(12), ("text", "label"), "'score'"),
    "pair_classification": (
        lambda: [{"a": row["text"], "b": row["text"], "label": row["label"]} for row in opinions(12)],
        ("a,b", "label"),
        "'score'",
    ),
    "regression": (
        lambda: [{"text": text, "label": index / 12} for index, text in enumerate(_sentences())],
        ("text", "label"),
        "'score'",
    ),
    "multiple_choice": (
        lambda: [{"text": text, "choices": ["bright", "cold"], "label": 1} for text in _sentences()],
        ("text", "label"),
        "umbrella|rain|soup",
    ),
    "question_answering": (_context_rows, ("question,context", "answers"), "\\w"),
    "token_classification": (
        lambda: [{"words": text.split(), "tags": ["O", "B-x"] * (len(text.split()) // 2)} for text in _sentences()],
        ("words", "tags"),
        r"\[",
    ),
    "causal_lm": (
        lambda: [{"text": "the cat", "label": text} for text in _sentences()],
        ("text", "label"),
        "'generated_text'",
    ),
}


def save_untrained_gpt(folder):
    tokenizer = train_byte_level_bpe([row["text"] for row in opinions()], 300, 64, "causal_lm")
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64, "bos_token_id": 0, "eos_token_id": 0}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("kind", KINDS)
def test_the_lines_of_a_trained_models_card_use_it(kind, tmp_path, monkeypatch, capsys):
    rows, (texts, label), printed = KINDS[kind]
    for split in ("train", "validation"):
        write_rows(tmp_path / f"{split}.jsonl", rows())
    base = save_untrained_gpt(tmp_path / "base") if kind == "causal_lm" else save_untrained(tmp_path / "base", 64)
    columns = {"kind": kind, "text_columns": texts, "label_column": label}
    columns |= {"choice_columns": "choices"} if kind == "multiple_choice" else {}
    folder = tmp_path / "a tuned 'model'"
    finetune(finetune_arguments(base, tmp_path, **columns), finetune_config(folder, num_train_epochs=1))
    card = Card(folder)
    monkeypatch.chdir(tmp_path)
    exec(card.codes[0], {})
    assert re.search(printed, capsys.readouterr().out)
    assert str(tmp_path) not in card.content
    assert (folder / "loss.png").is_file()
    assert '<img src="loss.png"' in card.html
    assert card.on_hub.eval_results
