"""Table of behavioural tests: what each changes or says, and what a classifier should answer.

Ribeiro et al. 2020, arXiv:2005.04118 (CheckList): invariance tests, directional expectation tests and minimum
functionality tests, by the capability that they are of. Differs from the paper: words, phrases and templates are our
own and few, and no masked language model proposes any; first names give way to others of the same list, cities to
others of their country, numbers to others no more than a fifth away, years within five; there are no neutral opinions.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from alum.attacks.text.worded import Example
from alum.evaluation.behaviour import changes, sentences
from alum.evaluation.behaviour.changes import ExampleChange
from alum.evaluation.behaviour.lexicons import CITIES, FIRST_NAMES, NEGATIVE_PHRASES, POSITIVE_PHRASES
from alum.evaluation.behaviour.sentences import Answered, Role

# What should be: the answer is that of before, a label is no less likely than before, or is the answer, or is not.
Expectation = Literal["same_answer", "no_less_likely", "answer", "other_answer"]
# What rows a test is for: all, single texts, pairs, or pairs whose order says nothing.
Form = Literal["any", "single", "pair", "unordered_pair"]

MAX_SENTENCES = 200
"""Sentences of templates in a test; of more, so many are drawn."""


@dataclass(frozen=True)
class ReadRow:
    """Row that texts are made of: its number, its texts as far as they are read, and which of them may be changed."""

    number: int
    example: Example
    text: int


@dataclass(frozen=True)
class Case:
    """Case of a test: changed examples, all of which must do as is expected, or it fails.

    ``original`` is what they are compared with, where they are, ``row`` the number of the row that they are made of,
    None where they are a template's. ``role`` says which label is meant, if one is.
    """

    changed: tuple[Example, ...]
    original: Example | None = None
    row: int | None = None
    role: Role | None = None


@dataclass(frozen=True)
class Behaviour:
    """Behavioural test: its name, the capability that it is of, what should be, and how its cases are made.

    ``statement`` says in words what should be. Of rows a case is what ``change`` gives; without, what ``written`` says.
    """

    name: str
    capability: str
    statement: str
    expects: Expectation
    form: Form = "any"
    role: Role | None = None
    change: ExampleChange | None = None
    written: Callable[[], Iterator[Answered]] | None = None

    @property
    def kind(self) -> str:
        """Kind of test in the words of the paper."""
        return {"same_answer": "invariance", "no_less_likely": "direction"}.get(self.expects, "minimum functionality")

    @property
    def roles(self) -> frozenset[Role]:
        """Roles for which a label must be named."""
        if self.written is not None:
            return frozenset(role for _, role in self.written())
        return frozenset() if self.role is None else frozenset({self.role})

    def cases(self, rows: list[ReadRow], seed: int) -> list[Case]:
        """Cases of rows, those without anything to change left out, or of templates; the same for the same seed."""
        if self.written is not None:
            made = [Case((example,), role=role) for example, role in self.written()]
            chosen = random.Random(f"{seed}:{self.name}").sample(range(len(made)), min(len(made), MAX_SENTENCES))
            return [made[number] for number in sorted(chosen)]
        assert self.change is not None, "a test has rows changed, or texts written"
        found = []
        for row in rows:
            changed = self.change(row.example, row.text, random.Random(f"{seed}:{self.name}:{row.example}"))
            if changed:
                original = row.example if self.expects in ("same_answer", "no_less_likely") else None
                found.append(Case(tuple(changed), original, row.number, self.role))
        return found


def _twice(example: Example, text: int, rng: random.Random) -> list[Example]:
    """Each text of a pair beside itself."""
    return [(own, own) for own in dict.fromkeys(example)]


def _of_opinions(name: str, capability: str, statement: str, written: Callable[[], Iterator[Answered]]) -> Behaviour:
    return Behaviour(name, capability, statement, "answer", "single", written=written)


def _invariance(name: str, capability: str, statement: str, change: ExampleChange, form: Form = "any") -> Behaviour:
    return Behaviour(name, capability, f"the answer stays {statement}", "same_answer", form, change=change)


_ROWS = (
    _invariance("typo", "robustness", "with two letters of a word swapped", changes.typing_errors(1)),
    _invariance("two_typos", "robustness", "with two letters swapped in each of two words", changes.typing_errors(2)),
    _invariance("contractions", "robustness", "with it is for it's, or don't for do not", changes.other_contractions),
    _invariance("end_mark", "robustness", "with or without a full stop at the end", changes.other_end_mark),
    _invariance("web_marks", "robustness", "with an address or a handle behind the text", changes.web_marks, "single"),
    _invariance("names", "named entities", "with other first names", changes.others_of_their_kind(FIRST_NAMES)),
    _invariance("cities", "named entities", "with other cities", changes.others_of_their_kind(CITIES)),
    _invariance("numbers", "named entities", "with other numbers", changes.other_numbers),
    _of_opinions("opinions", "vocabulary", "a plain opinion is what it says", sentences.opinions),
    Behaviour(
        "praise_added",
        "vocabulary",
        "positive is no less likely with praise behind the text",
        "no_less_likely",
        "single",
        "positive",
        changes.phrases_behind(POSITIVE_PHRASES),
    ),
    Behaviour(
        "blame_added",
        "vocabulary",
        "negative is no less likely with blame behind the text",
        "no_less_likely",
        "single",
        "negative",
        changes.phrases_behind(NEGATIVE_PHRASES),
    ),
    _of_opinions("negated_praise", "negation", "praise that is negated is negative", sentences.negated_praise),
    replace(
        _of_opinions("negated_blame", "negation", "blame that is negated is not negative", sentences.negated_blame),
        expects="other_answer",
    ),
    _of_opinions(
        "late_negation", "negation", "praise that is taken back at the end is negative", sentences.disappointed_hopes
    ),
    Behaviour(
        "negated_copy",
        "negation",
        "a text and its negation do not say the same",
        "other_answer",
        "pair",
        written=sentences.negated_copies,
    ),
    _of_opinions("former_opinion", "time", "what one thinks now counts, not before", sentences.former_opinions),
    Behaviour("same_text", "logic", "a text says the same as itself", "answer", "pair", "same", _twice),
    _invariance("order", "logic", "with the two texts in the other order", changes.swapped_order, "unordered_pair"),
)

BEHAVIOURS = {behaviour.name: behaviour for behaviour in _ROWS}
