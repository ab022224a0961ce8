"""Exceptions for what a user can mend: settings, files and models that cannot be used as given."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A setting, file or model that cannot be used as given.

    The message is for the user: what was expected, what came and what to do next. The command line prints it as one
    line and exits with code 2.
    """


class SettingError(InputError):
    """An `InputError` about one setting, whose name begins the message.

    ``setting`` and ``problem`` are its parts, so that a caller can give the name its own prefix.
    """

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting} {problem}")
        self.setting = setting
        self.problem = problem


class NotWritten(InputError):
    """An `InputError` about something that could not be written; what was written before is unharmed."""


def unknown_name(what: str, name: str, known: Iterable[str]) -> InputError:
    """Makes the error for a name that is not among the ``known`` ones; it lists these and suggests the nearest.

    >>> str(unknown_name("norm", "inf", ["l2", "linf"]))
    "unknown norm 'inf': expected one of l2, linf. Did you mean 'linf'?"
    """
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return InputError(f"unknown {what} {name!r}: expected one of {', '.join(known)}.{hint}")
