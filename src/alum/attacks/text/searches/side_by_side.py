"""Running many searches side by side, so that the victim gets their examples in common batches."""

from collections.abc import Callable, Iterable, Iterator

from alum.attacks.text.protocol import AttackResult, Search, VictimOutputs
from alum.attacks.text.worded import Example

# Outputs ``[examples, …]`` for any number of examples, in their order, each whatever the others are.
Victim = Callable[[list[Example]], VictimOutputs]


def run_searches(
    victim: Victim, searches: Iterable[Search], num_parallel: int = 32
) -> Iterator[tuple[int, AttackResult]]:
    """Runs searches and yields the number and the result of each as soon as it ends.

    ``num_parallel`` searches run at a time, and further ones are taken from ``searches`` as these end. How many they
    are changes no result, as long as the victim's outputs do not depend on what it is asked beside.
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
            own = outputs[start : start + len(questions)]
            start += len(questions)
            try:
                running[number] = (search, search.send(own))
            except StopIteration as stop:
                ended.append((number, stop.value))
        for number, result in ended:
            del running[number]
            yield number, result
