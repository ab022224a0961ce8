"""Figures against targets, and records that several benchmarks share."""

import json

from benchmarks import (
    records,
)


def test_targets_are_reached_or_missed():
    rows = [
        {"contender": "theirs", "seconds": 2.0, "peak_bytes": 100, "gain": 2.0},
        {"contender": "ours", "seconds": 1.0, "peak_bytes": 101, "gain": 80.0},
    ]
    targets = [
        records.Target("small", "ours", "seconds", "theirs", 0.5),
        records.Target("small", "ours", "peak_bytes", "theirs", 1.0),
        records.Target("small", "ours", "gain", "theirs", 50.0, "at least"),
        records.Target("small", "no package", "seconds", "theirs", 0.5),
        records.Target("not measured", "ours", "seconds", "theirs", 0.5),
    ]
    found = records.outcomes(targets, {"small": rows})
    assert [(each["figure"], each["share"], each["reached"]) for each in found] == [
        ("seconds", 0.5, True),
        ("peak_bytes", 1.01, False),
        ("gain", 40.0, False),
    ]


def test_parts_of_a_record_are_measured_one_by_one(tmp_path):
    file = tmp_path / "new" / "cost.json"
    records.write_part(file.parent, "one", {"seconds": 1})
    records.write_part(file.parent, "two", {"seconds": 2})
    records.write_part(file.parent, "one", {"seconds": 3})
    assert json.loads(file.read_text()) == {"one": {"seconds": 3}, "two": {"seconds": 2}}
