"""Pre-trainings of a study, each by one arm with one seed, shared by all tasks and by arms that begin alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig
from alum.stages.study.cells.keys import field_names, key_of, stage_settings, telling, training_settings
from alum.stages.study.settings import Settings, placed, texts_in


@dataclass(frozen=True)
class PretrainCell:
    """One pre-training of a study, and the texts that it is measured on.

    ``settings`` are those of pre-training with the places of its texts, without seed and folder. ``texts`` are digests
    of those to train on and to choose by, ``held_out`` those to measure on by name, None in a search; ``model`` and
    ``tokenizer`` are digests too, of what is there before. ``arm`` is for messages, and whether the model
    ``is_fine_tuned``, and kept for that, is no part of the ``key``.
    """

    arm: str
    settings: Settings
    seed: int
    texts: Mapping[str, str]
    model: str | None
    tokenizer: str | None = field(default=None)
    held_out: Mapping[str, str] | None = field(default=None)
    is_fine_tuned: bool = field(default=False)

    @cached_property
    def key(self) -> str:
        """Digest of all that the outcome depends on: that of the model, and the texts that it is measured on."""
        return key_of({"model": self.model_key, "held_out": None if self.held_out is None else dict(self.held_out)})

    @cached_property
    def model_key(self) -> str:
        """Digest of what the model depends on: settings that are no defaults, seed, texts, what was there before."""
        return key_of(
            {
                "stage": "pretraining",
                "settings": telling(self.settings, PretrainConfig, PretrainArguments),
                "seed": self.seed,
                "texts": dict(self.texts),
                "model": self.model,
                "tokenizer": self.tokenizer,
            }
        )

    def held_out_files(self) -> dict[str, str]:
        """Files of the texts that the cell is measured on, by name."""
        files = texts_in(placed({"test_file": self.settings.get("test_file", [])}))
        return {name: files[name] for name in self.held_out or {}}

    def described(self) -> str:
        """Words for the cell in messages."""
        return f"pre-training, {self.arm}, seed {self.seed}{' (search)' if self.held_out is None else ''}"

    def check(self) -> None:
        """Raises `InputError` for settings that no training can be run with."""
        self.arguments()
        self.config("").method()

    def arguments(self) -> PretrainArguments:
        names = field_names(PretrainArguments)
        given = {name: value for name, value in placed(self.settings).items() if name in names}
        return stage_settings(PretrainArguments, given, f"pre-training, {self.arm}")

    def config(self, output_dir: str) -> PretrainConfig:
        return training_settings(PretrainConfig, self.settings, output_dir, self.seed, f"pre-training, {self.arm}")
