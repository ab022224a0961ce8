"""Random typing errors: the keyboard neighbour, a letter left out, doubled or swapped with the next."""

import random

from alum.attacks.text.candidates.keyboard import NEIGHBOURS


def with_typing_errors(text: str, error_rate: float, seed: int = 0) -> str:
    """Mistypes each ASCII letter of a text with probability ``error_rate``; the same for the same text and seed.

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
