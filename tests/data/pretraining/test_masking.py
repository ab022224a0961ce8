import gc
import math
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, load_from_disk
from scipy.stats import binomtest, chisquare
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from alum.core.errors import InputError
from alum.core.randomness.row_noise import RowNoise
from alum.data.pretraining.masking import MaskRate, TokenMasks, fixed_masks
from alum.data.pretraining.tokenizer import train_wordpiece
from places import DATA

CLS, SEP, MASK = 2, 3, 4
VOCABULARY = range(MASK + 1, 21)  # 16 letters
NUM_ROWS, NUM_WORDS, RATE = 200, 30, 0.15
NAMES = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "mask_token": "<mask>"}
CORPORA = DATA / "corpora"


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def near(share, count):  # four standard deviations of a binomial share
    return pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / count))


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece(["a b c d e f g h i j k l m n o p"], 21, NUM_WORDS + 2)


@pytest.fixture(scope="module")
def ids():
    words = np.random.default_rng(0).integers(VOCABULARY.start, VOCABULARY.stop, (NUM_ROWS, NUM_WORDS))
    return torch.tensor([[CLS, *row, SEP] for row in words.tolist()])


@pytest.fixture(scope="module")
def sequences(ids):
    return Dataset.from_dict({"input_ids": ids.tolist()})


# -- the rate ----------------------------------------------------------------------------------------------------------


def test_a_rate_moves_linearly_or_stays():
    rate = MaskRate.parse("0.05:0.25")
    assert [rate.at(progress) for progress in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([0.05, 0.10, 0.15, 0.25])
    assert MaskRate.parse("0.25:0.05").at(0.75) == pytest.approx(0.10)
    assert [MaskRate.parse("0.15").at(progress) for progress in (0.0, 0.3, 1.0)] == [0.15] * 3


@pytest.mark.parametrize("text", ["", "a sixth", "0.1:", "0.1:0.2:0.3", "0,15"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(InputError, match=r"such as 0\.15, or from 0\.05 to 0\.25 as 0\.05:0\.25, not '"):
        MaskRate.parse(text)


@pytest.mark.parametrize("text", ["0", "1", "15", "-0.1", "nan", "0.1:1", "0:0.1"])
def test_a_rate_lies_between_0_and_1(text):
    with pytest.raises(InputError, match="must lie between 0 and 1, not"):
        MaskRate.parse(text)


# -- tokens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("whole_words", [False, True])
def test_labels_are_the_tokens_that_were_there_and_never_special_ones(ids, tokenizer, whole_words):
    original = ids.clone()
    original[:, 7] = MASK  # that the text has brought along
    given = original.clone()
    masked, labels = TokenMasks(tokenizer, whole_words)(given, RATE, generator())
    predicted = labels != -100
    assert torch.equal(given, original)
    assert not predicted[:, [0, 7, -1]].any()
    assert torch.equal(labels[predicted], original[predicted])
    assert torch.equal(masked[~predicted], original[~predicted])


@pytest.mark.parametrize("rate", [0.05, RATE, 0.6])
@pytest.mark.parametrize("whole_words", [False, True])
def test_the_share_of_predicted_tokens(ids, tokenizer, rate, whole_words):
    _, labels = TokenMasks(tokenizer, whole_words)(ids, rate, generator())
    count = NUM_ROWS * NUM_WORDS
    assert (labels != -100).sum().item() / count == near(rate, count)


def test_of_ten_predicted_tokens_eight_are_masked_one_is_another_and_one_stays(ids, tokenizer):
    masked, labels = TokenMasks(tokenizer)(ids, 0.9, generator())
    masked, labels = masked[labels != -100], labels[labels != -100]
    by_itself = 0.1 / len(VOCABULARY)  # another token that happens to be the same
    shares = np.array([0.8, 0.1 - by_itself, 0.1 + by_itself])
    is_mask, is_same = (masked == MASK).sum().item(), (masked == labels).sum().item()
    counts = [is_mask, len(labels) - is_mask - is_same, is_same]
    assert chisquare(counts, shares * len(labels)).pvalue > 0.01


def test_other_tokens_are_any_but_special_ones_with_the_same_probability(tokenizer):
    ids = torch.full((100, 1000), VOCABULARY.start)
    masked, _ = TokenMasks(tokenizer)(ids, 0.9, generator())
    counts = Counter(masked[(masked != MASK) & (masked != ids)].tolist())
    assert set(counts) == set(VOCABULARY) - {VOCABULARY.start}
    assert chisquare(list(counts.values())).pvalue > 0.01


def test_by_the_noise_of_rows_as_many_are_predicted_and_other_tokens_are_as_likely(tokenizer):
    ids = torch.randint(VOCABULARY.start, VOCABULARY.stop, (100, 1000), generator=generator())
    masked, labels = TokenMasks(tokenizer)(ids, 0.9, RowNoise.of_tokens(ids, torch.ones_like(ids), seed=3))
    predicted = labels != -100
    assert predicted.sum().item() / ids.numel() == near(0.9, ids.numel())
    is_mask = (masked == MASK).sum().item()
    assert is_mask / predicted.sum().item() == near(0.8, predicted.sum().item())
    counts = Counter(masked[(masked != MASK) & (masked != ids)].tolist())
    assert set(counts) == set(VOCABULARY)
    assert chisquare(list(counts.values())).pvalue > 0.01


@pytest.mark.parametrize("whole_words", [False, True])
def test_masks_follow_from_the_generator_alone(ids, tokenizer, whole_words):
    masks = TokenMasks(tokenizer, whole_words)
    first = masks(ids, RATE, generator(1))
    state = torch.get_rng_state()
    masks(ids[:5], RATE, generator(2))
    again, other = (TokenMasks(tokenizer, whole_words)(ids, RATE, generator(seed)) for seed in (1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[1], other[1])
    assert torch.equal(torch.get_rng_state(), state)


def test_where_chance_chooses_no_token_any_one_of_the_batch_is_predicted(ids, tokenizer):
    masks, batch = TokenMasks(tokenizer), ids[:2, :6]  # ten letters and two [CLS]
    predicted = torch.stack([masks(batch, 1e-9, generator(seed))[1] != -100 for seed in range(1000)])
    assert (predicted.sum(dim=(1, 2)) == 1).all()
    counts = predicted.sum(dim=0)
    assert not counts[:, 0].any()
    assert chisquare(counts[:, 1:].flatten()).pvalue > 0.01


def test_nothing_is_predicted_where_all_tokens_are_special(tokenizer):
    ids = torch.tensor([[CLS, MASK, SEP]])
    masked, labels = TokenMasks(tokenizer)(ids, RATE, generator())
    assert torch.equal(masked, ids)
    assert (labels == -100).all()


@pytest.mark.parametrize("whole_words", [False, True])
def test_masks_are_drawn_on_the_device_of_the_ids_and_nothing_comes_back_from_it(ids, tokenizer, whole_words):
    # Of the meta device tensors have no values: to wait for one, or for how many there are, is an error.
    masked, labels = TokenMasks(tokenizer, whole_words)(ids.to("meta"), RATE, generator())
    assert masked.device == labels.device == torch.device("meta")
    assert masked.shape == labels.shape == ids.shape


def test_a_tokenizer_without_a_mask_token_is_refused():
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    with pytest.raises(InputError, match="has no mask token"):
        TokenMasks(tokenizer)


# -- whole words -------------------------------------------------------------------------------------------------------


def byte_level(texts, vocab_size):
    """A tokenizer as RoBERTa's; of 261 tokens it knows bytes only."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=[*NAMES.values()], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **NAMES)


def sentencepiece(texts, vocab_size):
    """A tokenizer as XLM-RoBERTa's."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size, special_tokens=[*NAMES.values()], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **NAMES)


def wordpiece(texts, vocab_size):
    return train_wordpiece(texts, vocab_size, 10**6)


def predicted_together(tokenizer, row, num_draws=40):
    """Which tokens are always predicted along with the token before them, and never without it.

    Two words agree in 40 draws at even chances once in 10 ** 12 times.
    """
    masks, ids = TokenMasks(tokenizer, whole_words=True), torch.tensor([row])
    predicted = torch.cat([masks(ids, 0.5, generator(seed))[1] != -100 for seed in range(num_draws)])
    return (predicted[:, 1:] == predicted[:, :-1]).all(dim=0).tolist()


def in_one_word(encoding):
    return [a == b is not None for a, b in pairwise(encoding.word_ids())]


@pytest.fixture(scope="module")
def prose():
    if not (CORPORA / "brown.txt").is_file():
        pytest.skip(f"no brown.txt at {CORPORA}: ALUM_DATA names the folder that holds corpora")
    return (CORPORA / "brown.txt").read_text(encoding="utf-8")[:200_000].split("\n")


@pytest.mark.data
@pytest.mark.parametrize(
    ("train", "vocab_size", "most_wrong"),
    [(wordpiece, 1000, 0.0), (wordpiece, 4000, 0.0), (byte_level, 1000, 0.002), (byte_level, 8000, 0.0),
     (sentencepiece, 1000, 0.0)],
)  # fmt: skip
def test_words_are_those_of_the_tokenizer(prose, train, vocab_size, most_wrong):
    tokenizer = train(prose, vocab_size)
    encoding = tokenizer(" ".join(prose), add_special_tokens=False)
    expected, found = in_one_word(encoding), predicted_together(tokenizer, encoding["input_ids"])
    assert sum(expected) > 0.05 * len(expected)
    # Of few byte-level pieces, ' and re are two, and so far words: they are one where they follow a word.
    assert sum(a != b for a, b in zip(expected, found, strict=True)) <= most_wrong * len(expected)


@pytest.mark.data
def test_words_are_predicted_at_the_rate_and_their_tokens_replaced_one_by_one(prose):
    tokenizer = wordpiece(prose, 500)
    encoding = tokenizer(" ".join(prose), add_special_tokens=False)
    words = np.array([-1 if word is None else word for word in encoding.word_ids()])
    first = np.flatnonzero(np.diff(words, prepend=-1))
    ids = torch.tensor([encoding["input_ids"]])
    masked, labels = (x[0].numpy() for x in TokenMasks(tokenizer, whole_words=True)(ids, RATE, generator()))
    predicted = labels != -100
    known = first[ids[0, first].numpy() != tokenizer.unk_token_id]
    assert binomtest(int(predicted[known].sum()), len(known), RATE).pvalue > 0.01
    # The first two tokens of each word that is predicted and has as many.
    two = first[:-1][(np.diff(first) > 1) & predicted[first[:-1]]]
    fates = [2 * int(masked[i] == MASK) + int(masked[i + 1] == MASK) for i in two]
    shares = np.array([0.2 * 0.2, 0.2 * 0.8, 0.8 * 0.2, 0.8 * 0.8])
    assert chisquare(np.bincount(fates, minlength=4), shares * len(two)).pvalue > 0.01


@pytest.mark.parametrize(
    "text",
    [
        "It's naïve, déjà vu: 25 °C… “Où?”",
        "Привет, мир — это тест! שלום עולם. مرحبا",
        "I don'tcha, we'll, they've 1st 42nd",
        "## a  title\n##b\tc",
    ],
)
def test_words_of_single_bytes_are_those_of_the_tokenizer(text):
    # A character's class has to be told from its first byte: e.g. â begins what is no letter, Ð what is one.
    tokenizer = byte_level(["a's", "a't", "a've", "a'll"], 267)
    encoding = tokenizer(text, add_special_tokens=False)
    assert predicted_together(tokenizer, encoding["input_ids"]) == in_one_word(encoding)


def test_a_piece_may_begin_inside_of_a_character():
    tokenizer = byte_level(["µeõe"], 262)
    encoding = tokenizer("µe-õe", add_special_tokens=False)
    assert encoding.tokens()[1] == "µe"  # the second byte of µ and of õ, which Â and Ã begin
    assert predicted_together(tokenizer, encoding["input_ids"]) == in_one_word(encoding)


def test_no_character_is_divided():
    # Whatever surrounds it, and where its first bytes are in the row before.
    rng, tokenizer = random.Random(0), byte_level([], 261)
    ranges = ((0x20, 0x7F), (0xA1, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000))
    characters = [chr(rng.randrange(*rng.choice(ranges))) for _ in range(3000)]
    row = tokenizer("".join(characters), add_special_tokens=False)["input_ids"]
    inside = [byte & 0xC0 == 0x80 for byte in "".join(characters).encode()]
    assert len(row) == len(inside)
    for cut in [i for i in range(len(row)) if inside[i]][:4]:
        together = predicted_together(tokenizer, [tokenizer.bos_token_id, *row[cut:]])[1:]
        assert all(a or not b for a, b in zip(together, inside[cut + 1 :], strict=True))


def test_special_tokens_and_the_beginning_of_a_row_end_words():
    tokenizer = train_wordpiece(["abc", "ab"], 12, 16)
    a, b, c = tokenizer.convert_tokens_to_ids(["a", "##b", "##c"])
    assert predicted_together(tokenizer, [a, b, c]) == [True, True]
    assert predicted_together(tokenizer, [b, c, SEP, b, c]) == [True, False, False, True]
    assert predicted_together(tokenizer, [a, MASK, b, a]) == [False, False, False]
    masks, rows = TokenMasks(tokenizer, whole_words=True), torch.tensor([[a, b], [c, c]])
    found = {tuple((masks(rows, 0.5, generator(seed))[1][:, 0] != -100).tolist()) for seed in range(40)}
    assert found == {(True, True), (True, False), (False, True)}  # one or the other or both, but never none


def test_tokens_added_to_a_vocabulary_are_words():
    tokenizer = byte_level([], 261)
    tokenizer.add_tokens(["foo"])
    encoding = tokenizer("afoobfoofoo", add_special_tokens=False)
    assert len(encoding["input_ids"]) == 5
    assert predicted_together(tokenizer, encoding["input_ids"]) == in_one_word(encoding) == [False] * 4


def test_tokens_that_are_not_made_of_bytes_are_words():
    vocabulary = {token: id for id, token in enumerate((*NAMES.values(), "Ġa", "b", "日"))}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE(vocabulary, [])), **NAMES)
    a, b, sun = tokenizer.convert_tokens_to_ids(["Ġa", "b", "日"])
    assert predicted_together(tokenizer, [a, b, sun, sun, b, b]) == [True, False, False, False, True]


def test_of_a_word_that_has_to_be_predicted_no_token_is_left_out():
    tokenizer = train_wordpiece(["abc", "ab"], 12, 16)
    a, b, c = tokenizer.convert_tokens_to_ids(["a", "##b", "##c"])
    masks, ids = TokenMasks(tokenizer, whole_words=True), torch.tensor([[CLS, a, b, c, a, b, SEP]])
    found = {tuple((masks(ids, 1e-9, generator(seed))[1][0] != -100).tolist()) for seed in range(40)}
    assert found == {(False, True, True, True, False, False, False), (False, False, False, False, True, True, False)}


def test_a_vocabulary_that_does_not_mark_words_is_refused():
    vocabulary = {token: id for id, token in enumerate((*NAMES.values(), "a", "b"))}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    with pytest.raises(InputError, match="none of whose tokens begins with ##, ▁ or Ġ"):
        TokenMasks(PreTrainedTokenizerFast(tokenizer_object=words, **NAMES), whole_words=True)


# -- fixed masks -------------------------------------------------------------------------------------------------------


def test_masks_are_fixed_by_the_seed_whatever_was_drawn_before(sequences, tokenizer):
    masks = TokenMasks(tokenizer)
    first = fixed_masks(sequences, masks, RATE)
    torch.rand(7)
    assert first.column_names == ["input_ids", "labels"]
    assert fixed_masks(sequences, masks, RATE).to_list() == first.to_list()
    assert fixed_masks(sequences, masks, RATE, seed=1).to_list() != first.to_list()


def test_a_row_has_the_same_masks_wherever_it_stands(sequences, tokenizer):
    masks = TokenMasks(tokenizer)
    rows = fixed_masks(sequences, masks, RATE).to_list()
    order = np.random.default_rng(1).permutation(NUM_ROWS)[:50].tolist()
    assert fixed_masks(sequences.select(order), masks, RATE).to_list() == [rows[i] for i in order]
    of_other_lengths = Dataset.from_dict({"n": [0, 1], "input_ids": [[CLS, 5, SEP], sequences[3]["input_ids"]]})
    assert fixed_masks(of_other_lengths, masks, RATE).to_list()[1] == rows[3]


def test_fixed_masks_have_the_share_asked_for_and_at_least_one_token_in_each_row(sequences, tokenizer):
    rate = 0.05  # at which a fifth of the rows would have none
    labels = np.array(fixed_masks(sequences, TokenMasks(tokenizer), rate)["labels"][:])
    predicted = labels != -100
    assert predicted.any(axis=1).all()
    none = (1 - rate) ** NUM_WORDS
    count = NUM_ROWS * NUM_WORDS
    assert predicted.mean() * (NUM_WORDS + 2) / NUM_WORDS == near(rate + none / NUM_WORDS, count)


def test_rows_on_disk_get_the_same_masks_and_nothing_is_left_beside_them(sequences, tokenizer, tmp_path):
    sequences.save_to_disk(tmp_path / "rows")
    files = sorted(tmp_path.rglob("*"))
    masked = fixed_masks(load_from_disk(tmp_path / "rows"), TokenMasks(tokenizer), RATE)
    assert masked.to_list() == fixed_masks(sequences, TokenMasks(tokenizer), RATE).to_list()
    assert sorted(tmp_path.rglob("*")) == files
    [temporary] = [Path(file["filename"]) for file in masked.cache_files]
    assert temporary.is_file()
    del masked
    gc.collect()
    assert not temporary.parent.exists()


def test_drawing_masks_leaves_the_global_random_states_alone(sequences, tokenizer):
    states = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    fixed_masks(sequences, TokenMasks(tokenizer), RATE)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (str(np.random.get_state()), random.getstate()) == states[1:]
