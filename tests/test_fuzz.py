"""Bad invocations of every command, made at random: each ends in a clear line and leaves nothing behind."""

import pytest

from fuzz.campaign import campaign

NUM_CASES = 60


@pytest.mark.slow
def test_bad_invocations_end_in_a_clear_line(tmp_path):
    faulty = [outcome for outcome in campaign(1, range(NUM_CASES), 2, tmp_path) if outcome.faults]
    assert faulty == []
