from transformers.trainer_pt_utils import LengthGroupedSampler

from alum.training.parts.sampling import ResumableLengthGroups

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
