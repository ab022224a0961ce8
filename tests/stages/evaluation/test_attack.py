import json
import logging
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alum.attacks.text.base import NAMED_BY
from alum.attacks.text.table import TEXT_ATTACKS
from alum.core.errors import InputError
from alum.stages.evaluation.arguments import AttackArguments
from alum.stages.evaluation.attack import attack
from small_wordnet import save_wordnet
from tiny_stages import LENGTH_TOKENS, save_untrained

TEXT = "the gentle cat sees the lovely dog ."


@pytest.fixture
def attacked(finetuned):
    def attacked(text=TEXT, **settings):
        return attack(AttackArguments(**{"model_name_or_path": finetuned.output_dir, "text": text, **settings}))

    return attacked


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """What some attacks need: a masked language model, a WordNet database, and vectors in which adjectives are near."""
    folder = tmp_path_factory.mktemp("resources")
    adjectives = ["gentle gloomy bitter", "lovely lousy", "gloomy gentle", "bitter lovely"]
    wordnet_dir = save_wordnet(folder / "wordnet", noun=["cat river", "dog river"], verb=["see hide"], adj=adjectives)
    words = ("gentle", "gloomy", "bitter", "lovely", "lousy")
    vectors = folder / "vectors.txt"
    vectors.write_text("".join(f"{word} 1 {number / 100}\n" for number, word in enumerate(words)))
    return {
        "masked_lm": str(save_untrained(folder / "model")),
        "wordnet_dir": str(wordnet_dir),
        "word_vectors": str(vectors),
    }


def of(name, given):
    """What of it the attack of this name needs, or uses."""
    settings = {NAMED_BY[need] for need in TEXT_ATTACKS[name].needs | TEXT_ATTACKS[name].uses}
    return {setting: value for setting, value in given.items() if setting in settings}


@pytest.fixture
def changed_model(finetuned, tmp_path):
    """A copy of the fine-tuned model with other entries in its configuration."""

    def changed_model(**settings):
        folder = tmp_path / "model"
        shutil.copytree(finetuned.output_dir, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **settings}))
        return str(folder)

    return changed_model


def says(folder, *texts):
    """Probabilities by name, straight from transformers."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = AutoTokenizer.from_pretrained(folder)(
        *texts, return_tensors="pt", truncation=True, max_length=LENGTH_TOKENS
    )
    with torch.no_grad():
        probs = model(**inputs).logits.softmax(-1)[0]
    return {model.config.id2label[i]: float(p) for i, p in enumerate(probs)}


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("name", TEXT_ATTACKS)
def test_the_model_says_what_is_reported(attacked, finetuned, given, name):
    """Of words that it does not know the model makes one of the labels, so one of the two texts can be turned."""
    succeeded = set()
    for label, other, text in (("good", "bad", TEXT), ("bad", "good", "the gloomy cat sees the bitter dog .")):
        outcome = attacked(text, attack=name, **of(name, given))
        result = outcome.result
        assert (outcome.label, outcome.label_names) == (label, ("bad", "good"))
        assert {change.old for change in result.changes} <= set(text.split()) - {"the", "."}
        for texts, outputs in ((result.original, result.clean_outputs), (result.perturbed, result.adversarial_outputs)):
            expected = says(finetuned.output_dir, *texts)
            np.testing.assert_allclose(outputs, [expected[name] for name in outcome.label_names], atol=1e-5)
        assert (result.outcome == "succeeded") == (expected[other] > expected[label])
        succeeded.add(result.outcome)
    assert "succeeded" in succeeded


def test_the_label_given_is_the_one_attacked(attacked):
    outcome = attacked(label="bad")
    assert (outcome.label, outcome.result.outcome, outcome.result.num_queries) == ("bad", "skipped", 1)


def test_the_second_text_of_a_pair_is_attacked_unless_another_is_named(attacked):
    for attacked_text, texts in (("last", {1}), ("first", {0}), ("both", {0, 1})):
        pair = attacked(text=TEXT, text_pair="the warm river .", attacked_text=attacked_text)
        assert pair.result.original == (TEXT, "the warm river .")
        assert {change.place.text for change in pair.result.changes} <= texts
        assert pair.result.num_words == sum(
            len(text.split()) - 1 for i, text in enumerate((TEXT, "the warm river .")) if i in texts
        )


def test_limits_hold(attacked):
    few = attacked(max_queries=3).result
    assert (few.outcome, few.num_queries, few.changes, few.ended_by_limit) == ("failed", 3, (), True)
    assert not attacked().result.ended_by_limit
    one = attacked(max_changed_words=0.01).result
    assert len(one.changes) <= 1


def test_a_similarity_bounds_the_changes(attacked, given):
    """Nothing but the text itself is similar to it to the last digit."""
    settings = {"attack": "wordnet", "label": "good", "wordnet_dir": given["wordnet_dir"]}
    free = attacked(**settings).result
    assert free.changes
    encoder = given["masked_lm"]
    assert attacked(similarity_model=encoder, min_similarity=-1.0, **settings).result == free
    assert attacked(similarity_model=encoder, min_similarity=1.0, **settings).result.changes == ()


def test_seeds_repeat(attacked):
    first, second = attacked(label="good", seed=3).result, attacked(label="good", seed=3).result
    assert first == second


def test_words_beyond_the_models_length_are_counted_and_left_alone(attacked):
    """Of 10,000 words none after the first 16 can be among 16 tokens."""
    outcome = attacked(text=" ".join(["gentle", "cat"] * 5000), max_queries=20)
    assert outcome.result.num_words == 10_000
    assert 10_000 - LENGTH_TOKENS < outcome.num_unread_words < 10_000
    assert all(change.place.word < LENGTH_TOKENS for change in outcome.result.changes)
    assert attacked().num_unread_words == 0


@pytest.mark.quick_cases(7)
@pytest.mark.timeout(60)  # an edit distance over the whole of each word takes minutes
@pytest.mark.parametrize(
    ("name", "long"),
    [
        *(pytest.param(name, "x" * 5_000, id=f"{name}-word") for name in TEXT_ATTACKS),
        *(pytest.param(name, "x" * 200_000, id=f"{name}-longest word") for name in ("deepwordbug", "masked_lm")),
        *(pytest.param(name, "cat " * 50_000, id=f"{name}-words") for name in ("deepwordbug", "hotflip")),
    ],
)
def test_long_words_and_texts_are_attacked_at_once(attacked, given, name, long):
    """Of a long word every change is a candidate, and of a long text every word."""
    outcome = attacked(text=f"the gentle cat sees {long}", label="good", attack=name, **of(name, given))
    assert outcome.result.num_words >= 4
    assert outcome.result.num_queries > 1


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"text": ""}, "has no words"),
        ({"text": " ?! \n"}, "has no words"),
        ({"text_pair": ""}, "has no words"),
        ({"text": "caf\udce9"}, "UTF-8"),
        ({"attack": "deepwordbugg"}, "unknown attack 'deepwordbugg'.*Did you mean 'deepwordbug'"),
        ({"attack": "masked_lm"}, "the attack masked_lm needs a masked language model: name one with --masked_lm"),
        ({"attack": "wordnet"}, "the attack wordnet needs .*: name their folder with --wordnet_dir"),
        ({"attack": "wordnet", "wordnet_dir": "."}, "not the folder of a WordNet database: it lacks index.noun"),
        ({"label": "god"}, "unknown label 'god': expected one of bad, good. Did you mean 'good'"),
        ({"max_seq_length": 99}, "99 is more than the 16 positions"),
        ({"max_seq_length": 2}, "max_seq_length 2 leaves no room beside 2 special tokens: expected 3 or more"),
        ({"max_seq_length": 4, "text_pair": "a dog"}, "leaves no room beside 3 special tokens: expected 5 or more"),
        ({"wordnet_dir": "/nowhere"}, "wordnet_dir /nowhere has no effect on deepwordbug: leave it out"),
        ({"attack": "wordnet", "wordnet_dir": "d", "masked_lm": "m"}, "masked_lm m has no effect on wordnet"),
    ],
)
def test_input_that_cannot_be_used(attacked, settings, words):
    with pytest.raises(InputError, match=words):
        attacked(**settings)


def test_what_an_attack_needs_is_asked_for_before_a_model_is(attacked):
    with pytest.raises(InputError, match=r"the attack wordnet needs .*--wordnet_dir"):
        attacked(model_name_or_path="nowhere", attack="wordnet")


def test_of_several_texts_the_one_without_words_is_named(finetuned):
    with pytest.raises(InputError, match=r"text 1 of 3, counted from 0, has no words"):
        attack(finetuned.output_dir, None, [TEXT, "...", "?"])


def test_an_attack_that_may_change_the_label_says_what_would_bound_it(attacked, given, caplog):
    with caplog.at_level(logging.WARNING, logger="alum"):
        attacked(attack="hotflip")
        attacked(attack="masked_lm", **of("masked_lm", given))
        attacked(attack="hotflip", **of("hotflip", given))
        attacked()
    first, second = (record.getMessage() for record in caplog.records)
    assert "hotflip" in first
    assert "--word_vectors" in first
    assert "--similarity_model" not in first
    assert "masked_lm" in second
    assert "--similarity_model" in second


def test_a_model_without_a_trained_head(attacked, tmp_path):
    with pytest.raises(InputError, match="has not been fine-tuned"):
        attacked(model_name_or_path=str(save_untrained(tmp_path / "model")))


@pytest.mark.parametrize(
    ("problem_type", "kind"),
    [("regression", "regression"), ("multi_label_classification", "multi label classification")],
)
def test_a_model_that_does_not_choose_a_label(attacked, changed_model, problem_type, kind):
    with pytest.raises(InputError, match=f"chooses one of two or more labels, but this one is made for {kind}"):
        attacked(model_name_or_path=changed_model(problem_type=problem_type))


@pytest.mark.parametrize("bad", [{"max_queries": 0}, {"max_changed_words": 0.0}, {"max_changed_words": 1.5}])
def test_settings_out_of_range(bad):
    with pytest.raises(InputError, match=f"{next(iter(bad))} must .*not {next(iter(bad.values()))}"):
        AttackArguments(model_name_or_path="model", text=TEXT, **bad)
