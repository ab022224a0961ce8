"""Files of checkpoints: which there are in a folder, whether they are whole and safe to read, and what they are of."""

import hashlib
import json
import logging
import os
import re
import shutil
from pathlib import Path

from safetensors import safe_open
from torch import nn

from alum.core.errors import InputError
from alum.data.writing import write_text
from alum.models.loading.refused_files import RUNS_CODE, check_shards

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
STATE = "trainer_state.json"
DRAFTS = ".drafts"  # in the folder of the run; what lies there was never finished
_PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json", "adapter_model.bin")
_REPLACED = ".replaced"
_NAME = re.compile(r"checkpoint-(\d+)")


def checkpoints_in(folder: Path) -> list[Path]:
    """Finds the folders named checkpoint-N, oldest step first."""
    found = [path for path in folder.glob("checkpoint-*") if path.is_dir() and _NAME.fullmatch(path.name)]
    return sorted(found, key=step_in_name)


def newest_whole_checkpoint(folder: Path) -> Path | None:
    """Finds the last checkpoint whose files are those of its manifest; warns of each later one, which is damaged."""
    for checkpoint in reversed(checkpoints_in(folder)):
        fault = damage(checkpoint)
        if fault is None:
            return checkpoint
        logger.warning("%s is passed over: %s.", checkpoint, fault)
    return None


def check_readable(checkpoint: Path) -> None:
    """Raises `InputError` unless a checkpoint is whole, its states are in its manifest, and its weights no pickles.

    States of an optimizer are pickles, though read by PyTorch's reader of plain tensors: none is read whose digest was
    not written with the checkpoint. That tells of changes, not of where the checkpoint comes from.
    """
    if not (checkpoint / MANIFEST).is_file():
        raise InputError(
            f"the checkpoint {checkpoint} has no {MANIFEST}, as one of another program: its states are pickles, which "
            "are not read. Begin a new run from its weights by --model_name_or_path."
        )
    if fault := damage(checkpoint):
        raise InputError(
            f"the checkpoint {checkpoint} is damaged: {fault}. Name another, or take the newest whole one by "
            "--resume_from_checkpoint true."
        )
    check_no_pickled_weights(checkpoint)


def check_no_pickled_weights(checkpoint: Path) -> None:
    """Raises `InputError` where weights are pickles, or an index names files that are not beside it."""
    for path in sorted(checkpoint.rglob("*")):
        if path.name in _PICKLED_WEIGHTS:
            raise InputError(f"the checkpoint {checkpoint} holds {path.relative_to(checkpoint)}, {RUNS_CODE}")
        if path.name.endswith(".safetensors.index.json"):
            check_shards(path, str(checkpoint))


def misfit(checkpoint: Path, model: nn.Module) -> str | None:
    """Says which weight of a checkpoint has another shape than the model's; None where none has, or it is unknown."""
    shapes = {name: list(value.shape) for name, value in model.state_dict().items()}
    for file in sorted(checkpoint.glob("model*.safetensors")):
        with safe_open(file, framework="pt") as weights:
            for name in sorted(shapes.keys() & set(weights.keys())):
                if shapes[name] == [0]:  # a part of it is elsewhere (DeepSpeed)
                    continue
                if (found := list(weights.get_slice(name).get_shape())) != shapes[name]:
                    return f"its {name} is of the shape {found}, and that of the model of {shapes[name]}"
    return None


def is_model_only(checkpoint: Path) -> bool:
    """Whether a checkpoint lacks what training needs beside the weights, as with ``save_only_model``."""
    return not (checkpoint / "scheduler.pt").is_file() and not any(checkpoint.glob("global_step*"))


def damage(checkpoint: Path) -> str | None:
    """Says what is wrong with a checkpoint, else None: a file is missing, of another size or digest, or was added."""
    try:
        files = json.loads((checkpoint / MANIFEST).read_bytes())["files"]
        entries = {name: (int(entry["bytes"]), str(entry["blake2b"])) for name, entry in files.items()}
    except FileNotFoundError:
        return f"it has no {MANIFEST}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"its {MANIFEST} is damaged"
    for name, (expected, _) in entries.items():  # cheap, and most damage is a file cut short
        if not (checkpoint / name).is_file():
            return f"{name} is missing"
        if (actual := (checkpoint / name).stat().st_size) != expected:
            return f"{name} has {actual} bytes, not {expected}"
    for path in sorted(checkpoint.rglob("*")):
        name = str(path.relative_to(checkpoint))
        is_read = path.is_file() or path.is_symlink()
        if is_read and name not in entries and name != MANIFEST and not path.name.startswith("."):
            return f"{name} is not in its {MANIFEST}, and was added to it later"
    for name, (_, digest) in entries.items():
        if (found := _digest(checkpoint / name)) != digest:
            return f"{name} has the digest {found}, not {digest}"
    return None


def strict_json(state: Path) -> None:
    """Writes a Trainer's state anew where it has NaN or infinities, as of losses and gains: null, as in other logs."""
    absent: list[str] = []
    content = json.loads(state.read_bytes(), parse_constant=absent.append)
    if absent:
        write_text(state, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def write_manifest(folder: Path) -> None:
    """Writes ``manifest.json``, the size and BLAKE2b digest of each file below ``folder``, and flushes all to disk."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / MANIFEST]
    entries = {
        str(path.relative_to(folder)): {"bytes": path.stat().st_size, "blake2b": _digest(path)} for path in files
    }
    write_text(folder / MANIFEST, json.dumps({"files": entries}, indent=2) + "\n")
    for path in (*files, *(path for path in folder.rglob("*") if path.is_dir()), folder):
        _flush(path)


def set_later_ones_aside(folder: Path, checkpoint: Path | None) -> None:
    """Renames the checkpoints of later steps than ``checkpoint``, as the run that resumes from it will write others.

    They are damaged, or belong to a past that the user chose to leave.
    """
    step = -1 if checkpoint is None else json.loads((checkpoint / STATE).read_bytes())["global_step"]
    for later in checkpoints_in(folder):
        if step_in_name(later) > step:
            aside, number = folder / f"old-{later.name}", 1
            while aside.exists():
                number += 1
                aside = folder / f"old-{later.name}-{number}"
            later.rename(aside)
            logger.warning("%s is later than where the run goes on: it is now %s.", later, aside)


def give_replaced_back(folder: Path) -> None:
    """Gives a checkpoint its name again that was to be replaced when the run was killed."""
    for replaced in (folder / DRAFTS).glob(f"*{_REPLACED}"):
        if not (checkpoint := folder / replaced.name.removesuffix(_REPLACED)).exists():
            replaced.rename(checkpoint)


def give_draft_its_name(draft: Path, checkpoint: Path) -> None:
    """Gives a finished draft its name, also where another checkpoint has it."""
    if checkpoint.exists():
        checkpoint.rename(draft.with_name(f"{checkpoint.name}{_REPLACED}"))
    draft.rename(checkpoint)
    _flush(checkpoint.parent)
    shutil.rmtree(draft.parent)


def step_in_name(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def size_of_files(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
