import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from alum.core.errors import InputError
from alum.data.writing import (
    draft_of,
    explained_if_full,
    free_space,
    holds_only_drafts,
    is_device,
    why_unwritable,
    write_text,
    write_whole,
)
from small_files import files_up_to, umask

FULL = Path("/dev/full")  # every write to it finds the disk full
LIMIT_BYTES = 8192
WEIGHTS = {"weight": torch.zeros(LIMIT_BYTES)}

needs_full_device = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def with_torch(path):
    torch.save(WEIGHTS, path)


def with_torch_to_a_file(path):
    with path.open("wb") as file:
        torch.save(WEIGHTS, file)


def with_safetensors(path):
    save_file(WEIGHTS, path)


def with_tokenizers(path):
    Tokenizer(WordLevel({f"word{i}": i for i in range(LIMIT_BYTES)})).save(str(path))


def with_python(path):
    path.write_text("a" * 2 * LIMIT_BYTES)


WRITERS = [with_torch, with_torch_to_a_file, with_safetensors, with_tokenizers, with_python]


@pytest.mark.parametrize("write", WRITERS)
def test_every_library_is_understood_when_a_file_grows_too_large(tmp_path, write):
    with pytest.raises(Exception) as failed, files_up_to(LIMIT_BYTES):  # noqa: PT011 - of the library's own type
        write(tmp_path / "file")
    assert why_unwritable(failed.value) in (os.strerror(errno.EFBIG), "torch.save could not write it all")


@needs_full_device
@pytest.mark.parametrize("write", [with_torch_to_a_file, with_python])
def test_a_full_disk_is_called_so(write):
    with pytest.raises((OSError, RuntimeError)) as failed:
        write(FULL)
    assert why_unwritable(failed.value) == "No space left on device"


@pytest.mark.parametrize(
    "error", [ValueError("28"), PermissionError(errno.EACCES, "denied"), RuntimeError("out of memory"), None]
)
def test_other_errors_are_not_explained(error):
    assert why_unwritable(error) is None


def test_the_cause_of_an_error_counts():
    error = ValueError("saving failed")
    error.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert why_unwritable(error) == os.strerror(errno.EDQUOT)


def test_the_user_is_told_what_and_where(tmp_path):
    with (
        pytest.raises(
            InputError, match=r"model could not be written: File too large; [\d,.]+ MB are free in /.*\. Free space"
        ),
        explained_if_full(tmp_path / "model"),
        files_up_to(LIMIT_BYTES),
    ):
        with_safetensors(tmp_path / "model")


def test_mistakes_pass_unchanged(tmp_path):
    with pytest.raises(ZeroDivisionError), explained_if_full(tmp_path):
        1 / 0  # noqa: B018


def test_free_space_is_that_of_the_folder(tmp_path):
    disk = os.statvfs(tmp_path)
    words = free_space(tmp_path).split()
    assert float(words[0].replace(",", "")) == pytest.approx(disk.f_bavail * disk.f_frsize / 1e6, rel=0.05)
    assert words[-1] == str(tmp_path)


def test_a_file_is_written_whole(tmp_path):
    for content in (b"first", b"second"):
        write_whole(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_that_does_not_fit_leaves_the_former_one(tmp_path):
    write_whole(tmp_path / "file", b"former")
    needed = f"{2 * LIMIT_BYTES / 1e6:.1f} MB"
    told = rf"file could not be written: File too large; [\d,.]+ MB are free in .*, and it takes {needed}"
    with pytest.raises(InputError, match=told), files_up_to(LIMIT_BYTES):
        write_whole(tmp_path / "file", json.dumps("a" * 2 * LIMIT_BYTES).encode())
    assert (tmp_path / "file").read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o027, 0o640), (0o022, 0o644)])
@pytest.mark.parametrize("left", [(), ("file",), (".file.draft",), ("file", ".file.draft")])
def test_who_may_read_a_file_is_what_the_user_says_now(tmp_path, mask, mode, left):
    """Whatever a former write, or one that was killed, has left there."""
    for name in left:
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o666)
    with umask(mask):
        write_whole(tmp_path / "file", b"content")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_that_its_user_has_closed_to_others_stays_so(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(0o600)
    with umask(0o022):
        write_whole(tmp_path / "file", b"content")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_an_interrupted_write_leaves_no_draft(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", b"content")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_at_the_last_moment_leaves_no_draft(tmp_path, monkeypatch, call, number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    write_whole(tmp_path / "file", b"former")
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(InputError, match=f"file could not be written: {os.strerror(number)}; .* Free space"):
        write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_is_interrupted_leaves_no_draft(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", b"content")
    assert os.listdir(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path

from alum.data.writing import write_whole

os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
write_whole(Path(sys.argv[1]), b"half")
"""


def test_what_a_killed_write_leaves_is_replaced_by_the_next_one(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "file")], env=environment, timeout=500)
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == [draft_of(tmp_path / "file")]
    assert holds_only_drafts(tmp_path)
    write_whole(tmp_path / "file", b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["file"]
    assert not holds_only_drafts(tmp_path)


@pytest.mark.parametrize("name", ["notes.draft", ".hidden", ".run.json.draft/within"])
def test_what_is_no_draft_of_ours_is_something(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert not holds_only_drafts(tmp_path)


def test_text_is_utf_8_and_what_that_lacks_is_spelled_out_as_json_does(tmp_path):
    text = json.dumps("Grüße\r\n世界 \udcff", ensure_ascii=False) + "\r\n"
    write_text(tmp_path / "file", text)
    content = (tmp_path / "file").read_bytes()
    assert content == text.replace("\udcff", r"\udcff").encode()
    assert json.loads(content) == json.loads(text)


# -- what is no file ---------------------------------------------------------------------------------------------------


def test_a_pipe_is_written_to_and_stays_one(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        write_whole(path, b"content")
        assert os.read(reader, 100) == b"content"
        os.close(reader)
        assert is_device(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "far").mkdir()
    for name in ("there", "new"):
        (tmp_path / name).symlink_to(tmp_path / "far" / name)
    (tmp_path / "far" / "there").write_text("former")
    for name in ("there", "new"):
        write_whole(tmp_path / name, b"content")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "far" / name).read_text() == "content"
    assert sorted(path.name for path in (tmp_path / "far").iterdir()) == ["new", "there"]


@needs_full_device
def test_a_full_device_is_told_and_stays_one(tmp_path):
    (tmp_path / "link").symlink_to(FULL)  # what would take its place, would take the link's
    with pytest.raises(InputError, match="link could not be written: No space left on device"):
        write_text(tmp_path / "link", "content")
    assert is_device(tmp_path / "link")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc")
def test_a_folder_that_takes_no_files_is_told_by_the_name_that_was_given():
    with pytest.raises(OSError, match="No such file") as refused:
        write_text(Path("/proc/self/mem"), "content")
    assert refused.value.filename == "/proc/self/mem"
