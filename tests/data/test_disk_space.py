import errno
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from alum.core.errors import InputError
from alum.data.disk_space import explained_if_full, free_space, why_unwritable, write_whole
from small_files import files_up_to

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
    refused = pytest.raises(InputError, match="file could not be written: File too large")
    with refused, files_up_to(LIMIT_BYTES):
        write_whole(tmp_path / "file", json.dumps("a" * 2 * LIMIT_BYTES).encode())
    assert (tmp_path / "file").read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["file"]
