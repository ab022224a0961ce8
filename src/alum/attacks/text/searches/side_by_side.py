"""Running many searches side by side, so that the victim, and what else is asked, gets questions in common batches."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from alum.attacks.text.protocol import Asked, Consultation, VictimOutputs
from alum.attacks.text.worded import Example

# Outputs ``[examples, …]`` for any number of examples, in their order, each whatever the others are.
Victim = Callable[[list[Example]], VictimOutputs]
Result = TypeVar("Result")


def run_searches(
    victim: Victim, searches: Iterable[Generator[Asked, Any, Result]], num_parallel: int = 32
) -> Iterator[tuple[int, Result]]:
    """Runs searches and yields the number and the result of each as soon as it ends.

    ``num_parallel`` searches run at a time, and further ones are taken from ``searches`` as these end. How many they
    are changes no result, as long as no answer depends on what is asked beside.
    """
    waiting = enumerate(searches)
    running: dict[int, tuple[Generator[Asked, Any, Result], Asked]] = {}
    while True:
        while len(running) < num_parallel and (new := next(waiting, None)) is not None:
            number, search = new
            running[number] = (search, next(search))
        if not running:
            return
        answers = _answers(victim, {number: asked for number, (_, asked) in running.items()})
        ended = []
        for number, (search, _) in running.items():
            try:
                running[number] = (search, search.send(answers[number]))
            except StopIteration as stop:
                ended.append((number, stop.value))
        for number, result in ended:
            del running[number]
            yield number, result


def _answers(victim: Victim, asked: Mapping[int, Asked]) -> dict[int, Any]:
    """Answers to what searches ask by their numbers, the questions to each that is asked put together."""
    answers: dict[int, Any] = {}
    consulted: dict[Callable[[Sequence[Any]], Sequence[Any]], dict[int, Any]] = {}
    questions: dict[int, list[Example]] = {}
    for number, own in asked.items():
        if isinstance(own, Consultation):
            consulted.setdefault(own.ask, {})[number] = own.question
        else:
            questions[number] = own
    if questions:
        outputs = victim([example for own in questions.values() for example in own])
        start = 0
        for number, own in questions.items():
            answers[number] = outputs[start : start + len(own)]
            start += len(own)
    for ask, by_number in consulted.items():
        answers |= zip(by_number, ask(list(by_number.values())), strict=True)
    return answers
