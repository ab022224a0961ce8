"""Random typing errors: the keyboard neighbour, a letter left out, doubled or swapped with the next."""

import random

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")  # each row of a QWERTY keyboard sits half a key to the right


def _neighbours() -> dict[str, str]:
    near: dict[str, set[str]] = {key: set() for row in _ROWS for key in row}
    for y, row in enumerate(_ROWS):
        for x, key in enumerate(row):
            around = [(y, x - 1), (y, x + 1), (y - 1, x), (y - 1, x + 1), (y + 1, x - 1), (y + 1, x)]
            near[key] |= {_ROWS[j][i] for j, i in around if 0 <= j < len(_ROWS) and 0 <= i < len(_ROWS[j])}
    return {key: "".join(sorted(keys)) for key, keys in near.items()}


NEIGHBOURS = _neighbours()


def with_typing_errors(text: str, error_rate: float, seed: int = 0) -> str:
    """The text with each ASCII letter mistyped with probability ``error_rate``; the same for the same text and seed.

    >>> with_typing_errors("adversarial", 0.0)
    'adversarial'
    """
    rng = random.Random(f"{seed}:{text}")
    characters: list[str] = []
    index = 0
    while index < len(text):
        character = text[index]
        if character.lower() not in NEIGHBOURS or rng.random() >= error_rate:
            characters.append(character)
            index += 1
            continue
        match rng.choice(("neighbour", "omit", "double", "swap")):
            case "neighbour":
                key = rng.choice(NEIGHBOURS[character.lower()])
                characters.append(key.upper() if character.isupper() else key)
            case "double":
                characters.append(character * 2)
            case "swap" if index + 1 < len(text):
                characters.append(text[index + 1] + character)
                index += 1
            case "swap":
                characters.append(character)
        index += 1
    return "".join(characters)
