"""An attacked text in the terminal: the model's answers before and after the attack, and the changed words."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from alum.attacks.text.protocol import AttackResult, Change
from alum.attacks.text.worded import Place, WordedExample
from alum.data.visible_text import visible
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
    console = console or Console()
    console.print(Text(_headline(result, label, label_names), style="bold"))
    if num_unread_words:
        console.print(f"{num_unread_words:,} words stand beyond the model's length: they never matter.")
    _show_probabilities(result, label_names, console)
    for index, text in enumerate(_marked(result)):
        if len(result.original) > 1:
            console.print(Text(f"Text {index + 1}:", style="bold"))
        console.print(text, soft_wrap=True)
    counts = f"Words changed: {len(result.changes):,} of {result.num_words:,}. Queries: {result.num_queries:,}."
    console.print(Text(counts, style="dim"))


def _headline(result: AttackResult, label: str, label_names: Sequence[str]) -> str:
    label = visible(label)
    answer = visible(label_names[_top(result.adversarial_outputs)])
    if result.outcome == "skipped":
        return f"Nothing to attack: the model says {answer}, not {label}, without a change."
    if result.outcome == "succeeded":
        return f"The attack succeeded: the model said {label}, and now says {answer}."
    return f"The attack failed: the model still says {label}."


def _show_probabilities(result: AttackResult, label_names: Sequence[str], console: Console) -> None:
    pairs = list(zip(label_names, result.clean_outputs, result.adversarial_outputs, strict=True))
    pairs.sort(key=lambda pair: -max(pair[1:]))
    rows = [[visible(name), percent_text(before), percent_text(after)] for name, before, after in pairs[:_MAX_LABELS]]
    show_table("What the model says", ("label", "before", "after"), rows, console)
    if len(pairs) > _MAX_LABELS:
        console.print(Text(f"and {len(pairs) - _MAX_LABELS} other labels", style="dim"))


def _marked(result: AttackResult) -> list[Text]:
    changes = {change.place: change for change in result.changes}
    texts = []
    for index, worded in enumerate(WordedExample.of(result.original).texts):
        shown = Text()
        for number, part in enumerate(worded.parts):
            change = changes.get(Place(index, number // 2)) if number % 2 else None
            shown.append(visible(part)) if change is None else shown.append_text(_mark(change))
        texts.append(shown)
    return texts


def _mark(change: Change) -> Text:
    return Text.assemble("[", (visible(change.old), "red strike"), " → ", (visible(change.new), "bold green"), "]")


def _top(outputs: Sequence[float]) -> int:
    return max(range(len(outputs)), key=outputs.__getitem__)
