"""Universal trigger of a classifier: found on one half of the rows, and tried on the other beside random words."""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from alum.attacks.text.candidates.protected_words import is_protected
from alum.attacks.text.protocol import Misclassified
from alum.attacks.text.searches.gradients import GradientQuestion, Gradients
from alum.attacks.text.searches.side_by_side import Victim
from alum.attacks.text.searches.universal_trigger import MAX_ROUNDS, TriggeredRow, TriggerSearch
from alum.attacks.text.worded import Place
from alum.core.errors import InputError, unknown_name
from alum.data.visible_text import counted, print_visible, visible
from alum.evaluation.scores.statistics import mean_interval
from alum.reports.numbers import percent_text
from alum.stages.classified_rows.loading import load_classified_rows
from alum.stages.evaluation.progress import EvaluationProgress
from alum.stages.evaluation.suite_data import drawn_indices
from alum.stages.record_folder import opened_for_record
from alum.stages.runs.folder import write_json
from alum.stages.triggers.arguments import TriggersArguments

_RECORD = "triggers.json"
_RANDOM_TRIES = 10


@dataclass(frozen=True)
class TriggersResult:
    """Trigger with its success: the share of held-out rows that were right before and are wrong after it.

    ``low`` and ``high`` are the ends of its 95 % interval; ``random_success_rate`` is that of as many random words, the
    mean of ten draws. The rows of the search and the held-out ones were right before; of ``num_rows`` it was looked up
    which are, and these were drawn of the ``num_rows_available`` of the label, or of all.
    """

    model: str
    trigger: str
    label: str | None
    success_rate: float
    low: float
    high: float
    random_success_rate: float
    search_success_rate: float
    num_search_rows: int
    num_held_out_rows: int
    num_rows: int
    num_rows_available: int

    def show(self) -> None:
        """Prints the trigger and what it does."""
        rates = (self.success_rate, self.low, self.high, self.random_success_rate, self.search_success_rate)
        turned, low, high, by_random, in_search = map(percent_text, rates)
        of_label = "" if self.label is None else f" of the label {visible(self.label)}"
        num_right = self.num_search_rows + self.num_held_out_rows
        print_visible(
            f"Trigger: {visible(self.trigger)}\n"
            f"{num_right:,} of {counted(self.num_rows, 'row')} were right, drawn of {self.num_rows_available:,}"
            f"{of_label}. Put before {self.num_held_out_rows:,} of these, it turns {turned} ({low} to {high}); "
            f"as many random words turn {by_random}, and on the other {self.num_search_rows:,}, of the search, it "
            f"turns {in_search}."
        )


def triggers(arguments: TriggersArguments) -> TriggersResult:
    """Looks for a universal trigger (Wallace et al. 2019, arXiv:1908.07125) on half of the rows that are right.

    Raises `InputError` for models without gradients for words, where too few rows are right, and for a folder that
    holds something else.
    """
    with opened_for_record(arguments, "triggers", _RECORD) as folder:
        result = _found(arguments)
        if folder is not None:
            write_json(folder / _RECORD, asdict(result))
    return result


def _found(arguments: TriggersArguments) -> TriggersResult:
    loaded = load_classified_rows(replace(arguments, max_eval_samples=None))
    names, victim, gradients = loaded.label_names, loaded.victim, loaded.gradients()
    if arguments.label is not None and arguments.label not in names:
        raise unknown_name("label", arguments.label, names)
    available = [row for row in loaded.rows if arguments.label in (None, names[row.label])]
    if not available:
        raise InputError(f"no row has the label {arguments.label}.")
    drawn = drawn_indices(len(available), arguments.max_eval_samples, arguments.seed)
    rows = [
        TriggeredRow(row.example, Misclassified(row.label), row.text) for row in (available[index] for index in drawn)
    ]
    outputs = victim([row.example for row in rows])
    right = [row for row, output in zip(rows, outputs, strict=True) if not row.goal.reached(output[None])[0]]
    random.Random(arguments.seed).shuffle(right)
    searched, others = right[::2], right[1::2]
    if not others:
        raise InputError(f"{len(right)} of {len(rows)} rows are right: expected two or more, one to search on.")
    words = _trigger(TriggerSearch(victim, gradients, arguments.num_words), searched)
    turned = success_of(words, others, victim)
    low, high = mean_interval(turned)
    controls = [success_of(one, others, victim) for one in random_triggers(arguments, searched[0], gradients)]
    return TriggersResult(
        model=arguments.model_name_or_path,
        trigger=" ".join(words),
        label=arguments.label,
        success_rate=float(np.mean(turned)),
        low=low,
        high=high,
        random_success_rate=float(np.mean(controls)),
        search_success_rate=float(np.mean(success_of(words, searched, victim))),
        num_search_rows=len(searched),
        num_held_out_rows=len(others),
        num_rows=len(rows),
        num_rows_available=len(available),
    )


def _trigger(search: TriggerSearch, rows: Sequence[TriggeredRow]) -> tuple[str, ...]:
    found: list[tuple[str, ...]] = []
    with EvaluationProgress().shown("looking for a trigger", MAX_ROUNDS, "rounds") as done:
        for words in search.rounds(rows):
            found.append(words)
            done(1)
    return found[-1]


def success_of(words: Sequence[str], rows: Sequence[TriggeredRow], victim: Victim) -> list[float]:
    """Whether each row's answer is wrong after the words: 1, or 0."""
    outputs = victim([row.after(words) for row in rows])
    return [float(row.goal.reached(output[None])[0]) for row, output in zip(rows, outputs, strict=True)]


def random_triggers(arguments: TriggersArguments, row: TriggeredRow, gradients: Gradients) -> list[list[str]]:
    """Draws triggers of any words that one may be of: as in the search, of no negations."""
    place = Place(row.text % len(row.example), 0)
    (found,) = gradients.at_words([GradientQuestion(row.after(["the"]), [place], row.goal.label)])
    known = found[0].vocabulary.words if found else ()
    words, rng = [word for word in known if not is_protected(word)] or ["the"], random.Random(arguments.seed)
    return [[rng.choice(words) for _ in range(arguments.num_words)] for _ in range(_RANDOM_TRIES)]
