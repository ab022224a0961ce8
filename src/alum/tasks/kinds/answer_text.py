"""How well an answer's text is the right one, as SQuAD's evaluation script (version 2.0) counts it."""

import re
import string
from collections import Counter
from collections.abc import Sequence


def normalized(text: str) -> str:
    """Lower case without punctuation, articles and extra spaces, as in SQuAD's evaluation script.

    >>> normalized("The  Eiffel-Tower!")
    'eiffeltower'
    """
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def answer_scores(predicted: str, golds: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1, the best over the right answers; without any, no answer is the right one."""
    golds = [gold for gold in golds if normalized(gold)] or [""]
    exact_match = max(float(normalized(predicted) == normalized(gold)) for gold in golds)
    return exact_match, max(token_f1(predicted, gold) for gold in golds)


def token_f1(predicted: str, gold: str) -> float:
    """F1 of the words in common; where one of the two is no answer, whether both are."""
    found, expected = normalized(predicted).split(), normalized(gold).split()
    if not found or not expected:
        return float(found == expected)
    in_common = (Counter(found) & Counter(expected)).total()
    return 2 * in_common / (len(found) + len(expected))
