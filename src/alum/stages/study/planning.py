"""Plan of a study: which cells it needs next, and those that its page is made from, as far as its ledger tells.

Some cells follow from the records of others: the values that a search chose, the divergence that a control is to have,
the cost that standard training is given. These are known per task and seed, so that further seeds change no cell.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from alum.core.errors import InputError
from alum.stages.study.inputs import StudyInputs
from alum.stages.study.ledger import Cell, Ledger, cell_of
from alum.stages.study.settings import COST_OF_DEAREST, DIVERGENCE_OF, STANDARD, Study

_DIGITS = 4


class CellPlace(NamedTuple):
    """Place of a cell in the study."""

    task: str
    arm: str
    seed: int


@dataclass(frozen=True)
class Choice:
    """Outcome of a search: each combination with its mean validation score, and the one that was chosen."""

    task: str
    arm: str
    metric: str
    tried: tuple[tuple[Mapping[str, Any], float], ...]
    chosen: Mapping[str, Any]


@dataclass(frozen=True)
class StudyPlan:
    """Plan of a study as its ledger stands; made anew when a cell is finished."""

    study: Study
    inputs: StudyInputs
    ledger: Ledger

    def places(self) -> Iterator[CellPlace]:
        for seed, task, arm in itertools.product(self.study.seeds, self.study.tasks, self.study.arms):
            yield CellPlace(task, arm, seed)

    def cells(self) -> dict[CellPlace, Cell]:
        """Cells that the page is made from, those that are known by now."""
        found = {place: self.cell(place) for place in self.places()}
        return {place: cell for place, cell in found.items() if cell is not None}

    def missing(self) -> list[Cell]:
        """Cells that can be trained now and are not finished, each once: those of searches first."""
        wanted = [*self._search_cells(), *self.cells().values()]
        return list({cell.key: cell for cell in wanted if self.ledger.record(cell) is None}.values())

    def is_finished(self) -> bool:
        found = self.cells()
        return all(place in found and self.ledger.record(found[place]) for place in self.places())

    def cell(self, place: CellPlace) -> Cell | None:
        """Cell at a place; None while it depends on others that are not finished."""
        settings = self._settings(place)
        if settings is None:
            return None
        return cell_of(place.task, place.arm, settings, place.seed, self.inputs, self.study.evaluation)

    def choice(self, task: str, arm: str) -> Choice | None:
        """Outcome of the search for an arm on a task; None where none was asked for, or it is not finished."""
        if not self.study.search.get(arm):
            return None
        metric = self.inputs.main_metrics[task]
        tried = []
        for values in self.study.searched(arm):
            records = [self.ledger.record(cell) for cell in self._searching(task, arm, values)]
            scores = [record["metrics"][metric] for record in records if record is not None]
            if len(scores) < len(records):
                return None
            tried.append((values, fmean(scores)))
        # Of equals the one that comes first as text: the order of a file decides nothing.
        best = min(tried, key=lambda one: (-one[1], json.dumps(one[0], sort_keys=True)))
        return Choice(task, arm, metric, tuple(tried), best[0])

    def _search_cells(self) -> Iterator[Cell]:
        for task, arm in itertools.product(self.study.tasks, self.study.search):
            for values in self.study.searched(arm):
                yield from self._searching(task, arm, values)

    def _searching(self, task: str, arm: str, values: Mapping[str, Any]) -> Iterator[Cell]:
        for seed in self.study.search_seeds:
            settings = self._matched({**self._given(task, arm), **values}, CellPlace(task, arm, seed))
            if settings is not None:
                yield cell_of(task, arm, settings, seed, self.inputs, None)

    def _given(self, task: str, arm: str) -> dict[str, Any]:
        """Settings of an arm on a task, before anything is chosen or matched."""
        settings = {**self.study.tasks[task], **self.study.arms[arm]}
        return {name: value for name, value in settings.items() if name not in (DIVERGENCE_OF, COST_OF_DEAREST)}

    def _settings(self, place: CellPlace) -> dict[str, Any] | None:
        """Settings of a cell in full; None while they depend on cells that are not finished."""
        task, arm, _ = place
        given = self._given(task, arm)
        chosen: Mapping[str, Any] = {}
        source = STANDARD if COST_OF_DEAREST in self.study.arms[arm] else arm
        if self.study.search.get(source):
            choice = self.choice(task, source)
            if choice is None:
                return None
            chosen = choice.chosen
        return self._matched({**given, **chosen}, place)

    def _matched(self, settings: dict[str, Any], place: CellPlace) -> dict[str, Any] | None:
        """Settings with the divergence or the length that other arms' cells of the same task and seed say."""
        arm = self.study.arms[place.arm]
        if DIVERGENCE_OF in arm:
            record = self._record(place._replace(arm=arm[DIVERGENCE_OF]))
            if record is None:
                return None
            if not record["divergence"]:
                raise InputError(
                    f"{place.task}, {place.arm}, seed {place.seed}: {arm[DIVERGENCE_OF]} has a divergence of "
                    f"{record['divergence']}, which no noise can be made to have."
                )
            return {**settings, "adv_target_divergence": _rounded(record["divergence"])}
        if COST_OF_DEAREST not in arm:
            return settings
        ratio = self._cost_ratio(place, f"train_{arm[COST_OF_DEAREST]}")
        return None if ratio is None else _longer(settings, ratio)

    def _cost_ratio(self, place: CellPlace, unit: str) -> float | None:
        """Cost of the dearest arm over that of standard training, at least 1; None while it is not known."""
        others = [arm for arm, own in self.study.arms.items() if COST_OF_DEAREST not in own]
        records = {arm: self._record(place._replace(arm=arm)) for arm in others}
        costs = {arm: record[unit] for arm, record in records.items() if record is not None}
        if len(costs) < len(others):
            return None
        if not costs[STANDARD]:
            raise InputError(f"{place.task}, seed {place.seed}: the cost of {STANDARD} was not counted ({unit}).")
        return max(1.0, *(float(cost / costs[STANDARD]) for cost in costs.values()))

    def _record(self, place: CellPlace) -> dict[str, Any] | None:
        cell = self.cell(place)
        return None if cell is None else self.ledger.record(cell)


def _longer(settings: dict[str, Any], ratio: float) -> dict[str, Any]:
    """Settings of a training ``ratio`` times as long, whose schedule is as much longer."""
    if settings.get("max_steps", -1) > 0:
        return {**settings, "max_steps": round(settings["max_steps"] * ratio)}
    return {**settings, "num_train_epochs": _rounded(settings.get("num_train_epochs", 3.0) * ratio)}


def _rounded(value: float) -> float:
    """Value with as many digits as matter, so that a cell's key does not hang on a last bit."""
    return float(f"{value:.{_DIGITS}g}")
