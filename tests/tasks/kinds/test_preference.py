import math

import pytest
import torch

from alum.tasks.kinds.preference import PREFERENCE


def test_a_preference_is_bernoulli_in_the_difference_of_rewards():
    clean = PREFERENCE.compared({"logits": torch.tensor([[2.0], [0.0], [1.0], [3.0]])}, {})
    assert clean.tolist() == [[1.0], [-3.0]]
    moved = PREFERENCE.compared({"logits": torch.tensor([[1.0], [0.0], [1.0], [3.0]])}, {})
    probabilities = [1 / (1 + math.exp(-1.0)), 0.5]
    # Σ (p - q)(log p - log q) over yes and no is (p - q) times the difference of the log odds.
    expected = (probabilities[0] - probabilities[1]) * 1.0
    assert PREFERENCE.distance(moved, clean).tolist() == pytest.approx([expected, 0.0])


def test_adding_to_all_rewards_changes_nothing():
    rewards = torch.randn(6, 1)
    clean, moved = (PREFERENCE.compared({"logits": rewards + shift}, {}) for shift in (0.0, 5.0))
    torch.testing.assert_close(PREFERENCE.distance(moved, clean), torch.zeros(3), rtol=0, atol=1e-6)
