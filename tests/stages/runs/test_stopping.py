import os
import signal
import subprocess
import sys
import threading

import pytest

from alum.stages.runs.stopping import Terminated, terminated_by_exception


def test_sigterm_raises_what_ctrl_c_raises():
    with pytest.raises(KeyboardInterrupt) as stop, terminated_by_exception():
        os.kill(os.getpid(), signal.SIGTERM)
    assert isinstance(stop.value, Terminated)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_second_one_ends_the_process():
    script = """
import os, signal
from alum.stages.runs.stopping import Terminated, terminated_by_exception
with terminated_by_exception():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except Terminated:
        os.kill(os.getpid(), signal.SIGTERM)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGTERM


def test_what_others_have_set_and_other_threads_are_left_alone():
    def entered():
        with terminated_by_exception():
            found.append(signal.getsignal(signal.SIGTERM))

    found = []
    thread = threading.Thread(target=entered)
    thread.start()
    thread.join()
    former = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        entered()
    finally:
        signal.signal(signal.SIGTERM, former)
    assert found == [signal.SIG_DFL, signal.SIG_IGN]
