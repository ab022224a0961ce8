import random
import re
from pathlib import Path

import pytest

from alum.attacks.text.candidates.misspellings import Misspellings, misspelling_candidates
from alum.attacks.text.worded import Place, WordedExample
from alum.core.errors import InputError


def listed(tmp_path, text):
    file = tmp_path / "list.txt"
    file.write_text(text, encoding="utf-8")
    return Misspellings(file)


@pytest.mark.parametrize(
    "text",
    [
        "The teh Hte teh\n\nfilm filme\nall-round alround\n",
        "teh->the\nhte -> the, they,\nalround->all-round\nfilme->film\n",
        "the teh [[thew th3 the hte\nfilm filme\nUnfortunately)] Unfortunatly\nlist\tlsit\nalround->all-round",
    ],
    ids=["a word and its misspellings", "a misspelling and its word", "both, with what is no word"],
)
def test_a_list_gives_the_misspellings_of_a_word(tmp_path, text):
    misspelled = listed(tmp_path, text)
    assert misspelled("the") == misspelled("THE") == ("teh", "hte")
    assert misspelled("film") == ("filme",)
    assert misspelled("all-round") == ("alround",)
    assert misspelled("teh") == misspelled("they") == misspelled("") == misspelled("unfortunately") == ()


def test_marks_apostrophes_and_the_mark_of_an_encoding_are_no_hindrance(tmp_path):
    misspelled = listed(tmp_path, "\ufefffilm filme fil_me\nit's its\nहिन्दी हिंदी\n")
    assert misspelled("It's") == misspelled("it’s") == ("its",)
    assert misspelled("हिन्दी") == ("हिंदी",)
    assert misspelled("film") == ("filme",)


def test_lists_are_told_apart_by_what_they_say_and_not_by_how(tmp_path):
    first = listed(tmp_path, "the teh\nfilm filme\n").digest
    assert listed(tmp_path, "teh->the\nfilme->film\n").digest == first
    assert listed(tmp_path, "the teh\nfilm flim\n").digest != first


def test_candidates_have_the_case_of_the_word_and_are_no_negations(tmp_path):
    candidates = misspelling_candidates(listed(tmp_path, "note not noet\nit's its\n"))
    example = WordedExample.of(("Note that NOTE, it's noted",))
    found = [candidates(example, Place(0, word), random.Random(0)) for word in range(5)]
    assert found == [["Noet"], [], ["NOET"], ["its"], []]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("teh->the\n->film\n", "line 2: expected a word and its misspellings, or misspelling->word, not '->film'"),
        ("the\n", "line 1: expected a word and its misspellings, or misspelling->word, not 'the'"),
        ("", "list.txt has no misspellings"),
        ("the the th3\n", "list.txt has no misspellings"),
    ],
)
def test_a_file_that_is_no_list_is_refused_with_the_line(tmp_path, text, message):
    with pytest.raises(InputError, match=re.escape(message)):
        listed(tmp_path, text)


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"no file at .*nowhere\.txt: expected a list of misspellings"):
        Misspellings(Path("nowhere.txt"))
