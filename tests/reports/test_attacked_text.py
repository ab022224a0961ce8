import io

import pytest
from rich.console import Console

from alum.attacks.text.protocol import AttackResult, Change
from alum.attacks.text.worded import Place
from alum.data.visible_text import visible
from alum.reports.attacked_text import attack_html, show_attack

GENTLE = Change(Place(0, 1), "gentle", "gentel")


def result(original=("a gentle cat",), changes=(GENTLE,), **settings):
    return AttackResult(
        **{
            "original": original,
            "perturbed": ("a gentel cat",),
            "outcome": "succeeded",
            "clean_outputs": (0.125, 0.875),
            "adversarial_outputs": (0.75, 0.25),
            "num_queries": 1234,
            "num_words": 3,
            "changes": changes,
            **settings,
        }
    )


def shown(found, names=("bad", "good"), terminal=False, width=100, **settings):
    colours = {"force_terminal": True, "color_system": "truecolor", "no_color": False} if terminal else {}
    console = Console(file=io.StringIO(), width=width, **colours)
    show_attack(found, "good", names, console=console, **settings)
    return console.file.getvalue()


def test_before_and_after_are_legible_without_colour():
    lines = shown(result()).splitlines()
    assert lines[0] == "The attack succeeded: the model said good, and now says bad."
    assert ["good", "87.5", "%", "25.0", "%"] in [line.split() for line in lines]
    assert ["bad", "12.5", "%", "75.0", "%"] in [line.split() for line in lines]
    assert "a [gentle → gentel] cat" in lines
    assert lines[-1] == "Words changed: 1 of 3. Queries: 1,234."
    assert "\x1b" not in "".join(lines)


def test_old_and_new_have_colours_in_a_terminal():
    text = shown(result(), terminal=True)
    assert "\x1b[9;31mgentle\x1b[0m" in text
    assert "\x1b[1;32mgentel\x1b[0m" in text


@pytest.mark.parametrize(
    ("outcome", "outputs", "words"),
    [
        ("failed", (0.25, 0.75), "The attack failed: the model still says good."),
        ("skipped", (0.75, 0.25), "Nothing to attack: the model says bad, not good, without a change."),
    ],
)
def test_other_outcomes(outcome, outputs, words):
    assert shown(result(outcome=outcome, adversarial_outputs=outputs, changes=())).splitlines()[0] == words


def test_both_texts_of_a_pair_are_shown():
    pair = result(("a cat", "a dog"), (Change(Place(1, 1), "dog", "d0g"),))
    lines = shown(pair).splitlines()
    start = lines.index("Text 1:")
    assert lines[start : start + 4] == ["Text 1:", "a cat", "Text 2:", "a [dog → d0g]"]


def test_words_that_are_not_read_are_mentioned():
    assert "9,488 words stand beyond the model's length" in shown(result(), num_unread_words=9488)
    assert "1 word stands beyond the model's length: it never matters." in shown(result(), num_unread_words=1)
    assert "beyond" not in shown(result())


def test_a_letter_that_looks_like_another_is_named():
    changes = (Change(Place(0, 2), "cat", "c\u0430t"),)
    assert "a gentle [cat → c\u0430t (\u0430 U+0430)]" in shown(result(changes=changes))
    assert "<ins>c\u0430t (\u0430 U+0430)</ins>" in attack_html(result(changes=changes), "good", ("bad", "good"))
    assert "U+" not in shown(result(changes=(Change(Place(0, 2), "cat", "cät"),)))


def test_an_attack_that_failed_for_want_of_queries_says_so():
    failed = {"outcome": "failed", "adversarial_outputs": (0.25, 0.75), "changes": ()}
    assert "No query was left to it (max_queries)." in shown(result(**failed, ended_by_limit=True))
    assert "max_queries" not in shown(result(**failed))


def test_of_many_labels_those_that_matter_are_shown():
    outputs = [0.01 * index for index in range(10)]
    names = [f"label{index}" for index in range(10)]
    text = shown(result(clean_outputs=tuple(outputs), adversarial_outputs=tuple(outputs)), names)
    assert [name in text for name in names] == [False] * 5 + [True] * 5
    assert "and 5 other labels" in text


def test_nothing_in_a_text_is_obeyed():
    """Neither as rich's markup, nor as an emoji's name, nor by the terminal."""
    text = "[bold]gentle[/bold] :cat: \x1b[31m\x1b]0;title\x07 \r\x08 \u202egentle\u202c \x9b [/] \u2028"
    found = result((text,), (Change(Place(0, 1), "gentle", "\x1b[5m[/]"),))
    plain = shown(found, width=300)
    expected = (
        r"[bold][gentle → \x1b[5m[/]][/bold] :cat: \x1b[31m\x1b]0;title\x07 \r\x08 \u202egentle\u202c \x9b [/] \u2028"
    )
    assert expected in plain.splitlines()
    names = ("[red]bad\x1b[0m", "good[/]")
    assert r"[red]bad\x1b[0m" in shown(found, names, width=300)
    assert not {"\x1b", "\x07", "\r", "\x08", "\u202e", "\x9b"} & set(shown(found, names, width=300))


@pytest.mark.parametrize(
    "text", ["שלום עולם", "naïve 世界", "e\u0301", "👩\u200d🔬", "two\nlines\tand a tab", "नम\u200dस्ते"]
)
def test_letters_of_any_script_stay(text):
    assert visible(text) == text


@pytest.mark.parametrize(("text", "seen"), [("\x00", r"\x00"), ("\udcff", r"\udcff"), ("\u200f", r"\u200f")])
def test_what_moves_or_hides_is_spelled_out(text, seen):
    assert visible(text) == seen
