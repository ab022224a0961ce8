"""``make safety``: runs every case, prints what was wrong, and writes the table of docs/safety.md."""

import tempfile
from pathlib import Path

from safety.campaign import CASES, run_cases
from safety.page import with_table

PAGE = Path(__file__).parents[2] / "docs" / "safety.md"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        outcomes = run_cases(CASES, Path(folder) / "safety")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), outcomes), encoding="utf-8")
    faulty = [outcome for outcome in outcomes if outcome.faults]
    for outcome in faulty:
        print(f"{outcome.name}: {', '.join(outcome.faults)}")
    print(f"{len(outcomes)} cases, {len(faulty)} faulty")
    raise SystemExit(bool(faulty))


if __name__ == "__main__":
    main()
