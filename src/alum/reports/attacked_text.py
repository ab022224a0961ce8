"""An attacked text in the terminal or a notebook: the model's answers before and after, and the changed words."""

from collections.abc import Sequence

from markupsafe import Markup
from rich.console import Console
from rich.text import Text

from alum.attacks.text.protocol import AttackResult, Change
from alum.attacks.text.worded import Place, WordedExample
from alum.data.visible_console import VisibleConsole
from alum.data.visible_text import counted, visible
from alum.reports.lookalikes import lookalikes_named
from alum.reports.numbers import percent_text
from alum.reports.tables import show_table

_MAX_LABELS = 5


def show_attack(
    result: AttackResult,
    label: str,
    label_names: Sequence[str],
    num_unread_words: int = 0,
    console: Console | None = None,
) -> None:
    """Prints an attack's outcome, the label probabilities, and the texts with each changed word as ``[old → new]``.

    The texts are shown as they are but for control characters, which are spelled out.
    """
    console = console or VisibleConsole()
    console.print(Text(_headline(result, label, label_names), style="bold"))
    if num_unread_words:
        never = "it never matters" if num_unread_words == 1 else "they never matter"
        console.print(f"{_unread(num_unread_words)} beyond the model's length: {never}.")
    _show_probabilities(result, label_names, console)
    for index, text in enumerate(_marked(result)):
        if len(result.original) > 1:
            console.print(Text(f"Text {index + 1}:", style="bold"))
        console.print(text, soft_wrap=not console.is_terminal)
    console.print(Text(_counts(result), style="dim"))


def attack_html(result: AttackResult, label: str, label_names: Sequence[str], num_unread_words: int = 0) -> str:
    """Makes of an attack's outcome what `show_attack` prints, as HTML for a notebook; all text in it is escaped."""
    parts = [Markup("<p><b>{}</b></p>").format(_headline(result, label, label_names))]
    if num_unread_words:
        parts.append(Markup("<p>{} beyond the model’s length.</p>").format(_unread(num_unread_words)))
    cells = [Markup("<tr><th>{}</th><td>{}</td><td>{}</td></tr>").format(*row) for row in _rows(result, label_names)]
    head = Markup("<tr><th>label</th><th>before</th><th>after</th></tr>")
    parts.append(Markup("<table>{}{}</table>").format(head, Markup("").join(cells)))
    changed = Markup("<del>{}</del> → <ins>{}</ins>")
    for pieces in _pieces(result):
        texts = [
            visible(piece) if isinstance(piece, str) else changed.format(visible(piece.old), _new_word(piece))
            for piece in pieces
        ]
        parts.append(Markup("<p>{}</p>").format(Markup("").join(texts)))
    parts.append(Markup("<p>{}</p>").format(_counts(result)))
    return str(Markup("\n").join(parts))


def _unread(num_words: int) -> str:
    return f"{counted(num_words, 'word')} {'stands' if num_words == 1 else 'stand'}"


def _counts(result: AttackResult) -> str:
    return f"Words changed: {len(result.changes):,} of {result.num_words:,}. Queries: {result.num_queries:,}."


def _headline(result: AttackResult, label: str, label_names: Sequence[str]) -> str:
    label = visible(label)
    answer = visible(label_names[_top(result.adversarial_outputs)])
    if result.outcome == "skipped":
        return f"Nothing to attack: the model says {answer}, not {label}, without a change."
    if result.outcome == "succeeded":
        return f"The attack succeeded: the model said {label}, and now says {answer}."
    failed = f"The attack failed: the model still says {label}."
    return f"{failed} No query was left to it (max_queries)." if result.ended_by_limit else failed


def _show_probabilities(result: AttackResult, label_names: Sequence[str], console: Console) -> None:
    show_table("What the model says", ("label", "before", "after"), _rows(result, label_names), console)
    if len(label_names) > _MAX_LABELS:
        console.print(Text(f"and {len(label_names) - _MAX_LABELS} other labels", style="dim"))


def _rows(result: AttackResult, label_names: Sequence[str]) -> list[list[str]]:
    """The likeliest labels, with their probabilities before and after."""
    pairs = list(zip(label_names, result.clean_outputs, result.adversarial_outputs, strict=True))
    pairs.sort(key=lambda pair: -max(pair[1:]))
    return [[visible(name), percent_text(before), percent_text(after)] for name, before, after in pairs[:_MAX_LABELS]]


def _pieces(result: AttackResult) -> list[list[str | Change]]:
    """Texts in pieces: a change in the place of each word that was changed."""
    changes = {change.place: change for change in result.changes}
    return [
        [
            changes.get(Place(index, number // 2), part) if number % 2 else part
            for number, part in enumerate(worded.parts)
        ]
        for index, worded in enumerate(WordedExample.of(result.original).texts)
    ]


def _marked(result: AttackResult) -> list[Text]:
    texts = []
    for pieces in _pieces(result):
        shown = Text()
        for piece in pieces:
            shown.append(visible(piece)) if isinstance(piece, str) else shown.append_text(_mark(piece))
        texts.append(shown)
    return texts


def _mark(change: Change) -> Text:
    return Text.assemble("[", (visible(change.old), "red strike"), " → ", (_new_word(change), "bold green"), "]")


def _new_word(change: Change) -> str:
    return visible(change.new) + lookalikes_named(change.old, change.new)


def _top(outputs: Sequence[float]) -> int:
    return max(range(len(outputs)), key=outputs.__getitem__)
