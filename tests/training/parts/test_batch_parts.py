import pytest
import torch

from alum.training.parts.batch_parts import attacked_and_spared


def generators(seed=0):
    return tuple(torch.Generator().manual_seed(seed + n) for n in range(2))


def batch(count):
    return {"input_ids": torch.arange(count).unsqueeze(-1), "labels": torch.zeros(count), "scale": torch.tensor(2.0)}


def num_items(inputs):
    return torch.tensor(len(inputs["labels"]))


def split(count, fraction, share=None, noise=None):
    return attacked_and_spared(batch(count), fraction, (share, share), num_items, noise or generators())


def rows_of(part):
    return [] if part is None else part.inputs["input_ids"][:, 0].tolist()


def test_all_rows_are_attacked_without_a_draw():
    attacked, spared = attacked_and_spared(batch(3), 1.0, (0.5, 0.25), num_items, (None, None))
    assert (rows_of(attacked), attacked.share, attacked.adversarial_share, spared) == ([0, 1, 2], 0.5, 0.25, None)


@pytest.mark.parametrize("share", [None, 0.5])
def test_a_whole_number_of_rows_is_not_rounded(share):
    noise = generators()
    for _ in range(50):
        attacked, spared = split(8, 0.25, share, noise)
        assert sorted(rows_of(attacked) + rows_of(spared)) == list(range(8))
        whole = 1.0 if share is None else share
        assert len(rows_of(attacked)) == 2
        assert (attacked.share, spared.share) == (whole / 4, 3 * whole / 4)
        assert attacked.adversarial_share == whole
        assert attacked.inputs["scale"] == 2


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(("count", "fraction"), [(1, 0.25), (3, 0.25), (3, 0.9), (6, 0.4)])
def test_the_number_of_rows_and_their_weight_are_right_in_the_mean(count, fraction):
    """Every draw is the next whole number below or above; of 4000, means lie within four standard deviations."""
    noise, expected = generators(), fraction * count
    parts = [split(count, fraction, 1.0, noise)[0] for _ in range(4000)]
    numbers = torch.tensor([float(len(rows_of(part))) for part in parts])
    weights = torch.tensor([0.0 if part is None else part.adversarial_share for part in parts])
    assert set(numbers.tolist()) == {float(int(expected)), float(int(expected) + 1)}
    deviation = (expected % 1 * (1 - expected % 1) / 4000) ** 0.5
    assert abs(numbers.mean().item() - expected) < 4 * deviation
    assert abs(weights.mean().item() - 1) < 4 * deviation / expected
    torch.testing.assert_close(weights, numbers / expected)  # each attacked row weighs the same


def test_where_no_row_is_attacked_all_are_spared():
    noise = generators()
    parts = [split(1, 0.25, None, noise) for _ in range(50)]
    assert all((attacked is None) != (spared is None) for attacked, spared in parts)
    assert all(part.share is None for pair in parts for part in pair if part is not None)


def test_each_row_is_attacked_as_often():
    noise = generators()
    found = torch.zeros(5)
    for _ in range(2000):
        found[rows_of(split(5, 0.3, None, noise)[0])] += 1
    assert (found / 2000 - 0.3).abs().max() < 4 * (0.3 * 0.7 / 2000) ** 0.5


def test_the_number_follows_from_the_first_generator_alone():
    numbers = []
    for seed in (1, 2):
        noise = torch.Generator().manual_seed(0), torch.Generator().manual_seed(seed)
        numbers.append([len(rows_of(split(3, 0.5, None, noise)[0])) for _ in range(50)])
    assert numbers[0] == numbers[1]
