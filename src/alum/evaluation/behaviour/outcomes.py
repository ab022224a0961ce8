"""Outcomes of behavioural tests: which cases a classifier fails, and what it says in them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alum.attacks.text.protocol import VictimOutputs
from alum.attacks.text.worded import Example
from alum.evaluation.behaviour.sentences import Role
from alum.evaluation.behaviour.table import Behaviour, Case, Expectation

TOLERANCE = 0.1
"""By how much a label may become less likely that should not, as in Ribeiro et al. 2020."""


@dataclass(frozen=True)
class LikelyLabel:
    """Label with the probability that a classifier gives it."""

    label: str
    probability: float


@dataclass(frozen=True)
class Failure:
    """Case that failed, with the changed text that is furthest from what was expected.

    ``before`` and ``after`` are the answers to the original text and the changed one or, where a label should be no
    less likely, that label's probabilities. Without an original there is nothing before. ``shortfall`` is by how much
    of probability the changed text misses what was expected.
    """

    shortfall: float
    row: int | None
    original: Example | None
    changed: Example
    expected: str
    before: LikelyLabel | None
    after: LikelyLabel


@dataclass(frozen=True)
class Judge:
    """Tells which cases fail, by the probabilities of the labels."""

    label_names: Sequence[str]
    label_of: Mapping[Role, int]

    def failure(self, behaviour: Behaviour, case: Case, outputs: VictimOutputs) -> Failure | None:
        """Failure of a case, None where it does as expected.

        ``outputs`` are probabilities ``[examples, classes]`` of its original, where it has one, and its changed texts.
        """
        before = None if case.original is None else outputs[0]
        after = outputs if before is None else outputs[1:]
        answer = None if before is None else int(before.argmax())
        label = answer if case.role is None else self.label_of[case.role]
        assert label is not None, "cases without a label have an original"
        short = shortfalls(behaviour.expects, label, before, after)
        worst = int(short.argmax())
        if short[worst] <= 0:
            return None
        shown = label if behaviour.expects == "no_less_likely" else int(after[worst].argmax())
        was = label if behaviour.expects == "no_less_likely" else answer
        return Failure(
            shortfall=float(short[worst]),
            row=case.row,
            original=case.original,
            changed=case.changed[worst],
            expected=self._words(behaviour.expects, label),
            before=None if before is None or was is None else LikelyLabel(self.label_names[was], float(before[was])),
            after=LikelyLabel(self.label_names[shown], float(after[worst][shown])),
        )

    def _words(self, expects: Expectation, label: int) -> str:
        name = self.label_names[label]
        return {"no_less_likely": f"{name} no less likely", "other_answer": f"not {name}"}.get(expects, name)


def shortfalls(
    expects: Expectation, label: int, before: NDArray[np.float64] | None, after: VictimOutputs
) -> NDArray[np.float64]:
    """By how much of probability changed texts miss what is expected ``[changed]``, 0 or less where they do not.

    ``label`` is what should be the answer, not be it, or be no less likely than ``before``, the outputs ``[classes]``
    at the original.
    """
    own, others = after[:, label], np.delete(after, label, axis=1).max(1)
    if expects == "no_less_likely":
        assert before is not None, "it is compared with an original"
        return np.asarray(before[label] - own - TOLERANCE)
    is_answer = after.argmax(1) == label
    fails = is_answer if expects == "other_answer" else ~is_answer
    return np.where(fails, np.maximum(np.abs(own - others), np.finfo(float).tiny), 0.0)  # of a tie one is the answer


def asked(case: Case) -> list[Example]:
    """Examples of a case that the classifier is asked about, the original first."""
    return [*([] if case.original is None else [case.original]), *case.changed]


def in_parts(cases: Sequence[Case], most: int) -> Iterator[list[Case]]:
    """Cases in parts of at least one and of about so many examples."""
    part: list[Case] = []
    for case in cases:
        part.append(case)
        if sum(len(asked(one)) for one in part) >= most:
            yield part
            part = []
    if part:
        yield part
