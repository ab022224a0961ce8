"""Letters of changed words that look as others do, named, so that a reader sees the change."""

from alum.attacks.text.candidates.characters import HOMOGLYPHS

_LOOK_LIKE = {other: letter for letter, other in HOMOGLYPHS.items()}


def lookalikes_named(old: str, new: str) -> str:
    r"""Names letters of a new word that look like letters of the old one, for behind the word; empty where none does.

    >>> lookalikes_named("film", "f\u0456lm"), lookalikes_named("film", "flim")
    (' (і U+0456)', '')
    """
    found = [f"{one} U+{ord(one):04X}" for one in dict.fromkeys(new) if _is_lookalike(one, old)]
    return f" ({', '.join(found)})" if found else ""


def _is_lookalike(letter: str, old: str) -> bool:
    return letter not in old and letter in _LOOK_LIKE and _LOOK_LIKE[letter] in old
