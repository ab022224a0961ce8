"""Trainings of the evidence, one by one: what is trained, on what, and what its record is."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from alum.core.errors import InputError, unknown_name
from benchmarks.places import DATA, needed
from studies.evidence import few_labels, scarce_text
from studies.evidence.arms import Arm
from studies.evidence.ledger import Key


class Study(Protocol):
    """Data and sizes, the same for all arms."""

    @property
    def arms(self) -> tuple[Arm, ...]: ...

    def prepare(self, data: Path, file: Path) -> None: ...

    def run(
        self, arm: Arm, seed: int, file: Path, reference: Mapping[str, Any] | None, deadline: float
    ) -> dict[str, Any]: ...


STUDIES: dict[str, Study] = {
    **{f"text:{scale}": study for scale, study in scarce_text.SCALES.items()},
    **{f"{task}:full": study for task, study in few_labels.FULL.items()},
    **{f"{task}:rehearsal": dataclasses.replace(study, **few_labels.LITTLE) for task, study in few_labels.FULL.items()},
}


@dataclass(frozen=True)
class Job:
    """An arm of a study to be trained with a seed."""

    study: str
    arm: Arm
    seed: int

    @property
    def key(self) -> Key:
        return Key(self.study, self.arm.name, self.seed)

    @property
    def reference(self) -> Key | None:
        """Training that this one is made to match."""
        return None if self.arm.reference is None else self.key._replace(arm=self.arm.reference)

    def file(self, folder: Path) -> Path:
        return folder / f"{self.study.replace(':', '-')}.safetensors"

    def prepare(self, folder: Path) -> None:
        """Encodes the data, unless that is done."""
        if not self.file(folder).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            STUDIES[self.study].prepare(needed(DATA), self.file(folder))

    def run(self, folder: Path, reference: Mapping[str, Any] | None, deadline: float) -> dict[str, Any]:
        """Trains; the record, with what the training is found by."""
        study = STUDIES[self.study]
        found = study.run(self.arm, self.seed, self.file(folder), reference, deadline)
        return {**self.key._asdict(), **found, "sizes": asdict(study)}  # type: ignore[call-overload]


def jobs_of(plan: str) -> list[Job]:
    """Jobs in their order, of studies and seeds such as ``text:6x512:0,snli:full:0-3``.

    Raises `InputError` for a study that there is not, and for seeds that are no numbers.
    """
    jobs = []
    for part in plan.split(","):
        study, _, seeds = part.rpartition(":")
        if not re.fullmatch(r"\d+(-\d+)?", seeds):
            raise InputError(f"expected a study and its seeds, such as text:2x128:0-4, not {part!r}.")
        if study not in STUDIES:
            raise unknown_name("study", study, STUDIES)
        first, _, last = seeds.partition("-")
        numbers = range(int(first), int(last or first) + 1)
        jobs += [Job(study, arm, seed) for seed in numbers for arm in STUDIES[study].arms]
    return jobs
