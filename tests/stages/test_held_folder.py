import os
import signal
import time
from pathlib import Path

import pytest

from alum.core.errors import InputError
from alum.stages.held_folder import held
from fresh_processes import fresh_processes


def hold(folder, is_held):
    with held(folder):
        is_held.set()
        time.sleep(60)


@pytest.fixture
def holder(tmp_path):
    """A process that holds the folder ``run``."""
    context = fresh_processes()
    is_held = context.Event()
    process = context.Process(target=hold, args=(str(tmp_path / "run"), is_held))
    process.start()
    assert is_held.wait(500)
    yield process
    process.kill()
    process.join()


def test_another_process_is_named_and_nothing_is_changed(holder, tmp_path):
    told = rf"run is being written to by process {holder.pid} on .* since 20\d\d-"
    with pytest.raises(InputError, match=told), held(tmp_path / "run"):
        pytest.fail("both hold it")
    assert not (tmp_path / "run").exists()


def test_a_folder_has_one_lock_by_whatever_name(holder, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to("run")
    with pytest.raises(InputError, match="link is being written to"), held(tmp_path / "link"):
        pytest.fail("both hold it")
    with held(tmp_path / "other"):
        pass


def test_a_folder_in_which_nothing_came_to_lie_is_taken_away(tmp_path):
    (tmp_path / "there").mkdir()
    for name in ("new", "above/new", "there"):
        with held(tmp_path / name):
            (tmp_path / name).mkdir(exist_ok=True)
    with held(tmp_path / "kept"):
        (tmp_path / "kept").mkdir()
        (tmp_path / "kept" / "model").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept", "there"]


def test_a_killed_process_holds_nothing(holder, tmp_path):
    holder.kill()
    holder.join()
    assert (tmp_path / ".run.lock").exists()
    with held(tmp_path / "run"):
        pass
    assert not (tmp_path / ".run.lock").exists()


def hold_with_a_child(folder, pids):
    with held(folder):
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        pids.put(pid)
        time.sleep(60)


def test_children_that_outlive_a_killed_process_hold_nothing(tmp_path):
    """As processes that load data do, for seconds."""
    context = fresh_processes()
    pids = context.SimpleQueue()
    process = context.Process(target=hold_with_a_child, args=(str(tmp_path / "run"), pids))
    process.start()
    child = pids.get()
    try:
        process.kill()
        process.join()
        os.kill(child, 0)  # is there
        with held(tmp_path / "run"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_it_is_held_where_the_folder_is_moved_aside(tmp_path):
    (tmp_path / "run").mkdir()
    with held(tmp_path / "run"):
        (tmp_path / "run").rename(tmp_path / "run.old-1")
        (tmp_path / "run").mkdir()
        with pytest.raises(InputError, match=f"by process {os.getpid()}"), held(tmp_path / "run"):
            pytest.fail("both hold it")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run.old-1"]


def test_folders_above_it_are_left_where_they_are_used(tmp_path):
    with held(tmp_path / "a/b/run"):
        pass
    assert not (tmp_path / "a").exists()
    with held(tmp_path / "a/b/run"):
        (tmp_path / "a/b/run").mkdir()
        (tmp_path / "a/b/run/model").touch()
    assert (tmp_path / "a/b/run/model").exists()


@pytest.mark.parametrize("name", ["", "/", "x" * 300, "a\0b"])
def test_what_cannot_be_a_folder_is_left_to_who_opens_it(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with held(name or None):
        pass


def add_twenty(folder):
    """Adds 1 to a number twenty times, each a while after it was read."""
    number, left = Path(folder).parent / "number", 20
    while left:
        try:
            with held(folder):
                value = int(number.read_text())
                time.sleep(0.002)
                number.write_text(str(value + 1))
                left -= 1
        except InputError:
            time.sleep(0.001)


def test_many_in_turn_exclude_each_other(tmp_path):
    (tmp_path / "number").write_text("0")
    processes = [fresh_processes().Process(target=add_twenty, args=(str(tmp_path / "run"),)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(500)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "number").read_text() == "60"


@pytest.mark.parametrize("name", ["/proc/nothing", "/proc/self/mem", os.devnull])
def test_where_no_file_can_be_made_nothing_is_held(name):
    with held(name), held(name):
        pass
    assert not Path(name).with_name(f".{Path(name).name}.lock").exists()
