import dataclasses

import numpy as np
import pytest
import torch

from alum.attacks.text.base import Resources
from alum.attacks.text.output_cache import OutputCache
from alum.attacks.text.protocol import Misclassified
from alum.attacks.text.searches.settings import SearchSettings
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.table import TEXT_ATTACKS
from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_byte_level_bpe, train_wordpiece
from alum.evaluation.gradients import ClassifierGradients
from alum.evaluation.kinds.sequence_classification import ClassifierVictim
from text_models import text_model
from tiny_models import classifier
from tiny_texts import opinions
from word_resources import SameWords, same_predictions

TEXTS = [row["text"] for row in opinions(24)]
SINGLE = [(text,) for text in TEXTS]
PAIRS = [(text, other) for text, other in zip(TEXTS, reversed(TEXTS), strict=True)]


@pytest.fixture(scope="module")
def wordpiece():
    return train_wordpiece(TEXTS, 120, 64)


@pytest.fixture(scope="module")
def byte_level():
    return train_byte_level_bpe(TEXTS, 300, 64)


def victim(tokenizer, architecture="bert", max_length_tokens=64, batch_size=7, **settings):
    settings = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "num_labels": 3, **settings}
    return ClassifierVictim(text_model(classifier(architecture, **settings), tokenizer, max_length_tokens, batch_size))


def undecided(tokenizer, examples, **settings):
    """A victim whose mean logits over the examples are all the same, so that its answers can be turned."""
    tested = victim(tokenizer, **settings)
    with torch.no_grad():
        tested.text_model.model.classifier.bias -= torch.tensor(np.log(tested(examples)).mean(0), dtype=torch.float32)
    return dataclasses.replace(tested, cache=OutputCache())


def one_by_one(model, tokenizer, examples, **truncation):
    """By a forward for each example, without padding."""
    with torch.no_grad():
        logits = [model(**tokenizer(*example, return_tensors="pt", **truncation)).logits[0] for example in examples]
    return torch.stack(logits).softmax(-1).numpy()


@pytest.mark.parametrize("examples", [SINGLE, PAIRS, SINGLE[:1], [("",), ("cat",)]], ids=len)
@pytest.mark.parametrize("architecture", ["bert", "deberta-v2"])
def test_probabilities_are_those_of_the_model_on_each_example_alone(wordpiece, examples, architecture):
    tested = victim(wordpiece, architecture)
    expected = one_by_one(tested.text_model.model, wordpiece, examples)
    np.testing.assert_allclose(tested(examples), expected, atol=1e-6)


@pytest.mark.parametrize("pad_token_id", [None, "tokenizer"])
def test_decoders_with_and_without_padding(byte_level, pad_token_id):
    pad = byte_level.pad_token_id if pad_token_id else None
    tested = victim(byte_level, "gpt2", pad_token_id=pad)
    np.testing.assert_allclose(tested(SINGLE), one_by_one(tested.text_model.model, byte_level, SINGLE), atol=1e-6)


def test_batches_change_nothing(wordpiece):
    model = victim(wordpiece).text_model.model
    alone, together = (ClassifierVictim(text_model(model, wordpiece, 64, size))(PAIRS) for size in (1, 64))
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_dropout_is_off(wordpiece):
    tested = victim(wordpiece, dropout=0.5)
    expected = one_by_one(tested.text_model.model.eval(), wordpiece, SINGLE)
    np.testing.assert_allclose(
        ClassifierVictim(text_model(tested.text_model.model.train(), wordpiece))(SINGLE), expected, atol=1e-6
    )


def test_texts_of_the_same_tokens_are_run_once_and_batches_hold_similar_lengths(wordpiece):
    tested, shapes = victim(wordpiece, batch_size=2), []
    tested.text_model.model.bert.embeddings.word_embeddings.register_forward_pre_hook(
        lambda module, args: shapes.append(tuple(args[0].shape))
    )
    short, long = "cat", "the cat sees the dog"
    found = tested([(long,), (short,), (long,), (short.upper(),), (f" {short}",), ("dog",)])
    np.testing.assert_array_equal(found[1], found[4])
    lengths = [len(wordpiece(text)["input_ids"]) for text in (long, short)]
    assert [shape[1] for shape in shapes] == [max(lengths), min(lengths)]
    assert sum(shape[0] for shape in shapes) == len(
        {tuple(wordpiece(t)["input_ids"]) for t in (long, short, "CAT", "dog")}
    )


def test_long_texts_are_cut(wordpiece):
    tested = victim(wordpiece, max_length_tokens=10)
    long = [(f"{TEXTS[0]} {TEXTS[1]}", TEXTS[2])]
    expected = one_by_one(tested.text_model.model, wordpiece, long, truncation=True, max_length=10)
    np.testing.assert_allclose(tested(long), expected, atol=1e-6)


# -- what is read ------------------------------------------------------------------------------------------------------


def test_a_short_text_is_read_to_its_end(wordpiece):
    assert victim(wordpiece).characters_read((f"{TEXTS[0]}  \n",)) == (len(TEXTS[0]) + 3,)
    assert victim(wordpiece).characters_read(("", "?")) == (0, 1)


@pytest.mark.parametrize("tokenizer", ["wordpiece", "byte_level"])
@pytest.mark.parametrize("second", [None, "the dog likes a cat", " ".join(TEXTS[4:8])])
def test_what_is_not_read_never_matters(tokenizer, second, request):
    """Whatever stands after the characters read, the answer is the same."""
    tokenizer = request.getfixturevalue(tokenizer)
    tested = victim(tokenizer, max_length_tokens=16)
    first = " ".join(TEXTS[:4])
    example = (first,) if second is None else (first, second)
    read = tested.characters_read(example)
    assert read[0] < len(first)
    kept = tuple(text[:n] for text, n in zip(example, read, strict=True))
    for rest in ("", " river", " the gentle the gloomy"):
        changed = tuple(
            text + rest if n < len(whole) else text for text, n, whole in zip(kept, read, example, strict=True)
        )
        if sum(len(tokenizer.tokenize(text)) for text in changed) >= sum(
            len(tokenizer.tokenize(text)) for text in kept
        ):
            np.testing.assert_allclose(tested([changed]), tested([example]), atol=1e-6)


def test_ten_thousand_words(wordpiece):
    text = " ".join(["river"] * 10_000)
    tested = victim(wordpiece, max_length_tokens=64)
    (read,) = tested.characters_read((text,))
    tokens_of_a_word = len(wordpiece.tokenize("river"))
    # All but the two special tokens
    assert read == pytest.approx(62 / tokens_of_a_word * len("river "), abs=len("river "))
    search = TEXT_ATTACKS["deepwordbug"].search(SearchSettings(max_queries=80))
    label = int(tested([(text,)]).argmax())
    ((_, result),) = run_searches(tested, [search((text,), Misclassified(label), (read,))])
    assert result.num_words == 10_000
    assert result.num_queries <= 80
    assert all(change.place.word < 62 for change in result.changes)


# -- under attack ------------------------------------------------------------------------------------------------------


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize("attack", TEXT_ATTACKS)
def test_how_many_run_side_by_side_changes_nothing(wordpiece, attack):
    tested = undecided(wordpiece, SINGLE, batch_size=8)
    labels = tested(SINGLE).argmax(-1)
    words = ("dog", "gentle", "gloomy", "river")
    resources = Resources(
        gradients=ClassifierGradients(tested.text_model),
        masked_lm=same_predictions(words),
        unmasked_lm=same_predictions(words),
        wordnet=lambda word: words,
        word_vectors=SameWords(words),
    )
    search = TEXT_ATTACKS[attack].search(SearchSettings(), resources)

    def results(num_parallel):
        """What was found, and the probabilities, by number of the search."""
        fresh = dataclasses.replace(tested, cache=OutputCache())
        searches = [search(example, Misclassified(int(y))) for example, y in zip(SINGLE, labels, strict=True)]
        found = dict(sorted(run_searches(fresh, searches, num_parallel)))
        probs = np.array([(result.clean_outputs, result.adversarial_outputs) for result in found.values()])
        return [dataclasses.replace(r, clean_outputs=(), adversarial_outputs=()) for r in found.values()], probs

    alone, expected = results(1)
    assert "succeeded" in {result.outcome for result in alone}
    for num_parallel in (5, 24):
        together, probs = results(num_parallel)
        assert together == alone
        np.testing.assert_allclose(probs, expected, atol=1e-6)


def test_what_an_attack_reports_is_what_the_model_says(wordpiece):
    tested = undecided(wordpiece, PAIRS)
    search = TEXT_ATTACKS["textbugger"].search(SearchSettings(attacked_texts=(0, 1)))
    labels = tested(PAIRS).argmax(-1)
    searches = [search(example, Misclassified(int(y))) for example, y in zip(PAIRS, labels, strict=True)]
    outcomes = set()
    for number, result in run_searches(tested, searches):
        outcomes.add(result.outcome)
        expected = one_by_one(tested.text_model.model, wordpiece, [result.original, result.perturbed])
        np.testing.assert_allclose([result.clean_outputs, result.adversarial_outputs], expected, atol=1e-6)
        assert (result.outcome == "succeeded") == (expected[1].argmax() != labels[number])
    assert "succeeded" in outcomes


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [lambda v, e: v([e]), lambda v, e: v.characters_read(e)])
def test_text_that_is_not_unicode_is_refused(wordpiece, ask):
    with pytest.raises(InputError, match=r"expected text in UTF-8, .*udcff"):
        ask(victim(wordpiece), ("a", "b\udcff"))


def test_a_model_without_an_answer_is_refused(wordpiece):
    tested = victim(wordpiece)
    torch.nn.init.constant_(tested.text_model.model.classifier.bias, float("nan"))
    with pytest.raises(InputError, match="not finite"):
        tested(SINGLE)
