"""Comparison of the folders that two runs left, byte for byte but for what is known to differ, which is listed here."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TIMES = {
    "created",
    "elapsed_seconds",
    "seconds",
    "timed_seconds",
    "train_seconds",
    "tokens_per_second",
    "total_seconds",
}
"""Fields of records and logs that tell how long something took, or when it was."""

BEGINNINGS_OF_TIMES = ("time_share_",)
ENDS_OF_TIMES = ("_runtime", "_per_second", "_preparation_time")

OF_THE_LAST_COMMAND = {"resume_from_checkpoint", "should_training_stop"}
"""Settings of the command that ended the run, and what a checkpoint says that a stop by a signal has saved."""

_HOLDING_TIMES = {
    "trainer_state.json", "run.json", "results.json", "metrics.jsonl", "README.md",
}  # fmt: skip
_IN_CARDS = re.compile(r"^\| (time|tokens seen|resume_from_checkpoint) \|.*$", re.MULTILINE)
_IN_PAGES = re.compile(r'"(?:elapsed_seconds|created)": ?[^,}]+|(?<=<p class="meta">)[^·]+|(?<=took )[^<]+')
_CHECKPOINT = re.compile(r"(.*/)?checkpoint-\d+(?=/|$)")
_LOGS = "logs/worker-"
"""Logs of a study's workers, which have what each attempt printed."""


def differences(found: Path, expected: Path, is_stopped: bool = False) -> list[str]:
    """Names of the files that only one of two folders has, or that differ.

    A training that ``is_stopped`` by SIGTERM or SIGINT saves a checkpoint at the step where it is, which later ones
    need not have and which counts among those that are kept: there checkpoints are compared that both have.
    """
    files, wanted = (_files(folder) for folder in (found, expected))
    if is_stopped:
        others = {_checkpoint_of(name) for name in files.keys() ^ wanted.keys()} - {None}
        files, wanted = ({n: c for n, c in some.items() if _checkpoint_of(n) not in others} for some in (files, wanted))
    missing = [f"{name} is missing" for name in sorted(wanted.keys() - files.keys())]
    more = [f"{name} is left over" for name in sorted(files.keys() - wanted.keys())]
    other = [name for name in sorted(wanted.keys() & files.keys()) if not _same(name, files[name], wanted[name])]
    return [*missing, *more, *(f"{name} differs{_where(name, files[name], wanted[name])}" for name in other)]


def _checkpoint_of(name: str) -> str | None:
    found = _CHECKPOINT.match(name)
    return found[0] if found else None


def _files(folder: Path) -> dict[str, bytes]:
    names = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*"))}
    return {
        name: path.read_bytes() if path.is_file() else b"" for name, path in names.items() if not name.startswith(_LOGS)
    }


def _same(name: str, found: bytes, expected: bytes) -> bool:
    return found == expected or _comparable(name, found) == _comparable(name, expected)


def _comparable(name: str, content: bytes) -> Any:
    """Content without what is known to differ; as it is where it cannot be read."""
    file = Path(name)
    try:
        if file.name == "elapsed_seconds.json":
            return None
        if file.name == "manifest.json":  # digests of files that hold times
            files = json.loads(content)["files"]
            return _of_files_alike(files)
        if file.suffix == ".json":
            return _without(json.loads(content))
        if file.suffix == ".jsonl":
            return [_without(json.loads(line)) for line in content.splitlines()]
        if file.suffix == ".md":
            return _IN_CARDS.sub("", content.decode())
        if file.suffix == ".html":
            return _IN_PAGES.sub("", content.decode())
    except (ValueError, KeyError, RuntimeError):
        pass
    return content


def _of_files_alike(files: Mapping[str, Any]) -> dict[str, Any]:
    """Sizes and digests by file, of those that hold no times and no settings of the last command."""
    return {name: entry for name, entry in files.items() if Path(name).name not in _HOLDING_TIMES}


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {name: _without(one) for name, one in value.items() if not _is_omitted(name)}
        return {**kept, "finished": _of_files_alike(value["finished"])} if _is_of_files(value) else kept
    return [_without(one) for one in value] if isinstance(value, list) else value


def _is_of_files(value: Mapping[str, Any]) -> bool:
    """Whether it is the record of a finished run, which has the sizes of its files."""
    return isinstance(value.get("finished"), Mapping)


def _is_omitted(name: str) -> bool:
    return name in TIMES | OF_THE_LAST_COMMAND or name.startswith(BEGINNINGS_OF_TIMES) or name.endswith(ENDS_OF_TIMES)


def _where(name: str, found: bytes, expected: bytes) -> str:
    """First place of a difference, for people."""
    one, other = (_comparable(name, content) for content in (found, expected))
    if isinstance(one, bytes) or type(one) is not type(other):
        return f" ({len(found)} bytes, not {len(expected)})"
    return _first(one, other)


def _first(one: Any, other: Any, at: str = "") -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *other]:
            if key not in one or key not in other:
                return f" at {at}.{key}, which one of them lacks"
            if one[key] != other[key]:
                return _first(one[key], other[key], f"{at}.{key}")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, pair in enumerate(zip(one, other, strict=True)):
            if pair[0] != pair[1]:
                return _first(*pair, f"{at}[{index}]")
    if isinstance(one, str) and isinstance(other, str) and "\n" in one:
        pairs = zip(one.splitlines(), other.splitlines(), strict=False)
        one, other = next(((a, b) for a, b in pairs if a != b), ("…", "…"))
    return f" at {at or 'its beginning'}: {str(one)[:120]!r}, not {str(other)[:120]!r}"
