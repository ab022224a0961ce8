"""All cases in one process, with what was seen of each; and every command in a process of its own, off the network."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safety import checkpoints, models, texts
from safety.case import FINETUNE, Case, instead
from safety.hostile import MARKER
from safety.network import OFFLINE
from safety.pages import faults_of_pages
from safety.watch import Seen, Watch, captured, watch_torch

CASES = {case.name: case for case in (*models.CASES, *checkpoints.CASES, *texts.CASES)}
TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Outcome:
    """How a case ended: exit code, last line on standard error, and what was wrong about it, if anything."""

    name: str
    code: int
    said: str
    faults: list[str] = field(default_factory=list)


def run_cases(names: Iterable[str], folder: Path) -> list[Outcome]:
    """Runs cases in a process of their own, which may ask for the network, but does not get it."""
    variables = {name: value for name, value in os.environ.items() if name not in OFFLINE}
    variables |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    variables |= {"COLUMNS": "200", "ALUM_CACHE": str(folder / "cache")}
    variables |= {"HF_HOME": str(folder / "hub"), "HF_MODULES_CACHE": str(folder / "modules")}
    folder.mkdir(exist_ok=True)
    (folder / "names.json").write_text(json.dumps(list(names)))
    subprocess.run([sys.executable, "-m", "safety.campaign", str(folder)], env=variables, check=True)
    return [Outcome(**found) for found in json.loads((folder / "outcomes.json").read_text())]


def main() -> None:
    folder = Path(sys.argv[1])
    watch = Watch()
    watch_torch(watch)
    write_files(folder / "good")
    outcomes = [
        asdict(_outcome(CASES[name], folder, watch)) for name in json.loads((folder / "names.json").read_text())
    ]
    (folder / "outcomes.json").write_text(json.dumps(outcomes))


def write_files(folder: Path) -> None:
    """Writes the files of `fuzz.good`, a causal model, and a run with a checkpoint of its first step."""
    from alum.cli.main import main as alum
    from fuzz.good import write_good_files
    from tiny_models import language_model

    write_good_files(folder)
    language_model("gpt2", vocab_size=120).save_pretrained(folder / "causal")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / "model" / name, folder / "causal")
    before = Path.cwd()
    os.chdir(folder)
    words = instead(FINETUNE, output_dir="run", save_strategy="steps", save_steps="1", max_steps="1")
    assert alum(words) == 0
    os.chdir(before)


def _outcome(case: Case, folder: Path, watch: Watch) -> Outcome:
    place = folder / "case"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder / "good", place)
    words = list(case.prepare(place))
    out, err = folder / "stdout", folder / "stderr"
    watch.seen = Seen()
    with _within(place), captured(out, err):
        code = _code(words)
    seen, watch.seen = watch.seen, None
    written = [file.read_bytes().decode("utf-8", errors="surrogateescape") for file in (out, err)]
    lines = written[1].strip().splitlines()
    faults = [*_faults(case, code, written, place), *_seen_faults(case, seen)]
    return Outcome(case.name, code, lines[-1] if lines else "", faults)


def _code(words: list[str]) -> int:
    from alum.cli.main import main as alum

    def too_long(*_: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TIMEOUT_SECONDS)
    try:
        return alum(words)
    finally:
        signal.alarm(0)


def _faults(case: Case, code: int, written: list[str], place: Path) -> Iterator[str]:
    from alum.data.visible_text import visible

    if code != (2 if case.is_refused else 0):
        yield f"exit code {code}"
    if found := list(place.rglob(MARKER)):
        yield f"code was run: {found[0].name}"
    text = "".join(written).replace("\r", "")
    if visible(text) != text:
        yield "raw characters on the terminal"
    for words in ("Traceback (most recent call last)", "weights_only"):
        if words in text:
            yield f"{words!r} on the terminal"
    yield from faults_of_pages(place)


def _seen_faults(case: Case, seen: Seen) -> Iterator[str]:
    yield from (f"asked for the network: {address}" for address in seen.addresses)
    yield from (f"unpickled: {name}" for name in seen.unpickled)
    yield from (f"read by torch.load: {file}" for file in seen.loaded if Path(file).name not in case.loads)


@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    before, variables = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(variables)


if __name__ == "__main__":
    main()
