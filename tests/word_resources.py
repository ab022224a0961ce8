"""What attacks by other words need, in closed form, for victims that add up weights of words."""

from collections.abc import Mapping, Sequence

import torch

from alum.attacks.text.base import Resources
from alum.attacks.text.candidates.word_tokens import Vocabulary
from alum.attacks.text.searches.gradients import WordGradient
from alum.attacks.text.worded import WordedExample


class BagOfWordsGradients:
    """Embeddings are the weights; the log odds against class 1 fall by 1 for each unit of them. Token 0 is unknown."""

    ignores_case = False

    def __init__(self, weights: Mapping[str, float], new_words: Sequence[str]) -> None:
        self.ids = {word: id for id, word in enumerate(dict.fromkeys((*weights, *new_words)), 1)}
        self.embeddings = torch.tensor([[0.0], *([weights.get(word, 0.0)] for word in self.ids)])
        self.vocabulary = Vocabulary(tuple(new_words), tuple(self.ids[word] for word in new_words))

    def at_words(self, questions):
        return [self._at_words(one.example, one.places, one.label) for one in questions]

    def importance(self, questions):
        """The weight of each word: the victims that are attacked with these gradients are turned by the heaviest."""
        words = [(WordedExample.of(one.example), one.places) for one in questions]
        return [
            {place: float(self.embeddings[self.ids.get(worded.word(place), 0)]) for place in places}
            for worded, places in words
        ]

    def _at_words(self, example, places, label):
        worded, gradient = WordedExample.of(example), torch.tensor([-1.0 if label == 1 else 1.0])
        return [
            WordGradient(place, worded.word(place), self.ids.get(worded.word(place), 0), gradient, self.vocabulary)
            for place in places
        ]


class SameWords:
    """The same words are near every word."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words

    def near(self, word, most, min_cosine):
        return self.words


def same_predictions(words: Sequence[str]):
    """A language model that expects the same words everywhere."""
    return lambda questions: [words] * len(questions)


def resources(weights: Mapping[str, float], new_words: Sequence[str]) -> Resources:
    """Any of the new words may stand in any place."""
    return Resources(
        gradients=BagOfWordsGradients(weights, new_words),
        masked_lm=same_predictions(new_words),
        unmasked_lm=same_predictions(new_words),
        wordnet=lambda word: new_words,
        word_vectors=SameWords(new_words),
        misspellings=lambda word: new_words,
    )
