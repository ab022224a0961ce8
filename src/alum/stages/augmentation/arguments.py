"""Settings of the stage that writes changed copies of a data set."""

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from alum.attacks.text.random_changes import CHANGES, DEFAULT_CHANGES, DEFAULT_WORD_SHARE
from alum.attacks.text.table import TEXT_ATTACKS, text_attack_named
from alum.core.errors import InputError
from alum.stages.evaluation.arguments import TextAttackArguments
from alum.stages.runs.settings import require_one_or_more

_OF_AN_ATTACK = frozenset({
    "prompt", "answers", "word_vectors", "similarity_model", "min_similarity", "max_changed_words", "max_queries",
    "attacked_text", "max_seq_length",
})  # fmt: skip


@dataclass(kw_only=True)
class AugmentArguments(TextAttackArguments):
    """Settings of `augment`: the rows, what is written, and how texts are changed."""

    data_file: str = field(metadata={"help": "Rows to change: JSON lines, CSV or Parquet."})
    output_file: str = field(metadata={"help": "File to write: .jsonl, .csv or .parquet."})
    text_columns: str = field(metadata={"help": "Columns whose texts are changed, with commas."})
    changes: str | None = field(
        default=None,
        metadata={"help": f"Random changes of words, of {', '.join(CHANGES)} (default: {','.join(DEFAULT_CHANGES)})."},
    )
    word_share: float | None = field(
        default=None,
        metadata={"help": f"Share of a text's words that random changes are made to (default: {DEFAULT_WORD_SHARE})."},
    )
    misspellings: str | None = field(
        default=None,
        metadata={"help": "changes misspellings: file of them, a word and its ones a line, or misspelling->word."},
    )
    num_copies: int = field(default=1, metadata={"help": "Changed copies of each row."})
    attack: str | None = field(
        default=None,
        metadata={"help": f"In the place of random changes, an attack on a model: {', '.join(TEXT_ATTACKS)}."},
    )
    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Classifier that is attacked, whose answer the attack changes if it can."}
    )
    attacked_text: Literal["first", "last", "both"] = field(
        default="last", metadata={"help": "attack: which text of a pair may be changed."}
    )
    max_seq_length: int | None = field(
        default=None,
        metadata={"help": "attack: longest input in tokens; default: 512, or the model's if that is less."},
    )
    keep_original: bool = field(default=True, metadata={"help": "Write the rows as they were, too, before the copies."})
    overwrite_output_file: bool = field(default=False, metadata={"help": "Write over a file that is there."})

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_or_more(self, "num_copies", "max_seq_length")
        if twice := [name for name, number in Counter(self.columns).items() if number > 1]:
            raise InputError(f"text_columns {self.text_columns} name {twice[0]} twice: expected each column once.")
        if self.attack is None and self.model_name_or_path is not None:
            raise InputError(f"model_name_or_path is for an attack: name one with --attack {next(iter(TEXT_ATTACKS))}.")
        if self.attack is None:
            self._refuse_settings_of_attacks()
            return
        attack = text_attack_named(self.attack)
        if self.model_name_or_path is None:
            raise InputError("attack needs a model to attack: give --model_name_or_path.")
        self.check_resources([attack])
        for name in ("changes", "word_share"):
            if getattr(self, name) is not None:
                raise InputError(f"{name} is for random changes, and an attack has its own: leave one of them out.")
        if self.num_copies > 1 and not attack.draws:
            drawing = ", ".join(name for name, other in TEXT_ATTACKS.items() if other.draws)
            raise InputError(
                f"num_copies {self.num_copies} has no effect on the attack {self.attack}: it draws nothing at random, "
                f"and its copies of a row would be the same. Leave it out, or choose one that draws: {drawing}."
            )

    @property
    def columns(self) -> list[str]:
        """Columns whose texts are changed."""
        return [name.strip() for name in self.text_columns.split(",")]

    def _refuse_settings_of_attacks(self) -> None:
        for one in dataclasses.fields(self):
            if one.name in _OF_AN_ATTACK and getattr(self, one.name) not in (None, [], one.default):
                raise InputError(f"{one.name} is for an attack, and has no effect on random changes: leave it out.")
