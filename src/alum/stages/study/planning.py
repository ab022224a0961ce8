"""Plan of a study: which cells it needs next, and those that its page is made from, as far as its ledger tells.

Some cells follow from the records of others: fine-tunings from pre-trainings, and from other arms the values that a
search chose, the divergence that a control is to have, the cost that standard training is given. These are known per
task and seed, so that further seeds change no cell.
"""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from alum.core.errors import InputError
from alum.stages.study.cells.finetune_cell import FinetuneCell
from alum.stages.study.cells.ledger import DIVERGED, Cell, Ledger
from alum.stages.study.cells.pretrain_cell import PretrainCell
from alum.stages.study.inputs import StudyInputs
from alum.stages.study.settings import COST_OF_DEAREST, DIVERGENCE_OF, PRETRAIN, STANDARD, Study

LOSS = "loss"
_DIGITS = 4
_EPOCHS = {PRETRAIN: 1.0, None: 3.0}  # where nothing is said


class CellPlace(NamedTuple):
    """Place of a cell in the study; the task may be a text, on which a pre-training is measured."""

    task: str
    arm: str
    seed: int


@dataclass(frozen=True)
class Choice:
    """Outcome of a search: each combination with its mean validation score, and the one that was chosen.

    The score is minus infinity where training diverged with a seed.

    ``task`` is None for a search of pre-training, which is by the loss on validation texts.
    """

    task: str | None
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
        study = self.study
        for seed, task, arm in itertools.product(study.seeds, (*study.texts, *study.tasks), study.arms):
            if task in study.tasks or study.pretrains(arm):
                yield CellPlace(task, arm, seed)

    def cells(self) -> dict[CellPlace, Cell]:
        """Cells that the page is made from, those that are known by now."""
        found = {place: self.cell(place) for place in self.places()}
        return {place: cell for place, cell in found.items() if cell is not None}

    def pretrainings(self) -> list[PretrainCell]:
        """Pre-trainings that the study needs, searches among them, those that are known by now."""
        arms = [arm for arm in self.study.arms if self.study.pretrains(arm)]
        found = [self.pretraining(arm, seed) for seed, arm in itertools.product(self.study.seeds, arms)]
        for seed, arm in itertools.product(self.study.search_seeds, arms):
            if self.study.is_searched(arm):
                found.append(self.pretraining(arm, seed, is_measured=False))
        return [*self._pretraining_searches(), *(cell for cell in found if cell is not None)]

    def missing(self) -> list[Cell]:
        """Cells that can be trained now and are not finished, each once: those of searches first."""
        wanted = [*self.pretrainings(), *self._search_cells(), *self.cells().values()]
        return list({cell.key: cell for cell in wanted if self.ledger.record(cell) is None}.values())

    def is_finished(self) -> bool:
        found = self.cells()
        return all(place in found and self.ledger.record(found[place]) for place in self.places())

    def cell(self, place: CellPlace) -> Cell | None:
        """Cell at a place; None while it depends on others that are not finished."""
        if place.task in self.study.tasks:
            return self._finetuning(place)
        return self.pretraining(place.arm, place.seed)

    # -- pre-training ------------------------------------------------------------------------------------------------

    def pretraining(self, arm: str, seed: int, is_measured: bool = True) -> PretrainCell | None:
        """Pre-training of an arm with a seed; None while it depends on cells that are not finished."""
        chosen: Mapping[str, Any] = {}
        source = STANDARD if COST_OF_DEAREST in self.study.arms[arm] else arm
        if self.study.is_pretraining_searched(source):
            choice = self.pretraining_choice(source)
            if choice is None:
                return None
            chosen = choice.chosen
        settings: dict[str, Any] | None = {**self.study.pretraining_of(arm), **chosen}
        assert settings is not None
        other = settings.pop(DIVERGENCE_OF, None)
        if other is not None:
            settings = self._with_divergence(settings, other, self.pretraining(other, seed), f"{arm}, seed {seed}")
        elif unit := self.study.arms[arm].get(COST_OF_DEAREST):
            ratio = self._pretraining_ratio(seed, f"train_{unit}")
            settings = None if ratio is None else _longer(settings, ratio, PRETRAIN)
        return None if settings is None else self._pretrain_cell(arm, settings, seed, is_measured)

    def pretraining_choice(self, arm: str) -> Choice | None:
        """Outcome of the search for an arm's pre-training; None where none was asked for, or it is not finished."""
        if not self.study.is_pretraining_searched(arm):
            return None
        tried = []
        for values in self.study.searched_pretraining(arm):
            records = [self.ledger.record(cell) for cell in self._searching_pretraining(arm, values)]
            losses = [validation_loss(record) for record in records if record is not None]
            if len(losses) < len(records):
                return None
            tried.append((values, fmean(losses)))
        return Choice(None, arm, LOSS, tuple(tried), _best(tried, least=True))

    def _pretraining_searches(self) -> Iterator[PretrainCell]:
        for arm in self.study.search:
            if self.study.is_pretraining_searched(arm):
                for values in self.study.searched_pretraining(arm):
                    yield from self._searching_pretraining(arm, values)

    def _searching_pretraining(self, arm: str, values: Mapping[str, Any]) -> Iterator[PretrainCell]:
        for seed in self.study.search_seeds:
            yield self._pretrain_cell(arm, {**self.study.pretraining_of(arm), **values}, seed, is_measured=False)

    def _pretrain_cell(self, arm: str, settings: Mapping[str, Any], seed: int, is_measured: bool) -> PretrainCell:
        base, tokenizer = settings.get("model_name_or_path"), settings.get("tokenizer_name")
        return PretrainCell(
            arm=arm,
            settings=settings,
            seed=seed,
            texts=self.inputs.texts,
            model=None if base is None else self.inputs.models[base],
            tokenizer=None if tokenizer is None else self.inputs.models[tokenizer],
            held_out={name: self.inputs.held_out[name] for name in self.study.texts} if is_measured else None,
            is_fine_tuned=bool(self.study.tasks),
        )

    def _pretraining_ratio(self, seed: int, unit: str) -> float | None:
        """Cost of the dearest pre-training over that of the standard one, at least 1; None while it is not known."""
        records = {arm: self._record(self.pretraining(arm, seed)) for arm in self._rivals()}
        return _ratio(records, unit, f"pre-training, seed {seed}")

    # -- fine-tuning -------------------------------------------------------------------------------------------------

    def choice(self, task: str, arm: str) -> Choice | None:
        """Outcome of the search for an arm on a task; None where none was asked for, or it is not finished."""
        if not self.study.is_searched(arm):
            return None
        metric = self.inputs.main_metrics[task]
        tried = []
        for values in self.study.searched(arm):
            records = [self._record(cell) for cell in self._searching(task, arm, values)]
            scores = [
                -math.inf if DIVERGED in record else record["metrics"][metric]
                for record in records
                if record is not None
            ]
            if len(scores) < len(records):
                return None
            tried.append((values, fmean(scores)))
        if all(score == -math.inf for _, score in tried):
            raise InputError(
                f"{task}, {arm}: training diverged with all values of the search. Search smaller learning rates, or a "
                "longer warm-up."
            )
        return Choice(task, arm, metric, tuple(tried), _best(tried, least=False))

    def cost(self, place: CellPlace, unit: str) -> float | None:
        """Cost of a place's training, its pre-training included; None where it is not finished or was not counted."""
        record = self._record(self.cell(place))
        if record is None or not record[unit]:
            return None
        if place.task not in self.study.tasks or not self.study.pretrains(place.arm):
            return float(record[unit])
        before = self._record(self.pretraining(place.arm, place.seed))
        return None if before is None or not before[unit] else float(record[unit] + before[unit])

    def _search_cells(self) -> Iterator[FinetuneCell]:
        for task, arm in itertools.product(self.study.tasks, self.study.search):
            if self.study.is_searched(arm):
                for values in self.study.searched(arm):
                    yield from (cell for cell in self._searching(task, arm, values) if cell is not None)

    def _searching(self, task: str, arm: str, values: Mapping[str, Any]) -> Iterator[FinetuneCell | None]:
        for seed in self.study.search_seeds:
            yield self._finetune_cell(CellPlace(task, arm, seed), {**self._given(task, arm), **values}, is_search=True)

    def _given(self, task: str, arm: str) -> dict[str, Any]:
        """Settings of an arm on a task, before anything is chosen or matched."""
        settings = self.study.finetuning_of(task, arm)
        return {name: value for name, value in settings.items() if name not in (DIVERGENCE_OF, COST_OF_DEAREST)}

    def _finetuning(self, place: CellPlace) -> FinetuneCell | None:
        task, arm, seed = place
        own = self.study.arms[arm]
        chosen: Mapping[str, Any] = {}
        source = STANDARD if COST_OF_DEAREST in own else arm
        if self.study.is_searched(source):
            choice = self.choice(task, source)
            if choice is None:
                return None
            chosen = choice.chosen
        settings: dict[str, Any] | None = {**self._given(task, arm), **chosen}
        assert settings is not None
        if other := own.get(DIVERGENCE_OF):
            cell = self.cell(place._replace(arm=other))
            settings = self._with_divergence(settings, other, cell, f"{task}, {arm}, seed {seed}")
        elif unit := own.get(COST_OF_DEAREST):
            ratio = self._finetuning_ratio(place, f"train_{unit}")
            settings = None if ratio is None else _longer(settings, ratio, None)
        return None if settings is None else self._finetune_cell(place, settings, is_search=False)

    def _finetune_cell(self, place: CellPlace, settings: Mapping[str, Any], is_search: bool) -> FinetuneCell | None:
        """Fine-tuning at a place; None while the pre-training that it goes on from is not finished."""
        task, arm, seed = place
        if self.study.pretrains(arm):
            before = self.pretraining(arm, seed, is_measured=not is_search)
            if before is None or self.ledger.record(before) is None:
                return None
            model, pretrained = f"pre-training {before.model_key}", before.key
        else:
            model, pretrained = self.inputs.models[settings["model_name_or_path"]], None
        evaluation = None if is_search else self.study.evaluation
        return FinetuneCell(task, arm, settings, seed, self.inputs.tasks[task], model, evaluation, pretrained)

    def _finetuning_ratio(self, place: CellPlace, unit: str) -> float | None:
        """Cost of fine-tuning that is left of the dearest arm's, over that of the standard one.

        Pre-training has had that of the dearest pre-training.
        """
        rivals = self._rivals()
        records = {arm: self._record(self.cell(place._replace(arm=arm))) for arm in rivals}
        if not self.study.pretrains(STANDARD):
            return _ratio(records, unit, f"{place.task}, seed {place.seed}")
        before = {arm: self._record(self.pretraining(arm, place.seed)) for arm in rivals}
        spent, both = [], []
        for arm in rivals:
            first, second = before[arm], records[arm]
            if first is None or second is None:
                return None
            spent.append(first[unit] or 0.0)
            both.append((first[unit] or 0.0) + (second[unit] or 0.0))
        standard = (records[STANDARD] or {})[unit]
        if not standard:
            raise InputError(f"{place.task}, seed {place.seed}: the cost of {STANDARD} was not counted ({unit}).")
        return float((max(both) - max(spent)) / standard)

    # -- what stands between cells -----------------------------------------------------------------------------------

    def _rivals(self) -> list[str]:
        """Arms whose cost standard training may be given: all that have as many stages as it has, and it."""
        arms = [arm for arm, own in self.study.arms.items() if COST_OF_DEAREST not in own]
        return [arm for arm in arms if self.study.pretrains(arm) == self.study.pretrains(STANDARD)]

    def _with_divergence(
        self, settings: dict[str, Any], other: str, cell: Cell | None, where: str
    ) -> dict[str, Any] | None:
        """Settings with the divergence that another arm's cell has; None while that is not finished."""
        record = self._record(cell)
        if record is None:
            return None
        if not record["divergence"]:
            raise InputError(
                f"{where}: {other} has a divergence of {record['divergence']}, which no noise can be made to have."
            )
        return {**settings, "adv_target_divergence": _rounded(record["divergence"])}

    def _record(self, cell: Cell | None) -> dict[str, Any] | None:
        return None if cell is None else self.ledger.record(cell)


def validation_loss(record: Mapping[str, Any]) -> float:
    """Mean loss of a pre-training's record over its validation texts, in nats a token."""
    return fmean(of_text[LOSS] for of_text in record["metrics"].values())


def _best(tried: Sequence[tuple[Mapping[str, Any], float]], least: bool) -> Mapping[str, Any]:
    # Of equals the one that comes first as text: the order of a file decides nothing.
    sign = 1 if least else -1
    return min(tried, key=lambda one: (sign * one[1], json.dumps(one[0], sort_keys=True)))[0]


def _ratio(records: Mapping[str, Mapping[str, Any] | None], unit: str, where: str) -> float | None:
    """Cost of the dearest arm over that of standard training, at least 1; None while it is not known."""
    costs = {arm: record[unit] for arm, record in records.items() if record is not None}
    if len(costs) < len(records):
        return None
    if not costs[STANDARD]:
        raise InputError(f"{where}: the cost of {STANDARD} was not counted ({unit}).")
    return max(1.0, *(float(cost / costs[STANDARD]) for cost in costs.values()))


def _longer(settings: dict[str, Any], ratio: float, stage: str | None) -> dict[str, Any]:
    """Settings of a training ``ratio`` times as long, whose schedule is as much longer."""
    if settings.get("max_steps", -1) > 0:
        return {**settings, "max_steps": max(round(settings["max_steps"] * ratio), 1)}
    return {**settings, "num_train_epochs": _rounded(settings.get("num_train_epochs", _EPOCHS[stage]) * ratio)}


def _rounded(value: float) -> float:
    """Value with as many digits as matter, so that a cell's key does not hang on a last bit."""
    return float(f"{value:.{_DIGITS}g}")
