"""Many searches side by side, whose questions are put to the victim together."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from alum.attacks.search import AttackResult, Outputs, Search
from alum.attacks.words import Example

# Outputs ``[examples, …]`` for any number of examples, in their order, each whatever the others are.
Victim = Callable[[list[Example]], Outputs]


def run_searches(
    victim: Victim, searches: Iterable[Search], num_parallel: int = 32
) -> Iterator[tuple[int, AttackResult]]:
    """The number of each search and its result, as soon as it ends.

    ``num_parallel`` searches run at a time, and further ones are taken from ``searches`` as these end. How many they
    are changes no result, as long as the victim's answers do not depend on what it is asked beside.
    """
    waiting = enumerate(searches)
    running: dict[int, tuple[Search, list[Example]]] = {}
    while True:
        while len(running) < num_parallel and (new := next(waiting, None)) is not None:
            number, search = new
            running[number] = (search, next(search))
        if not running:
            return
        outputs = victim([example for _, questions in running.values() for example in questions])
        start, ended = 0, []
        for number, (search, questions) in running.items():
            answers = outputs[start : start + len(questions)]
            start += len(questions)
            try:
                running[number] = (search, search.send(answers))
            except StopIteration as stop:
                ended.append((number, stop.value))
        for number, result in ended:
            del running[number]
            yield number, result


@dataclass
class CachedVictim:
    """A victim that is asked about each example once, as long as the ``max_entries`` latest answers go back.

    Examples are known by a digest of 16 bytes, so that long texts take no more memory than short ones.
    """

    victim: Victim
    max_entries: int = 100_000
    num_asked: int = field(default=0, init=False)
    _known: "OrderedDict[bytes, Outputs]" = field(default_factory=OrderedDict, init=False, repr=False)

    def __call__(self, examples: list[Example]) -> Outputs:
        keys = [_digest(example) for example in examples]
        rows = {key: self._known[key] for key in keys if key in self._known}
        new = {key: example for key, example in zip(keys, examples, strict=True) if key not in rows}
        if new:
            self.num_asked += len(new)
            # Copies, since a row of an array keeps all of it in memory.
            rows |= zip(new, map(np.array, self.victim(list(new.values()))), strict=True)
        for key in keys:
            self._known[key] = rows[key]
            self._known.move_to_end(key)
        while len(self._known) > self.max_entries:
            self._known.popitem(last=False)
        return np.stack([rows[key] for key in keys])


def _digest(example: Example) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for text in example:
        content = text.encode("utf-8", "surrogatepass")
        found.update(len(content).to_bytes(8, "big"))
        found.update(content)
    return found.digest()
