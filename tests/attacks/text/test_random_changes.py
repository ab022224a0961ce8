import random
from collections import Counter

import pytest

from alum.attacks.text.base import Resources
from alum.attacks.text.candidates.wordnet import WordNet
from alum.attacks.text.random_changes import RandomChanges, kinds_named
from alum.attacks.text.worded import Place
from alum.core.errors import InputError
from small_wordnet import save_wordnet

TEXT = ("The film is a big film of few words",)


def test_synonyms_are_those_of_wordnet_and_stop_words_stay(tmp_path):
    resources = Resources(
        wordnet=WordNet(
            save_wordnet(tmp_path / "dict", noun=["film movie picture", "word term", "a ampere"], adj=["big large"])
        )
    )
    changes, rng = RandomChanges(["synonyms"], 1.0, resources), random.Random(0)
    found = Counter(changes(TEXT, rng)[0] for _ in range(600))
    allowed = [
        f"The {one} is a large {other} of few {words}"
        for one in ("movie", "picture")
        for other in ("movie", "picture")
        for words in ("word", "term")
    ]
    assert set(found) == set(allowed)
    assert all(abs(count - 75) < 5 * 75**0.5 for count in found.values())


def test_misspellings_are_those_of_a_list_of_stop_words_too():
    listed = {"the": ("teh", "hte"), "film": ("filme",), "not": ("nto",)}
    resources = Resources(misspellings=lambda word: listed.get(word.casefold(), ()))
    changes, rng = RandomChanges(["misspellings"], 1.0, resources), random.Random(0)
    found = Counter(changes(("The film, not a good film",), rng)[0] for _ in range(400))
    assert set(found) == {"Teh filme, not a good filme", "Hte filme, not a good filme"}
    assert all(abs(count - 200) < 5 * 100**0.5 for count in found.values())


def test_proposals_are_asked_for_of_the_unchanged_text():
    asked = []

    def proposed(questions):
        asked.extend((example.joined(), place) for example, place in questions)
        return [("film", "Movie", "the")] * len(questions)  # the word itself and stop words are left out

    changes = RandomChanges(["masked_lm"], 1.0, Resources(masked_lm=proposed))
    drawn = changes.drawn(("a film, a Film",), random.Random(0))
    assert drawn.texts == ("a Movie, a Movie",)
    assert [(change.place, change.old) for change in drawn.changes] == [(Place(0, 1), "film"), (Place(0, 3), "Film")]
    assert asked == [(("a film, a Film",), Place(0, 1)), (("a film, a Film",), Place(0, 3))]


def test_a_word_without_one_kind_of_change_gets_another_and_one_word_is_changed_if_any_can_be():
    resources = Resources(wordnet=lambda word: ("movie",) if word == "film" else ())
    both = RandomChanges(["synonyms", "homoglyphs"], 1.0, resources)
    assert len(both.drawn(("big dogs",), random.Random(0)).changes) == 2
    few = RandomChanges(["synonyms"], 1e-9, resources)
    for seed in range(20):
        assert few(("big dogs like film",), random.Random(seed)) == ("big dogs like movie",)
    assert few.drawn(("big dogs",), random.Random(0)).changes == ()


def test_words_that_get_other_tokens_keep_their_text():
    changes, rng = RandomChanges(["subwords", "homoglyphs"], 1.0), random.Random(0)
    counts = Counter()
    for _ in range(500):
        drawn = changes.drawn(("example sentence",), rng)
        assert drawn.num_resegmented + len(drawn.changes) == 2
        counts[drawn.num_resegmented] += 1
        assert drawn.texts[0].isascii() == (not drawn.changes)
    assert all(abs(counts[n] / 500 - share) < 0.1 for n, share in ((0, 0.25), (1, 0.5), (2, 0.25)))
    (alone,) = {RandomChanges(["subwords"], 0.01).drawn(("a b 12 word",), random.Random(0)).num_resegmented}
    assert alone == 1


def test_words_of_a_template_stay_where_it_begins_a_text():
    resources = Resources(wordnet=lambda word: (f"{word}x",))
    changes = RandomChanges(["synonyms"], 1.0, resources)
    templates = ("Film", "Film cause?", "Film dogs like?")
    example = ("Film cause? Film dogs", "Big Film cause? dogs", "Film", "Filmed dogs")
    drawn = changes.drawn(example, random.Random(0), templates)
    assert drawn.texts == ("Film cause? Filmx dogsx", "Bigx Filmx causex? dogsx", "Film", "Filmedx dogsx")
    assert changes.drawn(example, random.Random(0)).texts[2] == "Filmx"


def test_a_source_of_words_that_is_missing_is_named():
    with pytest.raises(InputError, match=r"the changes synonyms need the files of the WordNet database.*--wordnet_dir"):
        RandomChanges(["typing", "synonyms"], 0.2)
    with pytest.raises(InputError, match=r"the changes masked_lm need a masked language model.*--masked_lm"):
        RandomChanges(["masked_lm"], 0.2, Resources(wordnet=lambda word: ()))


def test_lists_have_commas():
    assert kinds_named("typing, synonyms") == ("typing", "synonyms")
    assert kinds_named(None) == ("typing", "deepwordbug")
