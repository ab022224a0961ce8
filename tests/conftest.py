"""Set before any test module imports a library: no network, a cache of their own, and one thread for tiny models."""

import atexit
import gc
import os
import random
import shutil
import signal
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
# Of commands that tests start, too: the workers have all cores at work, and tiny models gain nothing from a second.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Where a test asks for more, they would spin, ten times as long, where another process has a core.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background of a script; tests send it
    signal.signal(signal.SIGINT, signal.default_int_handler)
if "ALUM_CACHE" not in os.environ:
    os.environ["ALUM_CACHE"] = tempfile.mkdtemp(prefix="alum-cache-")
    atexit.register(shutil.rmtree, os.environ["ALUM_CACHE"], ignore_errors=True)
os.environ["HF_MODULES_CACHE"] = tempfile.mkdtemp(prefix="transformers-modules-")  # code of checkpoints is copied there
atexit.register(shutil.rmtree, os.environ["HF_MODULES_CACHE"], ignore_errors=True)

from collections import defaultdict

import pytest
import torch

from places import TESTS

torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)  # before marks choose among the tests
def pytest_collection_modifyitems(items):
    """Whole commands and campaigns come first: they take longest, and the workers share what is quick at the end.

    Of the cases of a test with ``quick_cases(number)`` so many are quick, drawn by its name; the others are slow.
    """
    items.sort(key=lambda item: item.path.parent != TESTS)  # stable
    cases = defaultdict(list)
    for item in items:
        if item.get_closest_marker("quick_cases"):
            cases[item.path, item.originalname].append(item)
    for of_test in cases.values():
        (number,) = of_test[0].get_closest_marker("quick_cases").args
        others = [item for item in of_test if not item.get_closest_marker("slow")]
        rng = random.Random(of_test[0].originalname)
        for item in rng.sample(others, max(len(others) - number, 0)):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish():
    gc.collect()
    gc.freeze()  # the Trainer collects garbage after training: looking through all modules and tests took longer
