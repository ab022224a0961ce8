"""Input reduction: words are taken away as long as the answer stays (Feng et al. 2018, arXiv:1804.07781).

What is left often says nothing to a reader, and the model is as sure as before: a diagnostic, and no attack. Differs
from the paper: the word that matters least is found by taking each away, not by gradients, the search has no beam, and
punctuation, which is no word here, stays.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from alum.attacks.text.protocol import Asked, Misclassified, VictimOutputs
from alum.attacks.text.worded import Example, Place, WordedExample, WordedText


@dataclass(frozen=True)
class Reduction:
    """Remainder of an example, words counted in the text that was reduced, with the victim's outputs for both."""

    original: Example
    reduced: Example
    num_words: int
    num_words_left: int
    clean_outputs: VictimOutputs
    reduced_outputs: VictimOutputs


def as_read(example: Example, text: int, characters_read: Sequence[int]) -> Example:
    """Example without what stands behind the part of a text that is read, whose last word is kept whole.

    Else words behind it would come to be read as others are taken away.

    >>> as_read(("one two three",), -1, [5])
    ('one two',)
    """
    text %= len(example)
    own, read = example[text], characters_read[text]
    worded = WordedText.of(own)
    ends = [start + len(word) for start, word in zip(worded.starts(), worded.words, strict=True) if start < read]
    return (*example[:text], own[: max(read, *ends[-1:], 0)], *example[text + 1 :])


def _without(worded: WordedExample, place: Place) -> WordedExample:
    """Example without a word, and without white space at the ends of its text, which some tokenizers would read."""
    texts = worded.removed(place).joined()
    return WordedExample.of((*texts[: place.text], texts[place.text].strip(), *texts[place.text + 1 :]))


def reduced(example: Example, label: int, text: int = -1) -> Generator[Asked, Any, Reduction]:
    """Search that takes away, one by one, the word without which the victim is surest of ``label``, its own answer.

    It ends where any further word would turn the answer, or one is left.
    """
    goal, current = Misclassified(label), WordedExample.of(example)
    (clean,) = yield [example]
    outputs, places = clean, current.places([text])
    num_words = len(places)
    while len(places) > 1:
        shorter = [_without(current, place) for place in places]
        found = yield [one.joined() for one in shorter]
        losses, turned = goal.loss(found), goal.reached(found)
        kept = [number for number in range(len(shorter)) if not turned[number]]
        if not kept:
            break
        best = min(kept, key=lambda number: losses[number])
        current, outputs = shorter[best], found[best]
        places = current.places([text])
    return Reduction(example, current.joined(), num_words, len(places), clean, outputs)
