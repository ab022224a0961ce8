"""Fine-tuning against texts whose words are changed by other words, or cut to other subwords."""

import dataclasses
from pathlib import Path

import pytest
from transformers import AutoTokenizer, BertForMaskedLM

from alum.core.errors import InputError
from alum.models.tokenization import Tokenization
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.changed_texts import kept_texts
from alum.stages.finetuning.run import _task_data, finetune
from small_wordnet import save_wordnet
from tiny_stages import finetune_arguments, finetune_config, log_lines, save_untrained
from tiny_texts import opinions, write_rows

ROWS = opinions(24)


@pytest.fixture
def run(tmp_path):
    model = save_untrained(tmp_path / "model")
    for split in ("train", "validation"):
        write_rows(tmp_path / f"{split}.jsonl", ROWS)

    def run(changes, space="text", **settings):
        of_method = {"adv_method": "alum_one_pass", "adv_space": space} if space else {}
        return finetune(
            finetune_arguments(model, tmp_path, **settings),
            finetune_config(
                tmp_path / "run", adv_text_changes=changes, num_train_epochs=2, logging_steps=1, **of_method
            ),
        )

    return run


def text_losses(result):
    return [line["text_loss"] for line in log_lines(Path(result.output_dir) / "metrics.jsonl") if "text_loss" in line]


def test_a_masked_language_model_is_asked_about_each_text_once(run, tmp_path, monkeypatch):
    rows = []
    forward = BertForMaskedLM.forward

    def counted(self, *args, **kwargs):
        rows.append(len(kwargs["input_ids"]))
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(BertForMaskedLM, "forward", counted)
    result = run("masked_lm", masked_lm=str(tmp_path / "model"))
    assert len(text_losses(result)) == 4  # two epochs of two steps
    assert min(text_losses(result)) > 0
    assert sum(rows) == 1 + len({row["text"] for row in ROWS})  # one to try it


def test_synonyms_and_subwords_are_trained_on(run, tmp_path):
    words = {word for row in ROWS for word in row["text"].split()}
    wordnet = save_wordnet(tmp_path / "dict", noun=[f"{word} {word}x" for word in sorted(words)])
    assert min(text_losses(run("synonyms,subwords", wordnet_dir=str(wordnet)))) > 0
    lines = log_lines(tmp_path / "run" / "metrics.jsonl")
    assert not any("adv_epsilon" in line or "adversarial_gain" in line for line in lines)


def test_the_question_of_copa_is_not_changed(tmp_path):
    """Its words are a template: another one in a single choice would be another question, of the same label."""
    questions = {"cause": "What was the cause? ", "effect": "What happened as a result? "}
    rows = [
        {"premise": premise, "question": question, "choice1": "it rained", "choice2": "we slept late", "label": 0}
        for question, premise in (("cause", "streets were wet"), ("effect", "clouds gathered"))
    ]
    for split in ("train", "validation"):
        write_rows(tmp_path / f"{split}.jsonl", rows)
    tokenization = Tokenization(AutoTokenizer.from_pretrained(save_untrained(tmp_path / "model")), 16)
    arguments = FinetuneArguments(str(tmp_path / "model"), task="copa", data_dir=str(tmp_path))
    config = finetune_config(tmp_path / "run", adv_method="alum", adv_space="text", adv_text_word_share=1.0)
    data = _task_data(arguments, config, None)
    features = {"train": data.supervision.encode(data.splits["train"], tokenization)}
    texts = kept_texts(arguments, config, data, features, tokenization)
    drawn = []
    spied = dataclasses.replace(texts, encode=lambda examples: drawn.append(examples) or texts.encode(examples))
    examples = data.supervision.examples(data.splits["train"])
    spied.drawn(
        examples, config.text_changes(texts.resources), 20, data.supervision.collator(tokenization.tokenizer), ""
    )
    assert len(drawn[0]) == 40
    for number, (premise, *choices) in enumerate(drawn[0]):
        row = rows[number // 20]
        assert premise != row["premise"]
        for choice, own in zip(choices, (row["choice1"], row["choice2"]), strict=True):
            assert choice.startswith(questions[row["question"]])
            assert not choice.endswith(own)


@pytest.mark.parametrize(
    ("changes", "space", "settings", "said"),
    [
        ("synonyms", "text", {}, r"changes synonyms need the files of the WordNet database: .* --wordnet_dir"),
        ("masked_lm", "text", {}, r"changes masked_lm need a masked language model: .* --masked_lm"),
        ("misspellings", "text", {}, r"changes misspellings need a list of misspellings: .* --misspellings"),
        ("misspellings", "text", {"misspellings": "nowhere"}, "no file at nowhere: expected a list of misspellings"),
        ("typing", "text", {"misspellings": "m"}, "misspellings m has no effect: it is for the changes misspellings"),
        ("typing", "text", {"masked_lm": "m"}, r"masked_lm m has no effect: it is for the changes masked_lm"),
        (None, None, {"misspellings": "m"}, "misspellings is for changes of texts: choose adv_space text or both"),
        (None, None, {"wordnet_dir": "w"}, "wordnet_dir is for changes of texts: choose adv_space text or both"),
        ("synonyms", "both", {"wordnet_dir": "nowhere"}, "nowhere is not the folder of a WordNet database"),
    ],
)
def test_sources_of_words_that_are_missing_or_idle_are_named(run, tmp_path, changes, space, settings, said):
    with pytest.raises(InputError, match=said):
        run(changes, space, **settings)
    assert not (tmp_path / "run").exists()


def test_what_settings_alone_tell_is_told_before_rows_are_tokenized(run, tmp_path, monkeypatch):
    monkeypatch.setattr("alum.stages.finetuning.run.announce", None)  # which says that it begins
    with pytest.raises(InputError, match="masked_lm need a masked language model"):
        run("masked_lm")
    with pytest.raises(InputError, match="wordnet_dir w has no effect"):
        run("typing", wordnet_dir="w")
    rows = [{"tokens": ["a", "b"], "tags": ["O", "B-x"]}] * 4
    for split in ("train", "validation"):
        write_rows(tmp_path / f"{split}.jsonl", rows)
    with pytest.raises(InputError, match="adv_space 'text' needs one output for the whole text of a row"):
        run("typing", kind="token_classification", text_columns="tokens", label_column="tags")
