"""Runs on a disk that is full before they end: each says so in one line, and goes on where there is space again.

PYTHONPATH=tests:. python -m kill.full_disk --seed 0 --cases 30 --folder build/full-disk

It takes no file and no folder any more from one of the undisturbed run's events on, or is a tmpfs of a part of what
that run leaves, which only root may mount. A line of JSON for each case is printed.
"""

import argparse
import json
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from kill.attempts import FULL_DISK, Attempt, Blow, attempt
from kill.campaign import Traced, prepared
from kill.comparing import differences
from kill.runs import INPUTS, OUTPUT, RUNS, Run

_TOLD = re.compile(r"^alum: error: .*(No space left on device|torch\.save could not write it all).*[\d,.]+ MB are free")
ROOM_BYTES = 256 * 2**20


def full_from_an_event(folder: Path, run: Run, traced: Traced, number: int) -> dict[str, Any]:
    """Runs on a disk that takes nothing from the write or folder of this number on, and then on one that does."""
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / INPUTS).symlink_to(folder / "runs" / INPUTS)
    first = attempt(run.command(False), place, Blow(FULL_DISK, "before an event", number))
    second = attempt(run.command(True), place)
    event = traced.events[number]
    return {"run": run.name, "full from": f"{event.what} {event.path}", **_found(first, second, place, traced)}


def full_at_a_size(folder: Path, run: Run, traced: Traced, share: float) -> dict[str, Any]:
    """Runs on a tmpfs with space for a share of what the undisturbed run leaves, and again with enough."""
    used = sum(path.stat().st_blocks * 512 for path in traced.folder.rglob("*") if not path.is_symlink())
    place, said = folder / "disk", folder / "said.txt"
    place.mkdir(exist_ok=True)
    size = max(int(share * used), 4096)
    _mount("-t", "tmpfs", "-o", f"size={size}", "none", str(place))
    try:
        (place / INPUTS).symlink_to(folder / "runs" / INPUTS)
        said.write_text("")
        (place / "said.txt").symlink_to(said)
        first = attempt(run.command(False), place)
        _mount("-o", f"remount,size={ROOM_BYTES}", str(place))
        second = attempt(run.command(True), place)
        return {"run": run.name, "full from": f"{size} bytes", **_found(first, second, place, traced)}
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _found(first: Attempt, second: Attempt, place: Path, traced: Traced) -> dict[str, Any]:
    faults = []
    if first.code != 0 and (first.code != 2 or not _TOLD.search(first.said)):
        faults.append(f"exit code {first.code}: {first.said}")
    if second.code != 0:
        faults.append(f"then exit code {second.code}: {second.said}")
    if "Traceback" in (place / "said.txt").read_text():
        faults.append("a traceback")
    found = differences(place / OUTPUT, traced.folder / OUTPUT) if second.code == 0 else []
    return {"code": first.code, "said": first.said, "faults": faults, "differences": found}


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=30)
    parser.add_argument("--only", default="", help="runs with this in their name")
    parser.add_argument("--folder", type=Path, default=Path("build/full-disk"))
    parser.add_argument("--on_a_small_disk", action="store_true", help="mount one of a part of the size, as root")
    given = parser.parse_args()
    folder, runs = given.folder.resolve(), [run for run in RUNS if given.only in run.name]
    shutil.rmtree(folder, ignore_errors=True)
    traced = prepared(folder / "runs", runs, given.seed)
    rng, num_faulty = random.Random(given.seed), 0
    for number in range(given.cases):
        run = runs[number % len(runs)]
        if given.on_a_small_disk:
            found = full_at_a_size(folder, run, traced[run.name], rng.random() ** 0.5)
        else:
            found = full_from_an_event(folder, run, traced[run.name], rng.randrange(len(traced[run.name].events)))
        num_faulty += bool(found["faults"] or found["differences"])
        print(json.dumps(found), flush=True)
    raise SystemExit(num_faulty > 0)


if __name__ == "__main__":
    main()
