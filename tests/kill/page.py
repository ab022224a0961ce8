"""Makes the page on kills, ``docs/reliability.md``, from the record beside it. It kills nothing."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.pages import Page
from benchmarks.places import DOCS
from benchmarks.tables import conditions, markdown_table
from kill.comparing import BEGINNINGS_OF_TIMES, ENDS_OF_TIMES, OF_THE_LAST_COMMAND, TIMES

Row = Mapping[str, Any]


def parts(record: Row) -> dict[str, str]:
    cases = record["cases"]
    return {
        "conditions": conditions(record, record["command"]),
        "outcome": _outcome(cases),
        "by run": _table("run", _grouped(cases, lambda case: [case["run"]])),
        "by signal": _table("signal", _grouped(cases, lambda case: [_signals(case)])),
        "by aim": _table("aim", _grouped(cases, lambda case: [_aim(case)])),
        "events": _events(record["events"]),
        "not identical": _not_identical(cases),
        "fields": _fields(),
    }


def is_as_undisturbed(case: Row) -> bool:
    return case["went_on"] and not case["differences"]


def _outcome(cases: Sequence[Row]) -> str:
    went_on, same = sum(case["went_on"] for case in cases), sum(map(is_as_undisturbed, cases))
    seconds = sum(case["seconds"] for case in cases) / len(cases)
    return (
        f"{len(cases)} cases with {sum(case['num_signals'] for case in cases)} signals: {went_on} went on to the end, "
        f"{same} of them left what the undisturbed run leaves, {len(cases) - same} did not. A case, with all its "
        f"attempts, took {seconds:.1f} s on average."
    )


def _grouped(cases: Sequence[Row], names_of: Any) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for case in cases:
        for name in names_of(case):
            found[name].append(case)
    return dict(sorted(found.items()))


def _table(what: str, groups: Mapping[str, Sequence[Row]]) -> str:
    rows = [
        [
            name,
            f"{len(cases)}",
            f"{sum(case['num_signals'] for case in cases)}",
            f"{sum(case['went_on'] for case in cases)}",
            f"{sum(map(is_as_undisturbed, cases))}",
        ]
        for name, cases in groups.items()
    ]
    return markdown_table([what, "cases", "signals", "went on", "as undisturbed"], rows)


def _signals(case: Row) -> str:
    names = [name for blow in case["blows"] for name in (blow["signal"], blow["second"]) if name is not None]
    if len(names) == 1:
        return names[0]
    return " and ".join(names) + (" at once" if len(case["blows"]) == 1 else ", one an attempt")


def _aim(case: Row) -> str:
    """Event that the first blow was aimed at, by its kind."""
    blow, at = case["blows"][0], case["attempts"][0]["at"]
    if blow["aim"] == "any moment" or at is None:
        return "any moment"
    return f"{blow['aim'].partition(' ')[0]} {at.splitlines()[0].partition(' ')[0]}"


def _events(counts: Mapping[str, Mapping[str, int]]) -> str:
    kinds = sorted({kind for found in counts.values() for kind in found})
    rows = [[run, *(str(found.get(kind, 0)) for kind in kinds)] for run, found in counts.items()]
    return markdown_table(["run", *(f"`{kind}`" for kind in kinds)], rows)


def _not_identical(cases: Sequence[Row]) -> str:
    """A line for each kind of difference in each run."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for case in cases:
        if not is_as_undisturbed(case):
            why = (case["faults"] or ["did not end"])[0] if not case["went_on"] else case["differences"][0]
            found[case["run"], why.partition(":")[0][:120]].append(case)
    lines = [f"- {run}, {len(some)} cases: {why}" for (run, why), some in sorted(found.items())]
    return "\n".join(lines) or "None."


def _fields() -> str:
    named = sorted(TIMES) + [f"{name}…" for name in BEGINNINGS_OF_TIMES] + [f"…{name}" for name in ENDS_OF_TIMES]
    times, others = (", ".join(f"`{name}`" for name in some) for some in (named, sorted(OF_THE_LAST_COMMAND)))
    return f"Times: {times}. Of the last command: {others}."


PAGE = Page(DOCS / "reliability.md", parts)

if __name__ == "__main__":
    PAGE.command(__doc__)
