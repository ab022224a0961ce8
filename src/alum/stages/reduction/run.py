"""Words that a classifier's answers stand on: what is left of texts when all others are taken away."""

from dataclasses import asdict, dataclass
from statistics import fmean

from alum.attacks.text.searches.input_reduction import Reduction, as_read, reduced
from alum.attacks.text.searches.side_by_side import run_searches
from alum.data.visible_text import print_visible, visible
from alum.reports.numbers import percent_text
from alum.stages.classified_rows.loading import load_classified_rows
from alum.stages.evaluation.progress import EvaluationProgress
from alum.stages.record_folder import opened_for_record
from alum.stages.reduction.arguments import ReduceArguments
from alum.stages.runs.folder import write_json

_RECORD = "reduction.json"


@dataclass(frozen=True)
class ReducedText:
    """A row's text before, as far as the model reads it, and after, with the answer that stayed and its probability."""

    original: str
    reduced: str
    answer: str
    probability_before: float
    probability_after: float
    num_words: int
    num_words_left: int


@dataclass(frozen=True)
class ReduceResult:
    """Reductions of rows: means over them of the words before and after, and of the answer's probability.

    ``num_rows`` were drawn of ``num_rows_available``. ``one_word_share`` is the share of those that are reduced to one
    word among the ``num_rows_of_several_words``, and None where these are none.
    """

    model: str
    num_rows: int
    num_rows_available: int
    num_rows_of_several_words: int
    mean_words: float
    mean_words_left: float
    one_word_share: float | None
    mean_probability_before: float
    mean_probability_after: float
    texts: tuple[ReducedText, ...]
    num_shown: int

    def show(self) -> None:
        """Prints what is left of the texts, and some of them."""
        one_word = ""
        if self.one_word_share is not None:
            of_rows = f"the {self.num_rows_of_several_words:,} rows of two words or more"
            one_word = f"; one word is enough in {percent_text(self.one_word_share)} of {of_rows}"
        print_visible(
            f"{self.num_rows:,} of {self.num_rows_available:,} rows: of {self.mean_words:.1f} words a text "
            f"{self.mean_words_left:.1f} are left before the answer turns{one_word}. The answer\u2019s probability is "
            f"{percent_text(self.mean_probability_before)} before and {percent_text(self.mean_probability_after)} "
            "after."
        )
        for one in self.texts[: self.num_shown]:
            print_visible(f"{visible(one.answer)}: {visible(one.reduced)}   <-   {visible(one.original)}")


def reduce_inputs(arguments: ReduceArguments) -> ReduceResult:
    """Takes words away from the (last) text of each row as long as the model's answer stays, right or wrong.

    Of a text that is too long for the model it is the part that is read. Feng et al. 2018, arXiv:1804.07781. Raises
    `InputError` for models and rows that cannot be used, and for a folder that holds something else.
    """
    with opened_for_record(arguments, "reduce", _RECORD) as folder:
        result = _reduced(arguments)
        if folder is not None:
            write_json(folder / _RECORD, asdict(result))
    return result


def _reduced(arguments: ReduceArguments) -> ReduceResult:
    loaded = load_classified_rows(arguments)
    examples = [as_read(row.example, row.text, loaded.victim.characters_read(row.example)) for row in loaded.rows]
    answers = [int(output.argmax()) for output in loaded.victim(examples)]
    searches = (
        reduced(example, answer, row.text) for example, answer, row in zip(examples, answers, loaded.rows, strict=True)
    )
    found = {}
    with EvaluationProgress().shown("taking words away", len(examples)) as done:
        for number, one in run_searches(loaded.victim, searches):
            found[number] = one
            done(1)
    texts = tuple(
        _text(found[number], loaded.label_names, answer, loaded.rows[number].text)
        for number, answer in enumerate(answers)
    )
    several = [one for one in texts if one.num_words > 1]
    return ReduceResult(
        model=arguments.model_name_or_path,
        num_rows=len(texts),
        num_rows_available=loaded.num_rows_available,
        num_rows_of_several_words=len(several),
        mean_words=fmean(one.num_words for one in texts),
        mean_words_left=fmean(one.num_words_left for one in texts),
        one_word_share=fmean(one.num_words_left == 1 for one in several) if several else None,
        mean_probability_before=fmean(one.probability_before for one in texts),
        mean_probability_after=fmean(one.probability_after for one in texts),
        texts=texts,
        num_shown=arguments.num_examples,
    )


def _text(found: Reduction, names: tuple[str, ...], answer: int, text: int) -> ReducedText:
    return ReducedText(
        original=found.original[text],
        reduced=found.reduced[text],
        answer=names[answer],
        probability_before=float(found.clean_outputs[answer]),
        probability_after=float(found.reduced_outputs[answer]),
        num_words=found.num_words,
        num_words_left=found.num_words_left,
    )
