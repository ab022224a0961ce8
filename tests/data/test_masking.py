import math

import numpy as np
import pytest
import torch
from datasets import Dataset

from alum.data.masking import TrainingMasks, fixed_masks
from alum.data.tokenizer import train_wordpiece

CLS, SEP, MASK = 2, 3, 4
NUM_ROWS, NUM_WORDS, RATE = 200, 30, 0.15


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece(["a b c d e f g h i j k l m n o p"], 21, NUM_WORDS + 2)


@pytest.fixture(scope="module")
def sequences():
    words = np.random.default_rng(0).integers(MASK + 1, 21, (NUM_ROWS, NUM_WORDS))
    return Dataset.from_dict({"input_ids": [[CLS, *row, SEP] for row in words.tolist()]})


def as_arrays(masked):
    return (np.array(masked[name][:]) for name in ("input_ids", "labels"))


def test_masks_are_fixed_by_the_seed_whatever_was_drawn_before(sequences, tokenizer):
    first = fixed_masks(sequences, tokenizer, RATE)
    torch.rand(7)
    assert fixed_masks(sequences, tokenizer, RATE).to_list() == first.to_list()
    assert fixed_masks(sequences, tokenizer, RATE, seed=1).to_list() != first.to_list()


def test_drawing_masks_leaves_the_global_random_state_alone(sequences, tokenizer):
    state = torch.get_rng_state()
    fixed_masks(sequences, tokenizer, RATE)
    assert torch.equal(torch.get_rng_state(), state)


def test_labels_are_the_words_that_were_there_and_never_special_tokens(sequences, tokenizer):
    ids, labels = as_arrays(fixed_masks(sequences, tokenizer, RATE))
    original = np.array(sequences["input_ids"][:])
    predicted = labels != -100
    assert not predicted[:, [0, -1]].any()
    assert (labels[predicted] == original[predicted]).all()
    assert (ids[~predicted] == original[~predicted]).all()


def test_the_share_of_predicted_words_and_of_mask_tokens(sequences, tokenizer):
    ids, labels = as_arrays(fixed_masks(sequences, tokenizer, RATE))
    predicted = labels != -100
    count = NUM_ROWS * NUM_WORDS

    def near(share, of):  # four standard deviations of a binomial share
        return pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / of))

    assert predicted.sum() / count == near(RATE, count)
    assert (ids[predicted] == MASK).mean() == near(0.8, predicted.sum())


# -- masks in training -------------------------------------------------------------------------------------------------


def test_a_batch_is_masked_anew_in_each_epoch(sequences, tokenizer):
    masks, rows = TrainingMasks(tokenizer, RATE), sequences.to_list()
    first, second = (masks(rows, epoch=epoch)["labels"] for epoch in (0, 1))
    assert (first != second).any()


def test_batches_are_masked_each_in_its_own_way(sequences, tokenizer):
    masks, rows = TrainingMasks(tokenizer, RATE), sequences.to_list()
    first, second = ((masks(batch, epoch=0)["labels"] != -100) for batch in (rows[:100], rows[100:]))
    assert (first != second).any()


def test_the_same_batch_epoch_and_seed_give_the_same_masks_whatever_was_drawn_before(sequences, tokenizer):
    rows = sequences.to_list()
    first = TrainingMasks(tokenizer, RATE, seed=3)(rows, epoch=1)
    state = torch.get_rng_state()
    torch.rand(7)
    masks = TrainingMasks(tokenizer, RATE, seed=3)
    masks(rows[:5], epoch=1)
    second = masks(rows, epoch=1)
    assert all(torch.equal(first[name], second[name]) for name in ("input_ids", "labels"))
    other = TrainingMasks(tokenizer, RATE, seed=4)(rows, epoch=1)
    assert not torch.equal(first["labels"], other["labels"])
    torch.set_rng_state(state)
    masks(rows, epoch=1)
    assert torch.equal(torch.get_rng_state(), state)


def test_training_predicts_the_share_asked_for(sequences, tokenizer):
    predicted = TrainingMasks(tokenizer, RATE)(sequences.to_list(), epoch=0)["labels"] != -100
    count = NUM_ROWS * NUM_WORDS
    assert predicted.sum().item() / count == pytest.approx(RATE, abs=4 * math.sqrt(RATE * (1 - RATE) / count))
    assert not predicted[:, [0, -1]].any()
