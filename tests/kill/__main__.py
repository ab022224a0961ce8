"""``make kill``: runs of every stage, killed at every write, rename and removal, given again and compared.

PYTHONPATH=tests:. python -m kill --seed 0 --cases 300

Goes on with the ledger of a call that was stopped, in the same folder, where the code is the same. With ``--page`` the
outcome is written into ``docs/reliability.md``.
"""

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from benchmarks.places import DOCS
from benchmarks.records import Record
from kill.campaign import Outcome, campaign, prepared
from kill.page import PAGE
from kill.runs import RUNS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", default="", help="runs with this in their name")
    parser.add_argument("--folder", type=Path, default=Path("build/kill"))
    parser.add_argument("--page", action="store_true", help="write the outcome to docs/reliability.md")
    given = parser.parse_args()
    if given.page and (given.seed or given.only):
        parser.error("the page is of what make kill runs: seed 0, and all runs")
    folder, runs, record = given.folder.resolve(), [run for run in RUNS if given.only in run.name], Record()
    traced = prepared(folder / "runs", runs, given.seed)
    for name, one in traced.items():
        print(f"{name}: {len(one.events)} events, {len(one.cases)} cases, {one.seconds:.1f} s undisturbed", flush=True)
    outcomes, num_faulty = [], 0
    for outcome in campaign(folder / "runs", traced, given.cases, given.processes, folder / f"seed-{given.seed}.jsonl"):
        outcomes.append(outcome)
        if outcome.is_faulty:
            num_faulty += 1
            _show(outcome)
        if len(outcomes) % 50 == 0:
            print(f"{len(outcomes)} cases, {num_faulty} faulty", flush=True)
    print(f"{len(outcomes)} cases, {sum(one.num_signals for one in outcomes)} signals, {num_faulty} faulty")
    if given.page:
        events = {name: dict(Counter(event.what for event in one.events)) for name, one in traced.items()}
        command, cases = f"make kill CASES={given.cases}", [asdict(one) for one in outcomes]
        PAGE.write_with(record.with_results(command=command, events=events, cases=cases), DOCS)
    raise SystemExit(num_faulty > 0)


def _show(outcome: Outcome) -> None:
    print(f"{outcome.run}, case {outcome.number}: {outcome.faults} {outcome.differences}"[:1500])
    for blow, one in zip(outcome.blows, outcome.attempts, strict=False):
        aim = f"{blow['signal']} {blow['aim']} {one['at'] or ''} +{blow['seconds']} s"
        print(f"    {aim}, then {blow['second']}: exit code {one['code']}, {one['said'][:200]}", flush=True)


if __name__ == "__main__":
    main()
