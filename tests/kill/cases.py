"""Which blows a run is dealt: by its number and a seed, aimed by the events of the undisturbed run."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from kill.attempts import Blow
from kill.events import Event

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")


@dataclass(frozen=True)
class Case:
    """Blows that successive attempts at a run are dealt; those after them are let go on to the end."""

    run: str
    number: int
    blows: tuple[Blow, ...]


def cases_of(run: str, events: Sequence[Event], seconds: float, seed: int) -> list[Case]:
    """Cases of a run, in an order in which any number of the first ones is a fair part of all.

    One for each event, right before it; as many between two of them, or at any moment; and half as many of two blows,
    in one attempt or in two.
    """
    rng = random.Random(f"{seed} {run}")
    singles = [[_before(event, rng)] for event in events]
    others = [
        [_after(rng.choice(events), events, seconds, rng) if rng.random() < 0.6 else _any(seconds, rng)] for _ in events
    ]
    pairs = [_pair(events, seconds, rng) for _ in range(len(events) // 2)]
    blows = [*singles, *others, *pairs]
    rng.shuffle(blows)
    return [Case(run, number, tuple(one)) for number, one in enumerate(blows)]


def _signal(rng: random.Random) -> str:
    return rng.choices(SIGNALS, (2, 1, 1))[0]


def _before(event: Event, rng: random.Random) -> Blow:
    return Blow(_signal(rng), "before an event", event.number)


def _after(event: Event, events: Sequence[Event], seconds: float, rng: random.Random) -> Blow:
    ends = events[event.number + 1].seconds if event.number + 1 < len(events) else seconds
    return Blow(_signal(rng), "after an event", event.number, round(rng.random() * (ends - event.seconds), 5))


def _any(seconds: float, rng: random.Random) -> Blow:
    return Blow(_signal(rng), "any moment", None, round(rng.random() * seconds, 3))


def _pair(events: Sequence[Event], seconds: float, rng: random.Random) -> list[Blow]:
    one, other = (_before(rng.choice(events), rng), _after(rng.choice(events), events, seconds, rng))
    if rng.random() < 0.5:
        return [one, other]
    delay = round(rng.choice((0.0, 0.002, 0.05)) * rng.random(), 5)
    signal = rng.choice(SIGNALS[1:])  # after which a process still does something
    return [Blow(signal, one.aim, one.event, second=_signal(rng), second_seconds=delay)]
