"""Texts of users and models as a terminal, a page or a file may show them."""

import unicodedata

# Parts of emoji and of words in some scripts, which move nothing in a terminal.
_HARMLESS = frozenset("\n\t\u200c\u200d")


def visible(text: str) -> str:
    r"""Spells out control characters, marks of writing direction and the like, so that a terminal obeys none of them.

    >>> visible("\x1b[31mred")
    '\\x1b[31mred'
    """
    return "".join(
        repr(character)[1:-1]
        if character not in _HARMLESS and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        else character
        for character in text
    )
