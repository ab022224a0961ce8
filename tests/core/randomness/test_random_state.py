import contextlib

import torch

from alum.core.randomness.random_state import keeping_random_state, random_state, set_random_state

CPU = torch.device("cpu")


def test_a_state_that_is_set_again_draws_the_same_again():
    state = random_state(CPU)
    first = torch.rand(5)
    set_random_state(CPU, state)
    torch.testing.assert_close(torch.rand(5), first, rtol=0, atol=0)


def test_what_is_drawn_inside_changes_nothing_outside():
    torch.manual_seed(0)
    expected = torch.rand(5)
    torch.manual_seed(0)
    with contextlib.suppress(RuntimeError), keeping_random_state(CPU):
        torch.rand(100)
        raise RuntimeError
    torch.testing.assert_close(torch.rand(5), expected, rtol=0, atol=0)
