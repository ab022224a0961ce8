import random
from pathlib import Path

import pytest

from alum.attacks.text.candidates.wordnet import WordNet, synonym_candidates
from alum.attacks.text.worded import Place, WordedExample
from alum.core.errors import InputError
from small_wordnet import save_wordnet

DEBIAN = Path("/usr/share/wordnet")
real = pytest.mark.skipif(not (DEBIAN / "data.noun").is_file(), reason=f"no WordNet database in {DEBIAN}")


@pytest.fixture
def wordnet(tmp_path):
    return WordNet(
        save_wordnet(
            tmp_path,
            noun=["cat moggie true_cat", "cat Burmese", "wolf lone-wolf loner"],
            verb=["cat vomit", "give hand", "stop halt"],
            adj=["alive(p) live", "big large"],
            exceptions={"noun": {"wolves": "wolf"}, "verb": {"gave": "give"}},
        )
    )


@pytest.mark.parametrize(
    ("word", "synonyms"),
    [
        ("cat", ("moggie", "Burmese", "vomit")),  # nouns before verbs, sense by sense; no two words, no hyphens
        ("CAT", ("moggie", "Burmese", "vomit")),
        ("cats", ("cat", "moggie", "Burmese", "vomit")),
        ("wolves", ("wolf", "loner")),
        ("gave", ("give", "hand")),
        ("bigger", ()),  # bigg is no word, nor bigge
        ("larger", ("big", "large")),
        ("alive", ("live",)),
        ("live", ("alive",)),
        ("stopped", ()),
        ("halting", ("stop", "halt")),
        ("unheard", ()),
        ("", ()),
        ("שלום", ()),
        ("🙂", ()),
        ("x" * 10_000, ()),
        ("[bold]", ()),
    ],
)
def test_synonyms(wordnet, word, synonyms):
    assert wordnet(word) == synonyms


def test_candidates_have_the_old_words_capitals(wordnet):
    candidates = synonym_candidates(wordnet)
    example = WordedExample.of(("Alive LARGE big",))
    found = [candidates(example, Place(0, word), random.Random(0)) for word in range(3)]
    assert found == [["Live"], ["BIG"], ["large"]]


def test_no_negation_is_a_candidate():
    """Some sets of adverbs hold one."""
    candidates = synonym_candidates(lambda word: ("infrequently", "rarely", "never", "Hardly"))
    assert candidates(WordedExample.of(("Sparsely",)), Place(0, 0), random.Random(0)) == ["Infrequently"]


@real
def test_the_real_database():
    """The senses of car on Princeton's site: auto …, railcar …, gondola; the others are of two words."""
    wordnet = WordNet(DEBIAN)
    assert wordnet("car") == ("auto", "automobile", "machine", "motorcar", "railcar", "gondola")
    assert {"movie", "film", "picture"} <= set(wordnet("movies"))
    assert "good" in wordnet("better")


@pytest.mark.parametrize("missing", ["index.verb", "data.adj"])
def test_a_folder_without_the_files(wordnet, missing):
    (wordnet.folder / missing).unlink()
    with pytest.raises(InputError, match=f"not the folder of a WordNet database: it lacks {missing}"):
        WordNet(wordnet.folder)
    with pytest.raises(InputError, match=r"it lacks index\.noun, data.noun, index.verb"):
        WordNet(wordnet.folder / "nowhere")


def test_damaged_files(wordnet):
    data = wordnet.folder / "data.noun"
    data.write_bytes(data.read_bytes()[7:])
    with pytest.raises(
        InputError, match=r"data\.noun of the WordNet database is damaged: no set of synonyms at byte 36"
    ):
        WordNet(wordnet.folder)("cat")
    (wordnet.folder / "index.adj").write_text("good a\nno index\n")
    with pytest.raises(InputError, match=r"index\.adj, line 1: not a line of an index"):
        WordNet(wordnet.folder)


def test_parts_of_speech_are_those_whose_files_have_the_word_or_its_base_form(tmp_path):
    wordnet = WordNet(save_wordnet(tmp_path, noun=["run jog"], verb=["run sprint"], adj=["quick fast"]))
    assert wordnet.parts_of_speech("run") == {"noun", "verb"}
    assert wordnet.parts_of_speech("Runs") == {"noun", "verb"}
    assert wordnet.parts_of_speech("sprinting") == {"verb"}
    assert wordnet.parts_of_speech("quicker") == {"adj"}
    assert wordnet.parts_of_speech("unheard") == frozenset()
