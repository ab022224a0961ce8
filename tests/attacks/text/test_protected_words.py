import json
import random
import re

import pytest

from alum.attacks.text.base import Resources
from alum.attacks.text.candidates.protected_words import is_protected
from alum.attacks.text.random_changes import CHANGES, RandomChanges
from alum.attacks.text.searches.settings import Constraints
from alum.attacks.text.worded import WordedText
from places import DATA
from word_resources import same_predictions

# Written out again: what a reader would call a negation or a number.
NEGATION_OR_NUMBER = re.compile(r"(?i)\b(?:no|not|never|nothing|none|neither|nor|without|hardly|\w*n['’]t|\d\w*)\b")


@pytest.mark.data
@pytest.mark.parametrize(
    ("file", "columns"),
    [
        ("glue_sst2/test.jsonl", ["sentence"]),
        ("customer_reviews/test.jsonl", ["text"]),
        ("snli_sample/test.jsonl", ["premise", "hypothesis"]),
    ],
)
def test_negations_and_numbers_of_all_rows_stay(file, columns):
    if not DATA.is_dir():
        pytest.skip(f"needs {DATA}: set ALUM_DATA to the folder of the data")
    any_word = Resources(
        masked_lm=same_predictions(("other",)), wordnet=lambda word: ("another",), misspellings=lambda word: ("otehr",)
    )
    changes, rng, num_seen = RandomChanges(list(CHANGES), 0.5, any_word), random.Random(0), 0
    for line in (DATA / file).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for text in (row[column] for column in columns):
            words = WordedText.of(text).words
            found = [word for word in words if NEGATION_OR_NUMBER.fullmatch(word)]
            num_seen += len(found)
            assert all(map(is_protected, found))
            assert not any(map(Constraints().allow_change_of, found))
            (changed,) = changes((text,), rng)
            kept = list(WordedText.of(changed).words)
            for word in found:
                assert word in kept, (text, changed)
                kept.remove(word)
    assert num_seen > 200


@pytest.mark.parametrize("word", ["does", "note", "known", "now", "another", "word2", "noted"])
def test_other_words_may_be_changed(word):
    assert not is_protected(word)
