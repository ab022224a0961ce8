"""``make fuzz``: bad invocations of every command; each has to end in a clear line.

python -m fuzz --seed 0 --cases 1500
"""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from fuzz.campaign import campaign


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case, to repeat it")
    parser.add_argument("--cases", type=int, default=1500)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    start, kinds, num_faulty = time.monotonic(), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        numbers = range(given.first, given.first + given.cases)
        for done, outcome in enumerate(campaign(given.seed, numbers, given.processes, Path(folder)), start=1):
            kinds[outcome.said.partition(":")[0]] += 1
            if outcome.faults:
                num_faulty += 1
                print(f"case {outcome.number}: {', '.join(outcome.faults)}\n  {outcome.line[:600]}")
                print(f"  wrong: {ascii('; '.join(outcome.wrong))[:400]}\n  {ascii(outcome.said)[:400]}", flush=True)
            if done % 100 == 0:
                print(f"{done} cases, {num_faulty} faulty, {time.monotonic() - start:.0f} s", flush=True)
    print(f"{given.cases} cases in {time.monotonic() - start:.0f} s; exit codes {dict(kinds)}; {num_faulty} faulty")
    raise SystemExit(num_faulty > 0)


if __name__ == "__main__":
    main()
