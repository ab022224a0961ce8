"""Layout of a task's table: which columns hold texts, labels and choices."""

from dataclasses import dataclass
from typing import NamedTuple

ID_COLUMNS = ("id", "idx", "uid")
"""Names of columns by which rows are known, the first of them that a table has; predictions carry it."""


class Wording(NamedTuple):
    """Words that a model reads in the place of a value of a text column that is a name, and no text by itself."""

    column: str
    value: str
    words: str


@dataclass(frozen=True)
class Layout:
    """Columns of a task's table by what they hold; ``label_names`` are in the order of the integer labels."""

    text: tuple[str, ...]
    label: str = "label"
    label_names: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    """Columns of the choices in multiple choice: one for each choice, or a single one that holds lists."""
    wordings: tuple[Wording, ...] = ()
    """Values of columns of text that are read in other words; others are read as they stand."""
    label_is_text: bool = False
    """Whether labels are texts to be learned, in which numbers and words mean nothing beside themselves."""
    numbers_are_positions: bool = True
    """Whether a whole number stands for the label name at its position, as where a data set declares its classes."""

    @property
    def worded_columns(self) -> frozenset[str]:
        """Columns of text whose values nobody writes: words stand for them."""
        return frozenset(wording.column for wording in self.wordings)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns that rows without labels have too."""
        return (*self.text, *self.choices)
