"""Which columns of a table hold what."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """Columns of a task by what they hold. ``label_names`` are in the order of the integer labels."""

    text: tuple[str, ...]
    label: str = "label"
    label_names: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    """Multiple choice: a column per choice, or one column of lists."""
