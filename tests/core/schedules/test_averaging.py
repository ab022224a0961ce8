import pytest

from alum.core.schedules.averaging import momentum_at


@pytest.mark.parametrize(
    ("progress", "momentum", "expected"),
    [(0.01, 0.999, 0.99), (0.1, 0.999, 0.99), (0.11, 0.999, 0.999), (1.0, 0.999, 0.999), (0.05, 0.5, 0.5)],
)
def test_the_first_tenth_forgets_sooner(progress, momentum, expected):
    assert momentum_at(progress, momentum) == expected
