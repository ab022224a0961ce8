"""Single values of a table: which are missing, which are numbers, and how they are written.

In a CSV file all values are text, in JSON lines and Parquet they have types; these functions read both alike.
"""

import base64
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any

# A number is told from a code by its spelling: 01, +1, 1_000 and 1e5 are codes, 1e-05 is what Python writes.
_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))(?:\.0*)?")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)?(?:\.\d*)?(?:(?<=\d)e[+-]\d+)?")
# Words for a missing number, as pandas, R and spreadsheets write them; beside names they are names.
_NO_NUMBER = frozenset({"na", "n/a", "nan", "#n/a", "null", "none"})


def is_missing(value: Any) -> bool:
    """Whether a value is none: an empty cell, null or NaN.

    >>> [is_missing(value) for value in (None, "", float("nan"), "nan", 0)]
    [True, True, True, False, False]
    """
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def whole_number(value: Any) -> int | None:
    """Reads a whole number, or text that spells one, also as a float without a fraction; None for all else.

    >>> [whole_number(value) for value in (3, "3", 3.0, "3.0", "03", 3.5, True)]
    [3, 3, 3, 3, None, None, None]
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    found = _WHOLE.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) if found else None


def number(value: Any) -> float | None:
    """Reads a finite number, or text that spells one; None for all else.

    >>> [number(value) for value in (0.5, "0.5", "1e-05", "1e5", "much", float("nan"))]
    [0.5, 0.5, 1e-05, None, None, None]
    """
    if isinstance(value, str):
        if not any(map(str.isdigit, value)) or not _NUMBER.fullmatch(value):
            return None
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        read = float(value)
    except OverflowError:
        return None
    return read if math.isfinite(read) else None


def missing_words(values: Iterable[Any]) -> frozenset[str]:
    """Words among ``values`` that say that a number is missing: NA, null, … where all others are numbers, else none."""
    words: set[str] = set()
    has_numbers = False
    for value in values:
        if isinstance(value, str) and value.lower() in _NO_NUMBER:
            words.add(value)
        elif not is_missing(value):
            if number(value) is None:
                return frozenset()
            has_numbers = True
    return frozenset(words) if has_numbers else frozenset()


def label_text(value: Any) -> str:
    """Text that a label is looked up by: of truth values as JSON writes them, of whole numbers without a fraction.

    >>> [label_text(value) for value in ("01", 1, 1.0, 0.5, True)]
    ['01', '1', '1', '0.5', 'true']
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def absent_in_json(value: Any, name: str = "") -> Iterator[str]:
    """Gives the names of the numbers that JSON does not have: infinities and NaN.

    >>> list(absent_in_json({"loss": float("nan"), "runs": [0.5, {"gain": float("inf")}]}))
    ['loss', 'runs.1.gain']
    """
    if isinstance(value, float) and not math.isfinite(value):
        yield name
    elif isinstance(value, dict | list | tuple):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from absent_in_json(part, f"{name}.{key}" if name else str(key))


def as_json(value: Any) -> Any:
    """Turns a value of a table into one that JSON has: dates to ISO 8601, bytes to Base64, infinity and NaN to null."""
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): as_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)
