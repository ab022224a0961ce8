"""Fine-tunings of a study, each on one task by one arm with one seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.study.cells.keys import field_names, key_of, stage_settings, telling, training_settings
from alum.stages.study.settings import PLACES, Settings, placed


@dataclass(frozen=True)
class FinetuneCell:
    """One fine-tuning of a study, and what it is measured by.

    ``settings`` are those of fine-tuning, without seed, data and folder. ``model`` is a digest of what it begins with;
    where that is the outcome of another cell, ``pretrained`` is its key. Cells of a search have no ``evaluation``, so
    that rows to measure on never choose. ``task`` and ``arm`` are for messages; the ``key`` does without them.
    """

    task: str
    arm: str
    settings: Settings
    seed: int
    data: Mapping[str, str]
    model: str
    evaluation: Settings | None = field(default=None)
    pretrained: str | None = field(default=None)

    @cached_property
    def key(self) -> str:
        """Digest of all that the outcome depends on: settings that are no defaults, seed, rows, model, measures."""
        chosen_by = {split: self.data[split] for split in ("train", "validation")}
        return key_of(
            {
                "settings": telling(self.settings, FinetuneConfig, FinetuneArguments),
                "seed": self.seed,
                "data": chosen_by if self.is_search else dict(self.data),
                "model": self.model,
                "evaluation": None if self.evaluation is None else dict(self.evaluation),
            }
        )

    @property
    def is_search(self) -> bool:
        """Whether it is one of a search, which is validated alone."""
        return self.evaluation is None

    def described(self) -> str:
        """Words for the cell in messages."""
        return f"{self.task}, {self.arm}, seed {self.seed}{' (search)' if self.is_search else ''}"

    def check(self) -> None:
        """Raises `InputError` for settings that no training can be run with."""
        self.arguments("", "")
        self.config("").method()

    def arguments(self, data_dir: str, pretrained: str) -> FinetuneArguments:
        """Settings of the rows and the model, the one in the folder ``pretrained`` unless it has one of its own."""
        names = field_names(FinetuneArguments) - (PLACES - {"model_name_or_path"})
        given = {name: value for name, value in placed(self.settings).items() if name in names}
        given = {"model_name_or_path": pretrained, **given, "data_dir": data_dir}
        return stage_settings(FinetuneArguments, given, f"{self.task}, {self.arm}")

    def config(self, output_dir: str) -> FinetuneConfig:
        return training_settings(FinetuneConfig, self.settings, output_dir, self.seed, f"{self.task}, {self.arm}")
