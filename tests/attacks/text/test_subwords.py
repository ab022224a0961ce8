import itertools
import json
import math
import random
from collections import Counter

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from alum.attacks.text.subwords import (
    SMOOTHING,
    Resegmentation,
    by_unigrams,
    without_some_matches,
    without_some_merges,
)
from alum.core.errors import InputError
from alum.models.tokenization import Tokenization
from tiny_tokenizers import TOKENIZERS, byte_level_bpe, wordpiece

TEXTS = ["the walking dead are walking again", "talking of walkers and talkers, again and again"]
NUM = 4000


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request):
    return TOKENIZERS[request.param](TEXTS)


def model_of(tokenizer):
    return json.loads(tokenizer.backend_tokenizer.to_str())["model"]


def draws(segmentation, word, num=NUM):
    rng = random.Random(0)
    return Counter(tuple(segmentation(word, rng)) for _ in range(num))


def check_shares(found, expected, num=NUM):
    assert set(found) <= set(expected)
    for parts, share in expected.items():
        assert abs(found[parts] / num - share) < 5 * math.sqrt(share * (1 - share) / num) + 1e-9, parts


# -- how segmentations are drawn ---------------------------------------------------------------------------------------


def test_bpe_dropout_is_that_of_the_tokenizers_library():
    model, word, num = model_of(byte_level_bpe(TEXTS)), "Ġwalking", 20_000
    theirs = models.BPE(vocab=model["vocab"], merges=[tuple(merge) for merge in model["merges"]], dropout=0.3)
    expected = Counter(tuple(token.value for token in theirs.tokenize(word)) for _ in range(num))
    found = draws(without_some_merges(model, 0.3), word, num)
    assert len(expected) > 10
    for parts in expected.keys() | found.keys():
        mean = (expected[parts] + found[parts]) / 2
        assert abs(expected[parts] - found[parts]) < 5 * math.sqrt(2 * mean) + 1, parts


def test_bpe_without_dropout_is_the_tokenizers_own_and_with_all_of_it_characters():
    tokenizer = byte_level_bpe(TEXTS)
    model = model_of(tokenizer)
    for word in ("Ġwalking", "Ġagain", "Ġdead", "xyz"):
        own = [token.value for token in tokenizer.backend_tokenizer.model.tokenize(word)]
        assert without_some_merges(model, 0.0)(word, random.Random(0)) == own
        assert without_some_merges(model, 1.0)(word, random.Random(0)) == list(word)


def test_matches_are_left_out_with_the_probability_given():
    model = {"vocab": dict.fromkeys(("a", "##a", "##b", "ab", "##ba", "aba"), 0), "continuing_subword_prefix": "##"}
    p = 0.25  # worked out by hand, from the longest match on
    expected = {
        ("aba",): 1 - p,
        ("ab", "##a"): p * (1 - p),
        ("a", "##ba"): p * p * (1 - p),
        ("a", "##b", "##a"): p**3,
    }
    check_shares(draws(without_some_matches(model, p), "aba"), expected)


def test_wordpiece_without_dropout_is_the_tokenizers_own():
    tokenizer = wordpiece(TEXTS)
    for word in ("walking", "talkers", "again", "gnaw"):
        own = [token.value for token in tokenizer.backend_tokenizer.model.tokenize(word)]
        found = without_some_matches(model_of(tokenizer), 0.0)(word, random.Random(0))
        assert (found or ["[UNK]"]) == own


def test_unigram_segmentations_have_their_shares_of_the_smoothed_probability():
    scores = {"a": -2.0, "b": -3.0, "ab": -2.5, "ba": -4.0, "aba": -6.0}
    weights = {}
    for cuts in itertools.product((False, True), repeat=2):
        bounds = [0, *(place for place, cut in enumerate(cuts, 1) if cut), 3]
        parts = tuple("aba"[start:end] for start, end in itertools.pairwise(bounds))
        if all(part in scores for part in parts):
            weights[parts] = math.exp(SMOOTHING * sum(scores[part] for part in parts))
    expected = {parts: weight / sum(weights.values()) for parts, weight in weights.items()}
    assert len(expected) == 4
    check_shares(draws(by_unigrams({"vocab": list(scores.items())}), "aba"), expected)


def test_words_of_unknown_characters_have_no_other_segmentation(tokenizer):
    resegmentation = Resegmentation(Tokenization(tokenizer, 64))
    ids = tokenizer("☃☃☃ again")["input_ids"]
    for seed in range(20):
        found = resegmentation({"input_ids": ids}, 9, random.Random(seed))["input_ids"]
        unknown = tokenizer.unk_token_id
        assert unknown is None or found.count(unknown) == ids.count(unknown)


# -- texts -------------------------------------------------------------------------------------------------------------


def test_other_tokens_are_of_the_same_text(tokenizer):
    resegmentation, rng = Resegmentation(Tokenization(tokenizer, 64)), random.Random(0)
    encoded = tokenizer(TEXTS[1])
    plain = tokenizer.decode(encoded["input_ids"])
    for _ in range(50):
        found = resegmentation(dict(encoded), 3, rng)
        assert tokenizer.decode(found["input_ids"]) == plain
        assert found["input_ids"] != encoded["input_ids"]
        assert {len(values) for values in found.values()} == {len(found["input_ids"])}


def with_byte_fallback(kind):
    """As Llama-2's tokenizer: a character without a subword becomes the tokens of its bytes, <0x00> to <0xFF>."""
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    characters = sorted(set("▁walking<0xA>"))
    merges = [("w", "a"), ("l", "k"), ("wa", "lk"), ("i", "n"), ("in", "g"), ("walk", "ing"), ("▁", "walking")]
    tokens = ["<unk>", "</s>", *bytes_, *characters, *("".join(merge) for merge in merges)]
    if kind == "BPE":
        vocab = {token: id for id, token in enumerate(tokens)}
        model = models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    else:
        model = models.Unigram([(token, -2.0) for token in tokens], unk_id=0, byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")


@pytest.mark.parametrize("kind", ["BPE", "Unigram"])
def test_bytes_of_characters_that_no_subword_has_stay(kind):
    tokenizer = with_byte_fallback(kind)
    resegmentation, rng = Resegmentation(Tokenization(tokenizer, 64)), random.Random(0)
    encoded = tokenizer("walking\n walk☃ing ☃ walking")
    tokens = tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    assert [token for token in tokens if token.startswith("<")] == ["<0x0A>", *("<0xE2>", "<0x98>", "<0x83>") * 2]
    seen = set()
    for _ in range(50):
        found = resegmentation(dict(encoded), 9, rng)["input_ids"]
        assert tokenizer.decode(found) == tokenizer.decode(encoded["input_ids"]) == " walking\n walk☃ing ☃ walking"
        seen.add(tuple(found))
    assert len(seen) > 1  # words beside them are still drawn


def test_a_text_that_spells_out_a_byte_does_not_become_that_byte():
    """A unigram model has tokens of bytes among the pieces that it draws of."""
    tokenizer = with_byte_fallback("Unigram")
    ids = tokenizer.convert_tokens_to_ids(["▁", *"<0xAA>"])
    resegmentation, rng = Resegmentation(Tokenization(tokenizer, 64)), random.Random(0)
    for _ in range(50):
        assert tokenizer.decode(resegmentation({"input_ids": ids}, 1, rng)["input_ids"]) == " <0xAA>"


@pytest.mark.parametrize("num_words", [0, 1, 2, 4])
def test_as_many_words_are_cut_anew_as_asked_for(num_words):
    tokenizer = wordpiece(TEXTS)
    text = "walking talkers again walkers"
    encoded = tokenizer(text)
    own = [tokenizer(word, add_special_tokens=False)["input_ids"] for word in text.split()]
    for seed in range(30):
        ids = Resegmentation(Tokenization(tokenizer, 64))(dict(encoded), num_words, random.Random(seed))["input_ids"]
        tokens = tokenizer.convert_ids_to_tokens(ids[1:-1])
        starts = [place for place, token in enumerate(tokens) if not token.startswith("##")] + [len(tokens)]
        words = [ids[1:-1][start:end] for start, end in itertools.pairwise(starts)]
        assert sum(new != old for new, old in zip(words, own, strict=True)) <= num_words
        if num_words == 1:
            assert sum(new != old for new, old in zip(words, own, strict=True)) == 1


def test_new_tokens_have_the_other_values_of_their_word():
    tokenizer = wordpiece(TEXTS)
    encoded = tokenizer(TEXTS[0], TEXTS[1])
    found = Resegmentation(Tokenization(tokenizer, 64))(dict(encoded), 5, random.Random(0))
    second = found["input_ids"].index(tokenizer.sep_token_id) + 1
    assert found["token_type_ids"] == [0] * second + [1] * (len(found["input_ids"]) - second)
    assert set(found["attention_mask"]) == {1}


def test_no_text_gets_longer_than_a_model_reads(tokenizer):
    encoded = tokenizer(TEXTS[1])
    length = len(encoded["input_ids"])
    for room in (0, 1, 3):
        resegmentation = Resegmentation(Tokenization(tokenizer, length + room))
        for seed in range(30):
            assert len(resegmentation(dict(encoded), 9, random.Random(seed))["input_ids"]) <= length + room


def test_rows_of_several_sequences_are_refused():
    with pytest.raises(InputError, match="rows of one sequence, and these have several"):
        Resegmentation(Tokenization(wordpiece(TEXTS), 64))({"input_ids": [[2, 5, 3], [2, 6, 3]]}, 1, random.Random(0))


def test_other_kinds_of_tokenizers_are_refused():
    by_words = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    by_words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=by_words, unk_token="[UNK]")
    with pytest.raises(InputError, match=r"model of the type WordLevel.*leave the changes 'subwords' out"):
        Resegmentation(Tokenization(tokenizer, 8))
    ends = Tokenizer(models.BPE({"a</w>": 0, "a": 1}, [], end_of_word_suffix="</w>"))
    with pytest.raises(InputError, match="marks subwords in a way of its own"):
        Resegmentation(Tokenization(PreTrainedTokenizerFast(tokenizer_object=ends), 8))
