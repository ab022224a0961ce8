"""No attack asks about a text in which a negation or a number has become another word, or another word a negation."""

import itertools
import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest

from alum.attacks.text.protocol import Consultation, Misclassified
from alum.attacks.text.random_changes import CHANGES, RandomChanges
from alum.attacks.text.searches.settings import SearchSettings
from alum.attacks.text.table import TEXT_ATTACKS
from alum.attacks.text.worded import WordedText
from places import DATA
from word_resources import resources

# Written out again: what a reader would call a negation or a number.
NEGATION_OR_NUMBER = re.compile(r"(?i)(?:no|not|never|nothing|none|neither|nor|without|hardly|\w*n['’]t|\d\w*)")
NEGATION = re.compile(
    r"(?i)(?:no|not|never|nothing|none|neither|nor|without|hardly|barely|rarely|scarcely|seldom|nobody|nowhere|\w*n['’]t)"
)
# What resources give beside words that may be put in, the negations heavier, so that they are tried first.
WEIGHTS = {"sundry": -1.0, "further": -2.0, "never": -9.0, "nothing": -8.0, "barely": -7.0, "without": -6.0}
# A change of a character or two from a negation, or in two by a space.
ALMOST = "notable nob knot nots lever nevver noone nonne hardlyy seldim bearly wihtout nit noor rearly sore"
ROWS = {
    "sst2": ("glue_sst2", ("validation.jsonl", "test.jsonl"), ("sentence",)),
    "snli": ("snli_sample", ("test.jsonl",), ("hypothesis",)),
    "mrpc": ("glue_mrpc", ("train.jsonl", "validation.jsonl"), ("sentence2",)),
}
UNDECIDED = np.array([[0.2, 0.8]])


def texts_of(folder, files, columns):
    for file in files:
        for line in (DATA / folder / file).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield from (row[column] for column in columns)


def guarded(text):
    """Negations and numbers among a text's words, with how often each stands there."""
    found = [word for word in WordedText.of(text).words if NEGATION_OR_NUMBER.fullmatch(word)]
    return {word: found.count(word) for word in found}


def num_negations(text):
    return sum(NEGATION.fullmatch(word) is not None for word in WordedText.of(text).words)


def alone(word):
    return rf"(?<!\w)(?<!\w['’-]){re.escape(word)}(?!\w)(?!['’-]\w)"


def search_of(attack, seed=0):
    """Without vectors of words where the attack does without, since they bound it."""
    given = resources(WEIGHTS, tuple(WEIGHTS))
    if "word_vectors" not in TEXT_ATTACKS[attack].needs:
        given = replace(given, word_vectors=None)
    return TEXT_ATTACKS[attack].search(SearchSettings(seed=seed), given)


def asked_by(search, text, max_questions):
    """Texts that a search asks about, whose answers never change, so that it tries word after word."""
    running, answer, questions = search((text,), Misclassified(1), None), None, 0
    try:
        while questions < max_questions:
            asked = running.send(answer)
            if isinstance(asked, Consultation):
                (answer,) = asked.ask([asked.question])
            else:
                yield from (example[0] for example in asked)
                answer = np.repeat(UNDECIDED, len(asked), 0)
                questions += len(asked)
    except StopIteration:
        pass


@pytest.mark.parametrize("attack", TEXT_ATTACKS)
def test_no_attack_puts_a_negation_in(attack):
    num_asked = 0
    for seed in range(40):
        search = search_of(attack, seed)
        for asked in asked_by(search, ALMOST, max_questions=400):
            num_asked += 1
            assert num_negations(asked) == 0, asked
    assert num_asked > 40 * len(ALMOST.split())


@pytest.mark.parametrize("changes", [name for name, kind in CHANGES.items() if kind.made_of is not None])
def test_no_random_change_puts_a_negation_in(changes):
    drawn, rng = RandomChanges([changes], 0.5, resources(WEIGHTS, tuple(WEIGHTS))), random.Random(0)
    for _ in range(500):
        (changed,) = drawn((ALMOST,), rng)
        assert changed != ALMOST
        assert num_negations(changed) == 0, changed


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("attack", "data"), zip(TEXT_ATTACKS, itertools.cycle(ROWS), strict=False))
def test_no_candidate_changes_a_negation_or_a_number(data, attack):
    """Of texts that hold one; each word is asked about once where it is ranked, and by its candidates after that.

    None becomes a negation either.
    """
    if not DATA.is_dir():
        pytest.skip(f"needs {DATA}: set ALUM_DATA to the folder of the data")
    search = search_of(attack)
    num_guarded = num_asked = 0
    for text in texts_of(*ROWS[data]):
        if not (before := guarded(text)):
            continue
        num_guarded += 1
        for asked in asked_by(search, text, max_questions=400):
            num_asked += 1
            assert num_negations(asked) <= num_negations(text), (text, asked)
            for word, count in before.items():
                assert len(re.findall(alone(word), asked)) >= count, (text, asked)
    assert num_guarded > 200
    assert num_asked > 4 * num_guarded
