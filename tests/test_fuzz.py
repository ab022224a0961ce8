"""Bad invocations of every command, made at random: each ends in a clear line and leaves nothing behind."""

import pytest

from alum.cli.names import COMMANDS
from fuzz.campaign import campaign
from fuzz.good import GOOD


def test_every_command_is_made_wrong():
    """But the one that prints a script."""
    assert {good.command for good in GOOD} == set(COMMANDS) - {"completion"}


@pytest.mark.parametrize("num_cases", [24, pytest.param(200, marks=pytest.mark.slow)])
def test_bad_invocations_end_in_a_clear_line(tmp_path, num_cases):
    faulty = [outcome for outcome in campaign(1, range(num_cases), 2, tmp_path) if outcome.faults]
    assert faulty == []
