import errno
import importlib.metadata
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alum.core.errors import InputError
from alum.stages.runs.environment import environment
from alum.stages.runs.folder import (
    check_run_folder,
    open_run_folder,
    opened_or_resumed,
    opened_run_folder,
    write_json,
    write_settings,
)
from alum.training.checkpoint_files import write_manifest
from fresh_processes import fresh_processes
from tiny_stages import pretrain_config, record
from tiny_texts import tree


@pytest.fixture
def former(tmp_path):
    """A folder that holds a run."""
    folder = tmp_path / "run"
    (folder / "checkpoint-3").mkdir(parents=True)
    (folder / "results.json").write_text("{}")
    (folder / "checkpoint-3" / "trainer_state.json").write_text("{}")
    write_manifest(folder / "checkpoint-3")
    return folder


def add_checkpoint(folder, step):
    (folder / f"checkpoint-{step}").mkdir()
    (folder / f"checkpoint-{step}" / "trainer_state.json").write_text(f'{{"global_step": {step}}}')
    write_manifest(folder / f"checkpoint-{step}")
    return folder / f"checkpoint-{step}"


def test_a_new_folder_is_made_with_those_above_it(tmp_path):
    folder, checkpoint = open_run_folder(str(tmp_path / "a" / "b"))
    assert folder.is_dir()
    assert checkpoint is None


def fail_in(folder, has_begun=False, overwrite=False, resume_from=None, also_writes=()):
    """A run that writes its settings and a log and then fails."""

    def run():
        with opened_run_folder(str(folder), overwrite, resume_from, lambda: has_begun) as opened:
            write_settings(opened.folder, "pretrain")
            for name in ("metrics.jsonl", *also_writes):
                (opened.folder / name).write_text("{}")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()


def test_a_run_that_fails_before_it_began_leaves_nothing(tmp_path):
    fail_in(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_that_was_there_stays(tmp_path):
    fail_in(tmp_path)
    assert tmp_path.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_what_others_put_there_stays(tmp_path):
    fail_in(tmp_path / "run", also_writes=["notes.txt"])
    assert tree(tmp_path) == {"run/notes.txt": b"{}"}


def test_a_run_that_fails_later_stays(tmp_path):
    fail_in(tmp_path / "run", has_begun=True)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"run.json", "metrics.jsonl"}


def test_a_run_that_fails_as_it_goes_on_stays(former):
    before = tree(former)
    fail_in(former, resume_from="true")
    assert before.items() <= tree(former).items()
    assert (former / "run.json").exists()


def test_the_run_that_was_to_be_overwritten_is_put_back(former):
    before = tree(former.parent)
    fail_in(former, overwrite=True)
    assert tree(former.parent) == before
    fail_in(former, overwrite=True, also_writes=["notes.txt"])
    assert tree(former.parent) == {"run/notes.txt": b"{}"} | {
        name.replace("run/", "run.old-1/", 1): content for name, content in before.items()
    }


def test_an_empty_folder_is_taken(tmp_path):
    assert open_run_folder(str(tmp_path))[0] == tmp_path


def killed_in_its_first_write(folder):
    opened, _ = open_run_folder(folder)
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
    write_settings(opened, "pretrain")


@pytest.fixture
def killed(tmp_path):
    """The folder of a run that was killed while it wrote its first record."""
    process = fresh_processes().Process(target=killed_in_its_first_write, args=(str(tmp_path / "run"),))
    process.start()
    process.join(500)
    assert process.exitcode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".run.json.draft"]
    return tmp_path / "run"


def test_a_run_that_was_killed_in_its_first_write_has_not_begun(killed):
    with opened_or_resumed(str(killed), False, "evaluate", lambda: True) as folder:
        assert [path.name for path in folder.iterdir()] == ["run.json"]


def test_a_folder_that_cannot_be_moved_aside_is_refused(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    monkeypatch.chdir(tmp_path / "run")
    for folder in (".", str(tmp_path / "run")):
        with pytest.raises(InputError, match="holds the folder that you are in"):
            open_run_folder(folder, overwrite=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(errno.EBUSY, os.strerror(errno.EBUSY)))
    )
    with pytest.raises(
        InputError, match=r"run cannot be moved aside \(Device or resource busy\): name a folder inside"
    ):
        open_run_folder("run", overwrite=True)


@pytest.mark.parametrize(("overwrite", "resume_from"), [(False, None), (True, None), (False, "true")])
def test_after_such_a_kill_the_same_call_begins_the_run(killed, overwrite, resume_from):
    assert open_run_folder(str(killed), overwrite, resume_from) == (killed, None)
    write_settings(killed, "pretrain")
    assert [path.name for path in killed.iterdir()] == ["run.json"]
    assert [path.name for path in killed.parent.iterdir()] == ["run"]


def test_after_such_a_kill_a_run_that_fails_before_it_began_leaves_nothing(killed):
    fail_in(killed)
    assert list(killed.iterdir()) == []


def test_a_draft_beside_something_else_does_not_make_a_folder_empty(former):
    (former / ".run.json.draft").touch()
    with pytest.raises(InputError, match="already holds a run"):
        check_run_folder(str(former))


def test_a_folder_that_holds_something_is_refused_and_untouched(former):
    before = tree(former)
    with pytest.raises(InputError, match=r"already holds a run .*--resume_from_checkpoint.*--overwrite_output_dir"):
        open_run_folder(str(former))
    assert tree(former) == before
    assert [path.name for path in former.parent.iterdir()] == ["run"]


def test_overwriting_moves_the_old_folder_aside_whole(former):
    before = tree(former)
    for number in (1, 2):
        open_run_folder(str(former), overwrite=True)
        assert tree(former) == {}
        (former / "results.json").write_text(str(number))
    assert tree(former.with_name("run.old-1")) == before
    assert tree(former.with_name("run.old-2")) == {"results.json": b"1"}


def test_checking_changes_nothing(former, tmp_path):
    before = tree(tmp_path)
    check_run_folder(str(former), overwrite=True)
    check_run_folder(str(tmp_path / "new" / "run"))
    assert tree(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_a_run_is_resumed_from_its_last_checkpoint(former):
    add_checkpoint(former, 20)
    before = tree(former)
    folder, checkpoint = open_run_folder(str(former), resume_from="true")
    assert checkpoint == str(former / "checkpoint-20")
    assert tree(folder) == before


def test_a_run_is_resumed_from_the_checkpoint_named(former, tmp_path):
    checkpoint = former / "checkpoint-3"
    assert open_run_folder(str(tmp_path / "new"), resume_from=str(checkpoint)) == (tmp_path / "new", str(checkpoint))


def test_a_checkpoint_of_another_program_is_refused_by_name_too(former, tmp_path):
    checkpoint = former / "checkpoint-3"
    (checkpoint / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"checkpoint-3 has no manifest.json.*--model_name_or_path"):
        check_run_folder(str(tmp_path / "new"), resume_from=str(checkpoint))


def test_a_damaged_checkpoint_is_passed_over_and_left_as_it_is(former, caplog):
    (add_checkpoint(former, 20) / "trainer_state.json").write_text('{"global')
    before = tree(former)
    assert open_run_folder(str(former), resume_from="true") == (former, str(former / "checkpoint-3"))
    assert tree(former) == before
    expected = f"{former / 'checkpoint-20'} is passed over: trainer_state.json has 8 bytes, not 19."
    assert caplog.messages == [expected]


def test_a_damaged_checkpoint_that_is_named_is_refused_at_once(former):
    (former / "checkpoint-3" / "trainer_state.json").write_text("[]")
    expected = (
        r"checkpoint-3 is damaged: trainer_state.json has the digest \w+, not \w+\. .*--resume_from_checkpoint true"
    )
    with pytest.raises(InputError, match=expected):
        check_run_folder(str(former), resume_from=str(former / "checkpoint-3"))


def test_a_run_without_a_whole_checkpoint_is_not_begun_again_unasked(former):
    (former / "checkpoint-3" / "trainer_state.json").unlink()
    before = tree(former)
    with pytest.raises(InputError, match=r"of checkpoint-3, trainer_state.json is missing\. .*--overwrite_output_dir"):
        open_run_folder(str(former), resume_from="true")
    assert tree(former) == before


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_from_the_beginning(tmp_path, caplog):
    write_settings(tmp_path, "pretrain")
    before = tree(tmp_path)
    assert check_run_folder(str(tmp_path), resume_from="true") == tmp_path
    assert open_run_folder(str(tmp_path), resume_from="true") == (tmp_path, None)
    assert tree(tmp_path) == before
    assert caplog.messages == [f"There is no checkpoint in {tmp_path} yet: the run starts from the beginning."]


def test_the_same_command_begins_a_run_and_goes_on_with_it(tmp_path):
    assert open_run_folder(str(tmp_path / "new"), resume_from="true") == (tmp_path / "new", None)


def test_where_the_newest_checkpoint_is_taken_if_there_is_one_none_is_missed(tmp_path, caplog):
    for folder in (tmp_path / "new", tmp_path / "begun"):
        if folder.name == "begun":
            folder.mkdir()
            write_settings(folder, "pretrain")
        assert open_run_folder(str(folder), resume_from="auto") == (folder, None)
    assert caplog.messages == []


@pytest.mark.parametrize("resume_from", ["true", "True", "elsewhere"])
def test_in_a_folder_of_other_files_there_is_nothing_to_resume(tmp_path, resume_from):
    (tmp_path / "letter.txt").write_text("Dear reader")
    with pytest.raises(InputError, match=r"checkpoint.*expected a folder named checkpoint-N"):
        open_run_folder(str(tmp_path), resume_from=resume_from)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file: name a folder"):
        check_run_folder(str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot be made: .*file is no folder"):
        check_run_folder(str(tmp_path / "file" / "run"))


@pytest.mark.parametrize("target", ["link", "nowhere"])
def test_a_link_that_leads_to_nothing_is_no_folder(tmp_path, target):
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(InputError, match="link that leads to nothing"):
        check_run_folder(str(tmp_path / "link"))


def test_no_folder_is_asked_for(tmp_path):
    with pytest.raises(InputError, match="--output_dir"):
        check_run_folder(None)


TWO_PROCESSES = """
import sys, time
from pathlib import Path

import torch

from alum.core.errors import InputError
from alum.stages.runs.folder import open_run_folder, write_settings

torch.distributed.init_process_group("gloo")
rank, folder = torch.distributed.get_rank(), Path(sys.argv[1])
for overwrite in (False, True):
    time.sleep(0.3 * rank)  # the second finds what the first has written
    assert open_run_folder(str(folder), overwrite=overwrite) == (folder, None)
    write_settings(folder, "pretrain")
    torch.distributed.barrier()
try:
    open_run_folder(str(folder))
except InputError as error:
    (folder / f"refused-{rank}").write_text(str(error))
assert open_run_folder(str(folder), resume_from="true") == (folder, None)
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_open_a_folder_once(tmp_path):
    (tmp_path / "open.py").write_text(TWO_PROCESSES)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launcher, str(tmp_path / "open.py"), str(tmp_path / "run")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-4000:]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["refused-0", "refused-1", "run.json"]
    assert [path.name for path in (tmp_path / "run.old-1").iterdir()] == ["run.json"]
    assert not (tmp_path / "run.old-2").exists()


# -- records -----------------------------------------------------------------------------------------------------------


def test_a_record_is_written_whole_or_not_at_all(tmp_path):
    write_json(tmp_path / "results.json", {"loss": 1.0})
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        write_json(tmp_path / "results.json", circle)
    assert record(tmp_path / "results.json") == {"loss": 1.0}
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_what_json_does_not_have_is_null_and_told(tmp_path, caplog):
    values = {"loss": math.nan, "scores": [0.5, {"gain": -math.inf}], "name": "NaN"}
    write_json(tmp_path / "results.json", values)
    assert record(tmp_path / "results.json") == {"loss": None, "scores": [0.5, {"gain": None}], "name": "NaN"}
    assert [m for m in caplog.messages if m.startswith("no finite number")] == [
        f"no finite number, and null in {tmp_path / 'results.json'}: loss, scores.1.gain"
    ]


def test_secrets_are_left_out_of_the_settings(tmp_path):
    write_settings(tmp_path, "pretrain", config=pretrain_config(tmp_path, hub_token="hf_secret"))
    assert "hf_secret" not in (tmp_path / "run.json").read_text()
    assert record(tmp_path / "run.json")["config"]["max_steps"] == 40


def test_versions_are_those_installed():
    found = environment()
    for package in ("torch", "transformers", "datasets"):
        assert found[package] == importlib.metadata.version(package)
