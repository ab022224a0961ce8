import tracemalloc
from collections import Counter
from itertools import islice, pairwise

import numpy as np
import pytest
from scipy import stats
from transformers.trainer_pt_utils import LengthGroupedSampler

from alum.training.parts import sampling
from alum.training.parts.sampling import ResumableLengthGroups, ShuffledRows

LENGTHS = [1 + (7 * i) % 50 for i in range(1000)]


def order(epoch=0, seed=0):
    return list(ResumableLengthGroups(LengthGroupedSampler(8, lengths=LENGTHS), seed, lambda: epoch))


def test_every_row_is_taken_once():
    assert sorted(order()) == list(range(1000))


def test_seed_and_epoch_fix_the_order():
    assert order() == order()
    assert order() != order(epoch=1)
    assert order() != order(seed=9)


def test_rows_of_a_batch_are_of_like_length():
    found = order()
    batches = [[LENGTHS[i] for i in found[start : start + 8]] for start in range(8, 1000, 8)]
    # By chance the longest and the shortest of eight are about 39 apart.
    assert sum(max(batch) - min(batch) for batch in batches) / len(batches) < 3


# -- all rows, shuffled ------------------------------------------------------------------------------------------------


def shuffled(num_rows, seed=0, epoch=0):
    return list(ShuffledRows(num_rows, seed, lambda: epoch))


@pytest.mark.parametrize("num_rows", [1, 2, 3, 4, 5, 16, 17, 1000, 65_536, 65_537, 200_000])
def test_shuffled_rows_are_all_there_once(num_rows):
    assert sorted(shuffled(num_rows)) == list(range(num_rows))


def test_seed_and_epoch_fix_the_order_of_shuffled_rows(monkeypatch):
    found = shuffled(1000)
    assert found == shuffled(1000)
    assert len({tuple(shuffled(1000, seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9
    monkeypatch.setattr(sampling, "_ROWS_AT_A_TIME", 7)
    assert shuffled(1000) == found


def test_the_orders_of_few_rows_come_equally_often():
    """All 24 orders of four rows, over seeds: chi-square, of which the 99.9th percentile is not reached."""
    counts = Counter(tuple(shuffled(4, seed)) for seed in range(4800))
    statistic = sum((counts[order] - 200) ** 2 / 200 for order in counts) + 200 * (24 - len(counts))
    assert statistic < stats.chi2.ppf(0.999, 23)


def test_shuffled_rows_are_as_far_from_their_places_as_random_ones_and_follow_no_other():
    """The correlation of row and place, and of a row with the next, has the standard deviation 1/√n by chance."""
    num_rows = 40_000
    for seed in range(3):
        order = np.array(shuffled(num_rows, seed))
        for other in (np.arange(num_rows), np.roll(order, 1), np.roll(order, 2)):
            assert abs(np.corrcoef(order, other)[0, 1]) < 4 / num_rows**0.5
        neighbours = sum(abs(first - second) == 1 for first, second in pairwise(order))
        assert neighbours < 12  # 2 are expected, by a Poisson distribution


def test_the_memory_of_shuffled_rows_does_not_grow_with_their_number():
    peaks = []
    for num_rows in (10**6, 10**12):
        tracemalloc.start()
        assert len(set(islice(ShuffledRows(num_rows, 0, lambda: 0), 200_000))) == 200_000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
