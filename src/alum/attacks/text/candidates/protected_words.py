"""Words that carry a text's label by themselves, and are neither changed nor put in: negations and numbers."""

from alum.attacks.text.worded import WordedText

_WORDS = """
    no not nor non none nobody nothing nowhere neither never cannot without hardly barely scarcely rarely seldom
"""
NEGATIONS = frozenset(_WORDS.split())


def is_protected(word: str) -> bool:
    """Whether a word negates or counts: changed, it would change what the text says.

    >>> [word for word in ("Doesn't", "nothing", "3rd", "note", "word2") if is_protected(word)]
    ["Doesn't", 'nothing', '3rd']
    """
    return _negates(word) or word[:1].isdigit()


def holds_negation(text: str) -> bool:
    """Whether any word of a text negates: what a change of characters made of a word may.

    >>> [text for text in ("not able", "nor", "n0table", "notable") if holds_negation(text)]
    ['not able', 'nor']
    """
    return any(map(_negates, WordedText.of(text).words))


def _negates(word: str) -> bool:
    plain = word.lower().replace("’", "'")
    return plain in NEGATIONS or plain.endswith("n't")
