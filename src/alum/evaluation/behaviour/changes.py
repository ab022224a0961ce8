"""Changes of texts after which a classifier's answer should stay, or move in a known direction.

Each takes an example, the index of the text that may be changed and a source of chance, and gives the changed examples:
none where the example has nothing to change.
"""

import random
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence

from alum.attacks.text.candidates.characters import swap_adjacent
from alum.attacks.text.candidates.protected_words import holds_negation, is_protected
from alum.attacks.text.worded import Example, WordedText, in_case_of

ExampleChange = Callable[[Example, int, random.Random], list[Example]]

NUM_VARIANTS = 4
"""Changed examples of one, where chance decides what they are."""
_TRIES = 20
_MIN_MISTYPED_LETTERS = 4


def typing_errors(count: int) -> ExampleChange:
    """Swaps two neighbouring letters in each of ``count`` words of four letters or more, but negations and numbers."""

    def mistyped(example: Example, text: int, rng: random.Random) -> list[Example]:
        worded = WordedText.of(example[text])
        open_words = [
            number
            for number, word in enumerate(worded.words)
            if len(word) >= _MIN_MISTYPED_LETTERS and word.isalpha() and not is_protected(word)
        ]
        if len(open_words) < count:
            return []

        def another() -> Example | None:
            new = _mistyped(worded, rng.sample(open_words, count), rng)
            return None if new is None else _with(example, text, new)

        return _variants(another)

    return mistyped


def _mistyped(worded: WordedText, numbers: Iterable[int], rng: random.Random) -> str | None:
    for number in numbers:
        new = swap_adjacent(worded.word(number), rng)
        if new is None or holds_negation(new):
            return None
        worded = worded.replaced(number, new)
    return str(worded)


def other_contractions(example: Example, text: int, rng: random.Random) -> list[Example]:
    """Writes out what is contracted (it's, don't), and contracts what is written out, each in an example of its own."""
    own = example[text]
    return [_with(example, text, new) for new in (_written_out(own), _contracted(own)) if new != own]


_NEGATED = "is|are|was|were|do|does|did|has|have|had|could|would|should"
_IRREGULAR = {"can": "ca", "will": "wo"}  # whose contraction drops letters
_WHOLE = {short: whole for whole, short in _IRREGULAR.items()}
# "It's" is "it has" before some words.
_IS = r"\b(it|that|there|what)( ?)['’]s\b(?=\s+\w)(?!\s+(?:been|got|had|become|come|gone|made|done|taken)\b)"
_SHORT_FORMS = {"re": "are", "ll": "will", "ve": "have", "m": "am"}


def _written_out(text: str) -> str:
    text = re.sub(rf"\b({_NEGATED}) ?n['’]t\b", r"\1 not", text, flags=re.IGNORECASE)
    text = re.sub(
        r"\b(ca|wo) ?n['’]t\b", lambda m: f"{in_case_of(m[1], _WHOLE[m[1].lower()])} not", text, flags=re.IGNORECASE
    )
    text = re.sub(_IS, r"\1 is", text, flags=re.IGNORECASE)
    return re.sub(
        r"\b(i|you|we|they) ?['’](re|ll|ve|m)\b",
        lambda m: f"{m[1]} {_SHORT_FORMS[m[2].lower()]}",
        text,
        flags=re.IGNORECASE,
    )


def _contracted(text: str) -> str:
    space = " " if _is_tokenized(text) else ""
    text = re.sub(rf"\b((?i:{_NEGATED})) not\b", rf"\1{space}n't", text)  # NOT in capitals stays
    text = re.sub(
        r"\b((?i:can ?|will ))not\b",
        lambda m: f"{in_case_of(m[1].strip(), _IRREGULAR[m[1].strip().lower()])}{space}n't",
        text,
    )
    return re.sub(r"\b(it|that|there|what) is(?=\s+\w)", rf"\1{space}'s", text, flags=re.IGNORECASE)


def _is_tokenized(text: str) -> bool:
    """Whether marks stand alone, as in the Penn Treebank and SST-2: "it 's fine ."."""
    return re.search(r"\w (?:[.,;:!?]|n't|'s)(?:\s|$)", text) is not None


def other_end_mark(example: Example, text: int, rng: random.Random) -> list[Example]:
    """Takes a text's last full stop, question or exclamation marks away, or puts a full stop where it has none."""
    own = example[text].rstrip()
    if not own:
        return []
    plain = own.rstrip(".!?").rstrip()
    if not plain:
        return []
    new = plain if plain != own else f"{own}{' ' if _is_tokenized(own) else ''}."
    return [_with(example, text, new)]


def web_marks(example: Example, text: int, rng: random.Random) -> list[Example]:
    """Puts an address or a handle of random letters behind the text."""
    names = ("".join(rng.choices(string.ascii_lowercase + string.digits, k=8)) for _ in range(NUM_VARIANTS))
    marks = (f"@{name}" if number % 2 else f"https://example.com/{name}" for number, name in enumerate(names))
    return [_with(example, text, f"{example[text].rstrip()} {mark}") for mark in marks]


def phrases_behind(phrases: Sequence[str]) -> ExampleChange:
    """Puts each of the phrases behind the text, as a sentence of its own."""

    def continued(example: Example, text: int, rng: random.Random) -> list[Example]:
        own = example[text].rstrip()
        if not own:
            return []
        end = "" if own[-1] in ".!?" else " ." if _is_tokenized(own) else "."
        return [_with(example, text, f"{own}{end} {phrase}") for phrase in phrases]

    return continued


def swapped_order(example: Example, text: int, rng: random.Random) -> list[Example]:
    """Gives a pair's texts in the other order."""
    return [] if example[0] == example[1] else [(example[1], example[0])]


def others_of_their_kind(kinds: Sequence[Sequence[str]]) -> ExampleChange:
    """Replaces all words of lists, each by another of its list; in pairs those that are in both texts, in both."""
    kind_of = {word.lower(): kind for kind in kinds for word in kind}
    pattern = re.compile(rf"\b({'|'.join(sorted(map(re.escape, kind_of), key=len, reverse=True))})\b", re.IGNORECASE)

    def replaced(example: Example, text: int, rng: random.Random) -> list[Example]:
        found = _in_all_texts(example, pattern)

        def another() -> Example | None:
            new: dict[str, str] = {}
            for word in found:
                free = [one for one in kind_of[word] if one.lower() not in {*found, *map(str.lower, new.values())}]
                if not free:
                    return None
                new[word] = rng.choice(free)
            return _exchanged(example, pattern, new)

        return _variants(another) if found else []

    return replaced


# Whole numbers in figures that stand alone: no part of a date, a ratio, an amount with decimals, a percentage or a
# verdict such as "9 out of 10" and "4 stars". Those below 5 may be read as words ("2 good"), or count what is told.
_NUMBER = re.compile(
    r"(?<![\w.,/:$£€+–-])(?<!out of )\d+(?![\w/:%–-]|[.,]\d)(?!\s*(?:%|/|out of|stars?\b|percent|points?\b))",
    re.IGNORECASE,
)
_LEAST_NUMBER = 5
_MAY_BE_YEARS = range(1000, 3000)
_YEARS = 5


def other_numbers(example: Example, text: int, rng: random.Random) -> list[Example]:
    """Replaces whole numbers from 5 on by others no more than a fifth away, and what may be a year by one within five.

    In pairs those that are in both texts, in both.
    """
    found = [word for word in _in_all_texts(example, _NUMBER) if int(word) >= _LEAST_NUMBER and word[0] != "0"]

    def another() -> Example | None:
        new: dict[str, str] = {}
        for word in found:
            number = int(word)
            reach = _YEARS if number in _MAY_BE_YEARS else number // 5
            other = f"{number + rng.choice((-1, 1)) * rng.randint(1, reach)}"
            if other in {*found, *new.values()}:
                return None
            new[word] = other
        return _exchanged(example, _NUMBER, new)

    return _variants(another) if found else []


def _in_all_texts(example: Example, pattern: re.Pattern[str]) -> list[str]:
    """What a pattern finds in each of the texts, in lower case and the order of the first."""
    first, *others = ([match[0].lower() for match in pattern.finditer(text)] for text in example)
    return [word for word in dict.fromkeys(first) if all(word in other for other in others)]


def _exchanged(example: Example, pattern: re.Pattern[str], new: Mapping[str, str]) -> Example:
    def by(match: re.Match[str]) -> str:
        old = match[0]
        word = new.get(old.lower(), old)
        return word.lower() if old.islower() else in_case_of(old, word)

    return tuple(pattern.sub(by, text) for text in example)


def _with(example: Example, text: int, new: str) -> Example:
    text %= len(example)
    return (*example[:text], new, *example[text + 1 :])


def _variants(draw: Callable[[], Example | None]) -> list[Example]:
    """Different examples of those that are drawn, in their order."""
    found: dict[Example, None] = {}
    for _ in range(_TRIES):
        if (new := draw()) is not None:
            found.setdefault(new)
        if len(found) == NUM_VARIANTS:
            break
    return list(found)
