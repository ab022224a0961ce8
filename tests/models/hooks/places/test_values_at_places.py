import pytest
import torch

from alum.core.errors import InputError
from alum.models.hooks.places.values_at_places import ValuesAtPlaces


def test_rows_of_an_example_stand_beside_each_other():
    values = ValuesAtPlaces(2)
    first, second = torch.randn(3, 4, 5), torch.randn(3, 4, 5)
    values.seen(0, first)
    values.seen(1, second)
    torch.testing.assert_close(values.x.detach(), torch.stack([first, second], 1).flatten(0, 1))
    torch.testing.assert_close(values.at(1, values.x).detach(), second)


def test_the_gradient_at_each_place_is_that_of_what_the_pass_goes_on_with():
    values, weight = ValuesAtPlaces(2), torch.randn(2, 3, 4, requires_grad=True)
    first = values.seen(0, weight.sin())
    second = values.seen(1, first.exp())
    second.square().sum().backward()
    at_first, at_second = values.x.grad.view(2, 2, 3, 4).unbind(1)
    # d/da (exp a)² = 2 exp 2a, d/db b² = 2b
    torch.testing.assert_close(at_first, 2 * (2 * weight.detach().sin()).exp())
    torch.testing.assert_close(at_second, 2 * weight.detach().sin().exp())
    torch.testing.assert_close(weight.grad, at_first * weight.detach().cos())


def test_places_of_other_widths_are_refused():
    values = ValuesAtPlaces(2)
    values.seen(0, torch.zeros(2, 3, 4))
    with pytest.raises(InputError, match=r"\[2, 3, 4\] and \[2, 3, 8\]. Choose one layer"):
        values.seen(1, torch.zeros(2, 3, 8))
