"""Layout of a task's table: which columns hold texts, labels and choices."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """Columns of a task's table by what they hold; ``label_names`` are in the order of the integer labels."""

    text: tuple[str, ...]
    label: str = "label"
    label_names: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    """Columns of the choices in multiple choice: one for each choice, or a single one that holds lists."""
