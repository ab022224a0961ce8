"""Runs with checkpoints, and what is done to their files."""

from tiny_runs import config


def saving(folder, **settings):
    return config(folder, **{"max_steps": 5, "save_strategy": "steps", "save_steps": 2, **settings})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1])
