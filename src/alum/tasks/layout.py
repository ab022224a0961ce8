"""Layout of a task's table: which columns hold texts, labels and choices."""

from dataclasses import dataclass

ID_COLUMNS = ("id", "idx", "uid")
"""Names of columns by which rows are known, the first of them that a table has; predictions carry it."""


@dataclass(frozen=True)
class Layout:
    """Columns of a task's table by what they hold; ``label_names`` are in the order of the integer labels."""

    text: tuple[str, ...]
    label: str = "label"
    label_names: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    """Columns of the choices in multiple choice: one for each choice, or a single one that holds lists."""
    label_is_text: bool = False
    """Whether labels are texts to be learned, in which numbers and words mean nothing beside themselves."""
    numbers_are_positions: bool = True
    """Whether a whole number stands for the label name at its position, as where a data set declares its classes."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns that rows without labels have too."""
        return (*self.text, *self.choices)
