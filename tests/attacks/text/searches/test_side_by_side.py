import random
import string
from dataclasses import replace

import pytest

from alum.attacks.text.protocol import Misclassified
from alum.attacks.text.searches.settings import SearchSettings
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.table import TEXT_ATTACKS
from word_resources import resources
from word_victims import bag_of_words

rng = random.Random(0)
VOCABULARY = ["".join(rng.choices(string.ascii_lowercase, k=rng.randrange(2, 9))) for _ in range(40)]
WEIGHTS = {word: rng.gauss(0.5, 1) for word in VOCABULARY}
VICTIM = bag_of_words(WEIGHTS, bias=1)
RESOURCES = resources(WEIGHTS, ("neutral", "impartial"))
EXAMPLES = [(" ".join(rng.choices(VOCABULARY, k=rng.randrange(1, 12))),) for _ in range(30)]


def searches(examples=EXAMPLES, attack="deepwordbug", **settings):
    search = TEXT_ATTACKS[attack].search(SearchSettings(**settings), RESOURCES)
    return [search(example, Misclassified(1)) for example in examples]


def results(victim=VICTIM, examples=EXAMPLES, num_parallel=32, **settings):
    """By number of the search."""
    return dict(run_searches(victim, searches(examples, **settings), num_parallel))


@pytest.mark.parametrize("attack", TEXT_ATTACKS)
def test_how_many_run_side_by_side_changes_nothing(attack):
    alone = results(attack=attack, num_parallel=1)
    assert {result.outcome for result in alone.values()} == {"succeeded", "failed", "skipped"}
    for num_parallel in (2, 7, 100):
        assert results(attack=attack, num_parallel=num_parallel) == alone


def test_the_order_of_the_examples_changes_nothing():
    order = random.Random(1).sample(range(len(EXAMPLES)), len(EXAMPLES))
    shuffled = results(examples=[EXAMPLES[i] for i in order], num_parallel=5)
    expected = results(num_parallel=5)
    assert {order[number]: result for number, result in shuffled.items()} == expected


def test_the_seed_decides():
    assert results(seed=1) == results(seed=1)
    assert results(seed=1) != results(seed=2)


def test_every_search_ends_once():
    numbers = [number for number, _ in run_searches(VICTIM, searches(), num_parallel=4)]
    assert sorted(numbers) == list(range(len(EXAMPLES)))
    assert [*run_searches(VICTIM, [])] == []


def test_searches_are_taken_as_others_end():
    taken = []

    def lazily():
        for index, search in enumerate(searches()):
            taken.append(index)
            yield search

    for ended, _ in enumerate(run_searches(VICTIM, lazily(), num_parallel=4)):
        assert len(taken) <= ended + 4 + 4


def test_questions_are_put_together():
    """The same search fifty times over, side by side, takes as many calls as once."""

    def calls(victim_examples):
        sizes = []

        def victim(examples):
            sizes.append(len(examples))
            return VICTIM(examples)

        results(victim, victim_examples, num_parallel=50)
        return sizes

    once = calls(EXAMPLES[:1])
    assert calls(EXAMPLES[:1] * 50) == [50 * size for size in once]


@pytest.mark.parametrize("attack", ["hotflip", "a2t", "masked_lm", "bert_attack"])
def test_what_else_is_asked_is_put_together_too(attack):
    """The same search fifty times over asks gradients and predictions as often as once, fifty questions at a time."""

    class Counted:
        def __init__(self):
            self.sizes = []

        def ask(self, questions):
            self.sizes.append(len(questions))

    def sizes(examples):
        counted = Counted()
        known = resources(WEIGHTS, ("neutral", "impartial"))
        gradients, predicted = known.gradients, known.masked_lm

        class Gradients(type(gradients)):
            def __init__(self):
                self.__dict__.update(gradients.__dict__)

            def at_words(self, questions):
                counted.ask(questions)
                return super().at_words(questions)

            def importance(self, questions):
                counted.ask(questions)
                return super().importance(questions)

        def predictions(questions):
            counted.ask(questions)
            return predicted(questions)

        own = replace(known, gradients=Gradients(), masked_lm=predictions, unmasked_lm=predictions)
        search = TEXT_ATTACKS[attack].search(SearchSettings(), own)
        dict(run_searches(VICTIM, [search(example, Misclassified(1)) for example in examples], 50))
        return counted.sizes

    example = next(one for one in EXAMPLES if len(one[0].split()) > 6 and VICTIM([one])[0].argmax() == 1)
    once = sizes([example])
    assert once
    assert set(once) == {1}
    assert sizes([example] * 50) == [50] * len(once)
