import numpy as np
import pytest

from alum.attacks.text.output_cache import OutputCache


class Listening:
    """Answers with the length of the question and its first byte, and keeps what it was asked."""

    def __init__(self, max_entries=100):
        self.cache, self.asked = OutputCache(max_entries), []

    def __call__(self, *questions):
        def ask(indices):
            self.asked += [questions[i] for i in indices]
            return np.array([[len(questions[i]), questions[i][0]] for i in indices], dtype=float)

        return self.cache.of(questions, ask)


@pytest.mark.parametrize("max_entries", [1, 3, 100])
def test_rows_are_those_of_the_questions_in_their_order(max_entries):
    listening = Listening(max_entries)
    for questions in ((b"a", b"bb", b"a"), (b"bb", b"ccc"), (b"a", b"bb", b"ccc", b"d", b"a")):
        assert listening(*questions).tolist() == [[len(question), question[0]] for question in questions]


def test_what_is_known_is_not_asked_again():
    listening = Listening()
    listening(b"a", b"b", b"a")
    listening(b"b", b"c")
    assert listening.asked == [b"a", b"b", b"c"]
    assert listening.cache.num_asked == 3


def test_the_outputs_asked_for_longest_ago_are_forgotten():
    listening = Listening(max_entries=2)
    for question in (b"a", b"b", b"a", b"c", b"a", b"b"):
        listening(question)
    assert listening.asked == [b"a", b"b", b"c", b"b"]
