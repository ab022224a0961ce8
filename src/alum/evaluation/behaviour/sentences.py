"""Sentences whose right answer is known, made of templates: opinions, negated ones, and pairs of opposites."""

from collections.abc import Iterator
from itertools import product
from typing import Literal

from alum.attacks.text.worded import Example
from alum.evaluation.behaviour.lexicons import (
    NEGATIVE_ADJECTIVES,
    NEGATIVE_VERBS,
    PLACES_IN_STATES,
    POSITIVE_ADJECTIVES,
    POSITIVE_VERBS,
    STATES,
    THINGS,
)

# What a label says: an opinion of one kind or the other, or that two texts say the same.
Role = Literal["positive", "negative", "same"]
Answered = tuple[Example, Role]


def opinions() -> Iterator[Answered]:
    """Opinions in plain words."""
    roles: tuple[tuple[Role, tuple[str, ...], tuple[str, ...]], ...] = (
        ("positive", POSITIVE_ADJECTIVES, POSITIVE_VERBS),
        ("negative", NEGATIVE_ADJECTIVES, NEGATIVE_VERBS),
    )
    for role, adjectives, verbs in roles:
        for adjective, thing in product(adjectives, THINGS):
            yield (f"The {thing} was {adjective}.",), role
            yield (f"This is {_a(adjective)} {thing}.",), role
        for verb, thing in product(verbs, THINGS):
            yield (f"I {verb} this {thing}.",), role


def negated_praise() -> Iterator[Answered]:
    """Praise that is negated: an opinion against the thing."""
    for adjective, thing in product(POSITIVE_ADJECTIVES, THINGS):
        yield (f"The {thing} was not {adjective}.",), "negative"
        yield (f"This is not {_a(adjective)} {thing}.",), "negative"
    for verb, thing in product(POSITIVE_VERBS, THINGS):
        yield (f"I do not {verb} this {thing}.",), "negative"


def negated_blame() -> Iterator[Answered]:
    """Blame that is negated, which is no opinion against the thing."""
    for adjective, thing in product(NEGATIVE_ADJECTIVES, THINGS):
        yield (f"The {thing} was not {adjective}.",), "negative"
        yield (f"This is not {_a(adjective)} {thing}.",), "negative"
    for verb, thing in product(NEGATIVE_VERBS, THINGS):
        yield (f"I do not {verb} this {thing}.",), "negative"


def disappointed_hopes() -> Iterator[Answered]:
    """Praise that is taken back at the end, far from its words."""
    for adjective, thing in product(POSITIVE_ADJECTIVES, THINGS):
        yield (f"I thought that the {thing} would be {adjective}, but it was not.",), "negative"


def former_opinions() -> Iterator[Answered]:
    """Opinions of before beside those of now, which count."""
    for now, before, thing in product(("love", "enjoy"), ("hate", "despise"), THINGS):
        yield (f"I used to {before} this {thing}, but now I {now} it.",), "positive"
        yield (f"I used to {now} this {thing}, but now I {before} it.",), "negative"


def negated_copies() -> Iterator[Answered]:
    """Pairs of which the second text denies the first."""
    for place, state in product(PLACES_IN_STATES, STATES):
        yield (f"The {place} is {state}.", f"The {place} is not {state}."), "same"


def _a(adjective: str) -> str:
    return f"{'an' if adjective[0] in 'aeiou' else 'a'} {adjective}"
