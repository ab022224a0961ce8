"""The table of `docs/safety.md`: place, what was tried, what happened."""

import re
from collections.abc import Sequence

from benchmarks.pages import filled
from safety.campaign import CASES, Outcome

_MOST_CHARACTERS = 100
_OF_LIBRARIES = re.compile(r"(can be loaded from \w+|cannot be read as csv|is not YAML|these messages) ?[:(].*")


def with_table(page: str, outcomes: Sequence[Outcome]) -> str:
    """A page with the table of these outcomes between its markers."""
    return filled(page, {"cases": table(outcomes)})


def table(outcomes: Sequence[Outcome]) -> str:
    lines = ["| place | what was tried | what happened |", "|---|---|---|"]
    for outcome in outcomes:
        case = CASES[outcome.name]
        lines.append(f"| {case.place} | {case.tried} | {happened(outcome)} |")
    return "\n".join(lines)


def happened(outcome: Outcome) -> str:
    """What happened in a few words: the refusal's first ones, or that the work was done and nothing obeyed."""
    if outcome.faults:
        return f"**{_code('; '.join(outcome.faults))}**"
    if outcome.code == 0:
        return "the work was done; nothing of it was run, read or obeyed"
    return f"refused, exit code {outcome.code}: {_code(_short(outcome.said))}"


def _short(said: str) -> str:
    """First words of a refusal, without sizes of files and the words of libraries, which differ between versions."""
    words = re.sub(r"\d+ bytes, not \d+", "… bytes, not …", said.removeprefix("alum: error: "))
    words = _OF_LIBRARIES.sub(r"\1: …", words)
    return words if len(words) <= _MOST_CHARACTERS else words[:_MOST_CHARACTERS].rsplit(" ", 1)[0] + " …"


def _code(text: str) -> str:
    text = text.replace("|", "¦").replace("`", "'")
    return f"`{text}`"
