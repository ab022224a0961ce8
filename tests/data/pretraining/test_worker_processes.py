import gc
import os
import signal
import subprocess
import sys
import time

import pytest

from alum.core.errors import InputError
from alum.data.pretraining.worker_processes import side_by_side


def tagged(numbers):
    return ((number, -number) for number in numbers)


def slow_first(number):
    time.sleep(0.2 if number == 0 else 0)
    return number * number, os.getpid()


@pytest.mark.parametrize("num_processes", [1, 2, 3])
def test_results_come_in_order_with_their_tags_from_so_many_processes(num_processes):
    found = list(side_by_side(slow_first, tagged(range(30)), num_processes))
    assert [(result, tag) for (result, _), tag in found] == [(number * number, -number) for number in range(30)]
    pids = {pid for (_, pid), _ in found}
    assert 1 <= len(pids) <= num_processes
    assert (os.getpid() in pids) == (num_processes == 1)


@pytest.mark.parametrize("num_processes", [1, 2])
def test_items_are_read_a_few_ahead_alone(num_processes):
    read = []

    def endless():
        while True:
            read.append(len(read))
            yield read[-1], None

    results = side_by_side(slow_first, endless(), num_processes)
    for _ in range(10):
        next(results)
    results.close()
    assert len(read) <= 10 + 3 * num_processes


def frozen(number):
    return gc.get_freeze_count()


def test_collections_in_forked_processes_leave_out_what_is_shared():
    """A collection writes to whatever it looks at, and so copies the pages that hold it."""
    before = len(gc.get_objects())
    assert all(count > before / 2 for count, _ in side_by_side(frozen, tagged(range(4)), 2))


def killed_at_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_killed_process_is_told():
    with pytest.raises(InputError, match=r"one of 2 processes .* was killed.*--preprocessing_num_workers"):
        list(side_by_side(killed_at_three, tagged(range(50)), 2))


def refused(number):
    raise InputError(f"no {number}")


@pytest.mark.parametrize("num_processes", [1, 2])
def test_errors_are_those_of_the_function(num_processes):
    with pytest.raises(InputError, match="no 0"):
        list(side_by_side(refused, tagged(range(5)), num_processes))


SCRIPT = """
import os, time
from alum.data.pretraining.worker_processes import side_by_side

def work(number):
    os.write(1, b"%d\\n" % os.getpid())  # at once: print may write the end of a line after another's line
    time.sleep(0.05)

for _ in side_by_side(work, ((number, None) for number in range(10_000)), 2):
    pass
"""


def test_processes_end_with_the_one_that_reads_their_results():
    parent = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True)
    workers = set()
    while len(workers) < 2:
        workers.add(int(parent.stdout.readline()))
    parent.kill()
    parent.stdout.read()  # which ends when no process has the other end any more
    parent.wait()
