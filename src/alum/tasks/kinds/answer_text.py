"""Exact match and F1 of an answer's text, as SQuAD's evaluation script (version 2.0) counts them."""

import re
import string
from collections import Counter
from collections.abc import Sequence


def normalized(text: str) -> str:
    """Normalizes as SQuAD's evaluation script does: to lower case without punctuation, articles and extra spaces.

    >>> normalized("The  Eiffel-Tower!")
    'eiffeltower'
    """
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def answer_scores(predicted: str, golds: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 of an answer, the best over the right ones; without any, giving no answer is right."""
    golds = [gold for gold in golds if normalized(gold)] or [""]
    exact_match = max(float(normalized(predicted) == normalized(gold)) for gold in golds)
    return exact_match, max(token_f1(predicted, gold) for gold in golds)


def token_f1(predicted: str, gold: str) -> float:
    """F1 of the words that two answers have in common; where one of them is empty, 1 if both are, else 0."""
    found, expected = normalized(predicted).split(), normalized(gold).split()
    if not found or not expected:
        return float(found == expected)
    in_common = (Counter(found) & Counter(expected)).total()
    return 2 * in_common / (len(found) + len(expected))
