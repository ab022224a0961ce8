"""Pushes to the hub that are refused, told in one line with what to do about it."""

from collections.abc import Iterator
from contextlib import contextmanager

from alum.core.errors import InputError


@contextmanager
def explained_if_not_pushed(what: str, advice: str) -> Iterator[None]:
    """Raises `InputError` where the hub cannot be reached or refuses, with what was not done and what to do."""
    try:
        yield
    except Exception as error:  # of one of the libraries for HTTP that versions of the hub's client stand on
        raise InputError(f"{what}: {(str(error).strip() or repr(error)).splitlines()[0]} {advice}") from None
