"""Bounds of a search: the settings that a user chooses, and the constraints of the attack itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alum.attacks.text.candidates.protected_words import is_protected
from alum.attacks.text.candidates.stop_words import is_stop_word
from alum.attacks.text.worded import Example
from alum.core.errors import InputError

UNKNOWN_WORD = "[UNK]"

# How similar in meaning each of some examples is to the first one, ``[examples]``.
Similarity = Callable[[Example, Sequence[Example]], NDArray[np.float64]]


@dataclass(frozen=True)
class SearchSettings:
    """Settings that every attack on texts accepts from its user.

    ``unknown_word`` is the victim's, with which some attacks rank words. The last text of a pair is attacked unless
    others are named: the hypothesis of an inference, as in BERT-Attack (arXiv:2004.09984) and TextFooler
    (arXiv:1907.11932). ``max_changed_words`` is the share of the words of the attacked texts that may be changed, None
    for the attack's own. A search asks about ``max_queries`` examples at most. With a ``similarity``, changes that
    leave an example less than ``min_similarity`` similar to the original are not made. Raises `InputError` for a share
    or a number of queries out of range.
    """

    unknown_word: str = UNKNOWN_WORD
    attacked_texts: tuple[int, ...] = (-1,)
    max_changed_words: float | None = None
    max_queries: int | None = None
    similarity: Similarity | None = None
    min_similarity: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_changed_words is not None:
            _check_share(self.max_changed_words)
        if self.max_queries is not None and self.max_queries < 1:
            raise InputError(f"max_queries must be 1 or more, not {self.max_queries}.")


@dataclass(frozen=True)
class Constraints:
    """Constraints that an attack sets itself on the words it changes.

    The share ``max_changed_words`` holds where the user sets none, and then ``min_max_changes`` words may be changed
    however short a text is. Words of fewer than ``min_word_length`` characters
    and stop words are never changed, nor are negations and numbers, which turn the label. ``max_edit_distance`` bounds
    the Levenshtein distances of the changed words, added up, which is never less than that of the texts. Raises
    `InputError` for a share out of range.
    """

    max_changed_words: float = 1.0
    min_max_changes: int = 1
    min_word_length: int = 1
    max_edit_distance: int | None = None

    def __post_init__(self) -> None:
        _check_share(self.max_changed_words)

    def max_changes(self, num_words: int, settings: SearchSettings) -> int:
        """Number of words that may be changed out of ``num_words``: a share, rounded down, but one at least."""
        is_own = settings.max_changed_words is None
        share = self.max_changed_words if settings.max_changed_words is None else settings.max_changed_words
        # The product may fall just short of the whole number that it stands for, as 0.29 · 100 does.
        return max(self.min_max_changes if is_own else 1, int(share * num_words + 1e-9))

    def allow_change_of(self, word: str) -> bool:
        """Whether the word is long enough to be changed, no stop word, and neither negates nor counts."""
        return len(word) >= self.min_word_length and not is_stop_word(word) and not is_protected(word)


def _check_share(share: float) -> None:
    if not 0 < share <= 1:
        raise InputError(f"the share of words that may be changed must lie in (0, 1], not {share}.")
