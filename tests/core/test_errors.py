import pytest

from alum.core.errors import InputError


def test_an_input_error_is_a_value_error_that_carries_its_message():
    with pytest.raises(ValueError, match="epsilon must be above 0"):
        raise InputError("epsilon must be above 0")
