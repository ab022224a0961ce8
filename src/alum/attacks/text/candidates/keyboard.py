"""Neighbouring keys on a QWERTY keyboard."""

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # each row sits half a key to the right of the one above


def _neighbours() -> dict[str, str]:
    near: dict[str, set[str]] = {key: set() for row in _ROWS for key in row}
    for y, row in enumerate(_ROWS):
        for x, key in enumerate(row):
            around = [(y, x - 1), (y, x + 1), (y - 1, x), (y - 1, x + 1), (y + 1, x - 1), (y + 1, x)]
            near[key] |= {_ROWS[j][i] for j, i in around if 0 <= j < len(_ROWS) and 0 <= i < len(_ROWS[j])}
    return {key: "".join(sorted(keys)) for key, keys in near.items()}


NEIGHBOURS = _neighbours()
