"""Behavioural tests of a classifier (CheckList): which it fails, how often, and in which texts."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from itertools import takewhile
from statistics import fmean
from typing import Any

from alum.attacks.text.searches.input_reduction import as_read
from alum.attacks.text.worded import Example
from alum.core.errors import InputError, unknown_name
from alum.evaluation.behaviour.label_roles import LabelRoles
from alum.evaluation.behaviour.outcomes import TOLERANCE, Failure, Judge, asked, in_parts
from alum.evaluation.behaviour.sentences import Role
from alum.evaluation.behaviour.table import BEHAVIOURS, Behaviour, Case, ReadRow
from alum.evaluation.kinds.base import TextVictim
from alum.evaluation.scores.statistics import mean_interval
from alum.reports.checklist.page import write_checklist_page
from alum.reports.checklist.terminal import show_checklist
from alum.stages.checklist.arguments import ChecklistArguments
from alum.stages.classified_rows.loading import ClassifiedRows, load_classified_rows
from alum.stages.evaluation.progress import EvaluationProgress
from alum.stages.record_folder import opened_for_record
from alum.stages.runs.environment import environment
from alum.stages.runs.folder import write_json

_RECORD = "checklist.json"
_PAGE = "report.html"
_TEXTS_AT_ONCE = 512


@dataclass(frozen=True)
class FailureRate:
    """Share of cases that failed, between the ends of its 95 % interval."""

    num_cases: int
    num_failures: int
    failure_rate: float
    low: float
    high: float


@dataclass(frozen=True)
class TestedBehaviour:
    """Outcome of a test: what it is, how many of its cases failed, and all of these, the gravest first."""

    name: str
    capability: str
    kind: str
    statement: str
    num_texts: int
    rate: FailureRate
    failures: tuple[Failure, ...]


@dataclass(frozen=True)
class ChecklistResult:
    """Outcomes of behavioural tests of a classifier, and of their capabilities, all tests of one together.

    ``num_rows`` were drawn of ``num_rows_available``. ``labels`` are those that tests speak of, by what they mean;
    ``left_out`` says why a test was not run.
    """

    model: str
    rows: str
    num_rows: int
    num_rows_available: int
    labels: dict[Role, str]
    tolerance: float
    tests: tuple[TestedBehaviour, ...]
    capabilities: dict[str, FailureRate]
    left_out: dict[str, str]
    num_shown: int
    environment: dict[str, Any]

    def show(self) -> None:
        """Prints the failure rate of each test and capability, and some failures."""
        show_checklist(asdict(self))


def checklist(arguments: ChecklistArguments) -> ChecklistResult:
    """Tests how a classifier behaves where it is known what it should say, or that its answer should stay.

    Ribeiro et al. 2020, arXiv:2005.04118; the tests and their differences from the paper are in
    `alum.evaluation.behaviour.table`. With an ``output_dir`` writes ``checklist.json`` and ``report.html``. Raises
    `InputError` for models, rows and labels that cannot be used, and for a folder that holds something else.
    """
    with opened_for_record(arguments, "checklist", _RECORD) as folder:
        result = _measured(arguments)
        if folder is not None:
            write_json(folder / _RECORD, asdict(result))
            write_checklist_page(folder / _PAGE, asdict(result))
    return result


def _measured(arguments: ChecklistArguments) -> ChecklistResult:
    for name in arguments.tests:
        if name not in BEHAVIOURS:
            raise unknown_name("test", name, BEHAVIOURS)
    loaded = load_classified_rows(arguments)
    given: dict[Role, str | None] = {
        "positive": arguments.positive_label, "negative": arguments.negative_label, "same": arguments.same_label
    }  # fmt: skip
    roles = LabelRoles.of(loaded.label_names, loaded.text_columns, given)
    chosen, left_out = _chosen(arguments, roles)
    rows = [ReadRow(row.number, _as_read(row.example, loaded.victim), row.text) for row in loaded.rows]
    cases = {name: _as_far_as_read(one.cases(rows, arguments.seed), loaded.victim) for name, one in chosen.items()}
    left_out |= {name: _why_none(chosen[name]) for name, found in cases.items() if not found}
    cases = {name: found for name, found in cases.items() if found}
    if not cases:
        raise InputError(f"no test is left: {'; '.join(f'{name}: {why}' for name, why in left_out.items())}.")
    failures = _failures(loaded, Judge(loaded.label_names, roles.label_of), cases)
    tests = tuple(_tested(BEHAVIOURS[name], found, failures[name]) for name, found in cases.items())
    by_capability: dict[str, list[str]] = {}
    for test in tests:
        by_capability.setdefault(test.capability, []).append(test.name)
    return ChecklistResult(
        model=arguments.model_name_or_path,
        rows=arguments.validation_file,
        num_rows=len(rows),
        num_rows_available=loaded.num_rows_available,
        labels={role: loaded.label_names[index] for role, index in roles.label_of.items()},
        tolerance=TOLERANCE,
        tests=tests,
        capabilities={
            capability: _rate_of_several([cases[name] for name in names], [failures[name] for name in names])
            for capability, names in by_capability.items()
        },
        left_out=left_out,
        num_shown=arguments.num_examples,
        environment=environment(),
    )


def _chosen(arguments: ChecklistArguments, roles: LabelRoles) -> tuple[dict[str, Behaviour], dict[str, str]]:
    """Tests to run, and why others are not; of those for another number of texts only where they are asked for."""
    wanted = {name: one for name, one in BEHAVIOURS.items() if name in (arguments.tests or BEHAVIOURS)}
    obstacles = {name: roles.obstacle(one) for name, one in wanted.items()}
    left_out = {name: why for name, why in obstacles.items() if why and (arguments.tests or roles.fits(wanted[name]))}
    return {name: one for name, one in wanted.items() if obstacles[name] is None}, left_out


def _why_none(behaviour: Behaviour) -> str:
    if behaviour.written is not None:
        return "its sentences are longer than the model reads"
    return "no row has what it changes, where the model reads it"


def _as_read(example: Example, victim: TextVictim) -> Example:
    """Example without what stands behind the part of its texts that is read."""
    read = victim.characters_read(example)
    return reduce(lambda texts, index: as_read(texts, index, read), range(len(example)), example)


def _as_far_as_read(cases: Iterable[Case], victim: TextVictim) -> list[Case]:
    """Cases without the changed texts of which the model does not read the change, which it could not fail."""
    found = []
    for case in cases:
        changed = tuple(one for one in case.changed if _reads_change(case.original, one, victim))
        if changed:
            found.append(replace(case, changed=changed))
    return found


def _reads_change(original: Example | None, changed: Example, victim: TextVictim) -> bool:
    read = victim.characters_read(changed)
    before = ("",) * len(changed) if original is None else original
    return all(own >= _end_of_change(*texts) for own, *texts in zip(read, before, changed, strict=True))


def _end_of_change(old: str, new: str) -> int:
    """Number of characters of the new text up to where it goes on as the old one ends."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(reversed(old), reversed(new), strict=False))
    return len(new) - len(list(alike))


def _failures(
    loaded: ClassifiedRows, judge: Judge, cases: Mapping[str, Sequence[Case]]
) -> dict[str, list[Failure | None]]:
    """Failure of each case of each test, None where it does as expected."""
    found: dict[str, list[Failure | None]] = {}
    num_texts = sum(len(asked(case)) for own in cases.values() for case in own)
    with EvaluationProgress().shown("asking", num_texts, "texts") as done:
        for name, own in cases.items():
            found[name] = []
            for part in in_parts(own, _TEXTS_AT_ONCE):
                outputs = loaded.victim([example for case in part for example in asked(case)])
                start = 0
                for case in part:
                    end = start + len(asked(case))
                    found[name].append(judge.failure(BEHAVIOURS[name], case, outputs[start:end]))
                    start = end
                done(start)
    return found


def _tested(behaviour: Behaviour, cases: Sequence[Case], failures: Sequence[Failure | None]) -> TestedBehaviour:
    return TestedBehaviour(
        name=behaviour.name,
        capability=behaviour.capability,
        kind=behaviour.kind,
        statement=behaviour.statement,
        num_texts=sum(len(case.changed) for case in cases),
        rate=_rate(failures),
        failures=tuple(sorted((one for one in failures if one is not None), key=lambda one: -one.shortfall)),
    )


def _rate(failures: Sequence[Failure | None], rows: Sequence[Hashable] | None = None) -> FailureRate:
    """Failure rate of cases; where the ``rows`` that they are of are given, those of one are drawn together."""
    failed = [float(failure is not None) for failure in failures]
    low, high = mean_interval(failed, rows)
    return FailureRate(len(failed), int(sum(failed)), fmean(failed), low, high)


def _rate_of_several(cases: Sequence[Sequence[Case]], failures: Sequence[Sequence[Failure | None]]) -> FailureRate:
    if len(cases) == 1:
        return _rate(failures[0])
    rows = [
        f"{test} {number}" if case.row is None else case.row
        for test, own in enumerate(cases)
        for number, case in enumerate(own)
    ]
    return _rate([failure for own in failures for failure in own], rows)
