"""Refusal of model files that could run code when they are loaded: pickles, however named, and kernels of the hub."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig
from transformers.utils.hub import cached_file

from alum.core.errors import InputError

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
ADAPTER = "adapter_config.json"
_SAFE = ".safetensors"
_PICKLES = re.compile(r"\.(bin|bin\.index\.json|pt|pth|pkl|pickle|ckpt|joblib)$")

RUNS_CODE = (
    "pickled weights, which can run code and are not loaded: save the model again with a current transformers, whose "
    "save_pretrained writes model.safetensors."
)


def refuse_pickled_weights(name_or_path: str) -> None:
    """Raises `InputError` where loading a model, by folder or id, would read weights in another form than safetensors.

    Such weights that only lie beside are never read, and nothing is said of them. What decides are the index of shards,
    the configuration, which may name the file of weights, and an adapter, whose weights transformers takes in any form.
    """
    folder = Path(name_or_path)
    if _file(name_or_path, ADAPTER) is not None:
        raise InputError(
            f"{name_or_path} holds an adapter ({ADAPTER}), which is not loaded: merge it into its model first (peft's "
            "merge_and_unload), and save that with save_pretrained."
        )
    named = _read(_file(name_or_path, "config.json")).get("transformers_weights")
    if named is not None and not (isinstance(named, str) and named.endswith((_SAFE, f"{_SAFE}.index.json"))):
        raise InputError(f"the config.json of {name_or_path} names {named!r}, {RUNS_CODE}")
    if named is None and _file(name_or_path, WEIGHTS) is not None:
        return
    index = _file(name_or_path, named if isinstance(named, str) and named.endswith(".json") else INDEX)
    if index is not None:
        check_shards(index, name_or_path)
    elif folder.is_dir() and (pickles := pickled_weights(folder)):
        raise InputError(f"{name_or_path} holds no {WEIGHTS}, but {pickles[0]}, {RUNS_CODE}")


def check_shards(index: Path, owner: str) -> None:
    """Raises `InputError` for an index of weights that names anything but safetensors files beside itself."""
    weight_map = _read(index).get("weight_map")
    for shard in _distinct(weight_map.values() if isinstance(weight_map, dict) else ()):
        if not isinstance(shard, str) or not shard.endswith(_SAFE):
            raise InputError(f"the {index.name} of {owner} names {shard!r}, {RUNS_CODE}")
        if Path(shard).name != shard or "\\" in shard:
            raise InputError(f"the {index.name} of {owner} names {shard!r}: expected files beside it. Name no folders.")


def pickled_weights(folder: Path) -> list[str]:
    """Names of the files in a folder that are pickled weights by their names, or an index of such."""
    return sorted(path.name for path in folder.iterdir() if _PICKLES.search(path.name))


def refuse_kernels(config: PretrainedConfig, name_or_path: str) -> None:
    """Raises `InputError` where the configuration asks for a kernel, compiled code to be fetched from the hub."""
    for part in (config, config.get_text_config()):
        for name in ("_attn_implementation", "_experts_implementation"):
            asked = getattr(part, name, None)
            if isinstance(asked, str) and "/" in asked:
                raise InputError(
                    f"the config.json of {name_or_path} asks for the kernel {asked!r}, code that would be fetched from "
                    "the hub, and is not: remove attn_implementation from it."
                )


def _file(name_or_path: str, name: str) -> Path | None:
    """One file of a model, fetched from the hub where it is there; None without it."""
    folder = Path(name_or_path)
    if folder.is_dir():
        return folder / name if (folder / name).is_file() else None
    if folder.is_absolute():
        return None
    try:
        found = cached_file(
            name_or_path,
            name,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    except OSError:  # no id of a model at all, which transformers then explains, and loads nothing
        return None
    return None if found is None else Path(found)


def _read(file: Path | None) -> dict[str, Any]:
    """Values by name in a JSON file; none where it is something else, which transformers then explains."""
    try:
        found = json.loads(file.read_bytes()) if file is not None else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _distinct(values: Iterable[Any]) -> list[Any]:
    distinct: list[Any] = []
    for value in values:
        if value not in distinct[-1:] and value not in distinct:
            distinct.append(value)
    return distinct
