"""Sentences of a study, which follow from its numbers by rule."""

from collections.abc import Sequence

from alum.reports.study.record import ArmAnswer, ArmComparison

BASELINE_WORDS = {"standard": "standard", "standard_plus": "standard at equal cost"}


def answers_of(comparisons: Sequence[ArmComparison]) -> list[ArmAnswer]:
    """Sums up each arm against each baseline over tasks, by the main metrics without an attack."""
    clean = [entry for entry in comparisons if entry["is_main"] and entry["attack"] is None]
    pairs = dict.fromkeys((entry["arm"], entry["baseline"]) for entry in clean)
    return [
        _answer(arm, baseline, [entry for entry in clean if (entry["arm"], entry["baseline"]) == (arm, baseline)])
        for arm, baseline in pairs
    ]


def _answer(arm: str, baseline: str, entries: Sequence[ArmComparison]) -> ArmAnswer:
    counts = {
        verdict: sum(entry["verdict"] == verdict for entry in entries) for verdict in ("better", "worse", "undecided")
    }
    more = sorted(entry["more_seeds"] for entry in entries if entry["more_seeds"] is not None)
    # As many as decide most of what any number would decide.
    seeds = more[len(more) // 2] if more else None
    decided = sum(one <= seeds for one in more) if seeds is not None else 0
    words = BASELINE_WORDS.get(baseline, baseline)
    sentence = (
        f"{arm} is better than {words} on {counts['better']} of {len(entries)} task{'' if len(entries) == 1 else 's'}, "
        f"worse on {counts['worse']}, undecided on {counts['undecided']}"
        f"{_outlook(counts['undecided'], seeds, decided, max(entry['num_seeds'] for entry in entries))}."
    )
    return ArmAnswer(
        arm=arm,
        baseline=baseline,
        better=counts["better"],
        worse=counts["worse"],
        undecided=counts["undecided"],
        more_seeds=seeds,
        would_decide=decided,
        sentence=sentence,
    )


def _outlook(undecided: int, seeds: int | None, decided: int, most_seeds: int) -> str:
    """What more seeds would do if differences and variances stayed as they are."""
    if not undecided:
        return ""
    if most_seeds < 2:
        return ": of one seed nothing is decided"
    which = "it" if undecided == 1 else "any of them" if seeds is None else f"{decided} of them"
    if seeds is None:
        return f": no number of further seeds that is in reach would decide {which}"
    return f": {seeds} more seed{'' if seeds == 1 else 's'} would decide {which}"
