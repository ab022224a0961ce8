"""Questions that arms answer against each other: contrasts paired by seed, with p-values corrected for their number."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import NamedTuple

from scipy.stats import ttest_1samp

from alum.evaluation.scores.statistics import holm
from benchmarks.tables import markdown_table
from studies.evidence.reading.figures import Figure
from studies.evidence.reading.findings import Difference, Findings, difference_of

LEAST_SEEDS = 3


@dataclass(frozen=True)
class Question:
    """What is asked, as the sum of some arms less the sum of others."""

    text: str
    more: tuple[str, ...]
    less: tuple[str, ...]


VIRTUAL, BOTH, MASKS, STANDARD = "virtual", "virtual, independent masks", "R-Drop", "standard"
NOISE, NOISE_AND_MASKS = "noise of its divergence", "noise of that median radius, independent masks"

QUESTIONS = (
    Question("masks that differ, alone", (MASKS,), (STANDARD,)),
    Question("the adversary, alone", (VIRTUAL,), (STANDARD,)),
    Question("noise of the adversary's divergence, alone", (NOISE,), (STANDARD,)),
    Question("the adversary, added to masks that differ", (BOTH,), (MASKS,)),
    Question("masks that differ, added to the adversary", (BOTH,), (VIRTUAL,)),
    Question("both together, beyond the sum of each alone", (BOTH, STANDARD), (MASKS, VIRTUAL)),
    Question("the adversary in place of noise", (VIRTUAL,), (NOISE,)),
    Question("the adversary in place of noise, where masks differ", (BOTH,), (NOISE_AND_MASKS,)),
    Question("the model's own direction in place of the loss's", (VIRTUAL,), ("one-pass",)),
    Question("the paper's constants in place of no δ at all", ("as published",), (MASKS,)),
    Question("α 3 in place of 1, without a δ", ("R-Drop, α 3",), (MASKS,)),
    Question("α 10 in place of 3, without a δ", ("R-Drop, α 10",), ("R-Drop, α 3",)),
    Question(
        "the adversary and masks, α 3, after 4 epochs, in place of masks with α 3",
        ("virtual, independent masks, α 3, after 4 epochs",),
        ("R-Drop, α 3",),
    ),
    Question("the adversary and masks in place of masks with α 3", (BOTH,), ("R-Drop, α 3",)),
    Question("the adversary in place of more training at its cost", (VIRTUAL,), ("standard, at the cost of virtual",)),
)


class Answer(NamedTuple):
    """A contrast in one figure: over how many seeds, its mean and interval, and its p-value, corrected."""

    question: Question
    figure: Figure
    num_seeds: int
    difference: Difference
    p_value: float

    @property
    def is_told_from_chance(self) -> bool:
        return self.p_value < 0.05

    @property
    def is_better(self) -> bool:
        return (self.difference.mean > 0) == (self.figure.better == "higher")


def answers(findings: Findings) -> list[Answer]:
    """Answers to the questions whose arms are there with three seeds or more.

    p-values are those of Student's paired t-test, corrected by Holm's rule over all questions and figures of the study.
    """
    found: list[tuple[Question, Figure, list[float]]] = []
    for question in QUESTIONS:
        arms = [findings.arms.get(arm, {}) for arm in (*question.more, *question.less)]
        seeds = sorted(set.intersection(*map(set, arms)))
        if len(seeds) < LEAST_SEEDS:
            continue
        for figure in findings.differences:
            values = [_contrast(findings, question, figure, seed) for seed in seeds]
            found.append((question, figure, values))
    corrected = holm([_p_value(values) for _, _, values in found])
    return [
        Answer(question, figure, len(values), difference_of(values), p_value)
        for (question, figure, values), p_value in zip(found, corrected, strict=True)
    ]


def _contrast(findings: Findings, question: Question, figure: Figure, seed: int) -> float:
    more, less = (sum(figure.of(findings.arms[arm][seed]) for arm in arms) for arms in (question.more, question.less))
    return more - less


def _p_value(values: Sequence[float]) -> float:
    return float(ttest_1samp(values, 0.0).pvalue) if stdev(values) else float(not any(values))


def answers_table(findings: Findings) -> str:
    """A row for each question, a column for each figure: the contrast, its interval, the corrected p-value."""
    rows: dict[Question, list[Answer]] = {}
    for answer in answers(findings):
        rows.setdefault(answer.question, []).append(answer)
    if not rows:
        return f"No question has {LEAST_SEEDS} seeds yet."
    heads = ["seeds", *(f"{figure.name} ({figure.better} is better)" for figure in findings.differences)]
    cells = [[question.text, str(found[0].num_seeds), *map(_cell, found)] for question, found in rows.items()]
    return markdown_table(["what is changed", *heads], cells)


def _cell(answer: Answer) -> str:
    p_value = "p < 0.001" if answer.p_value < 0.001 else f"p = {answer.p_value:.3f}"
    shown = f"{answer.difference}, {p_value}"
    return f"**{shown}**" if answer.is_told_from_chance else shown


def told_apart(findings: Findings) -> str:
    """What the answers come to in words: what is told from chance, in which figure and by how much, and what is not."""
    found = answers(findings)
    lines = []
    for question in dict.fromkeys(answer.question for answer in found):
        effects = [
            f"{answer.figure.name} **{'better' if answer.is_better else 'worse'}** by {abs(answer.difference.mean):.3f}"
            for answer in found
            if answer.question == question and answer.is_told_from_chance
        ]
        lines += [f"  - {question.text}: {', '.join(effects)};"] if effects else []
    seen = {answer.question for answer in found if answer.is_told_from_chance}
    unseen = [question.text for question in dict.fromkeys(answer.question for answer in found) if question not in seen]
    lines += [f"  - not told from chance: {'; '.join(unseen)}."] if unseen else []
    return "\n".join([f"- **{findings.study}**", *lines]) if found else ""
