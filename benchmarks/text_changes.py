"""Processor time that it takes to change the texts of a batch, beside the step of training that they are for.

MiniLM-L6 on SST-2 in batches of 16: each kind of change, and each choice among several texts. Synonyms are measured
where ``--wordnet_dir`` names a database. Figures go into ``docs/text.json`` and a table of ``docs/text.md``.
``--rehearse`` takes two batches, of the model in ``--model``.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoModelForMaskedLM, AutoModelForSequenceClassification, DataCollatorWithPadding

from alum.attacks.text.base import Resources
from alum.attacks.text.candidates.masked_lm import ProposedWords
from alum.attacks.text.candidates.misspellings import Misspellings
from alum.attacks.text.candidates.wordnet import WordNet
from alum.attacks.text.random_changes import CHANGES, DEFAULT_CHANGES, DEFAULT_WORD_SHARE, RandomChanges
from alum.data.table_files import load_table
from alum.models.checkpoint import Checkpoint
from alum.models.text_model import TextModel
from alum.models.tokenization import Tokenization
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.training.parts.drawn_texts import RowTexts
from alum.training.step import AlumStep
from benchmarks.pages import Page
from benchmarks.places import DATA, DOCS, minilm, needed
from benchmarks.records import Record, parser, progress
from benchmarks.tables import conditions, markdown_table

BATCH_SIZE, LENGTH_TOKENS, NUM_LABELS = 16, 64, 2


@dataclass(frozen=True)
class Way:
    """A way to make and choose the texts of a step."""

    name: str
    changes: tuple[str, ...]
    num_draws: int = 1
    choice: str = "divergence"


WAYS = (
    *(Way(name, (name,)) for name in CHANGES),
    Way("typing,deepwordbug, the worst of 4", DEFAULT_CHANGES, 4),
    Way("typing,deepwordbug, of 4 by the gradient", DEFAULT_CHANGES, 4, "gradient"),
)


@dataclass(frozen=True)
class Subject:
    """A classifier with its tokenization, and batches of texts to train it on."""

    model: torch.nn.Module
    tokenization: Tokenization
    resources: Resources
    batches: Sequence[Sequence[str]]

    def measured(self, way: Way) -> dict[str, float]:
        """Medians over batches: processor seconds to make the texts, and those of the step, without them."""
        collate = DataCollatorWithPadding(self.tokenization.tokenizer)
        changes = RandomChanges(way.changes, DEFAULT_WORD_SHARE, self.resources)
        row_texts = RowTexts(
            ("sentence",),
            lambda examples: self.tokenization([text for (text,) in examples]),
            tokenization=self.tokenization,
        )
        by_gradient = way.choice == "gradient"
        settings: dict[str, Any] = {"text_choice": way.choice} if way.num_draws > 1 else {}
        step = AlumStep(
            self.model, "alum_one_pass", SEQUENCE_CLASSIFICATION, space="text", text_draws=way.num_draws, **settings
        )

        making, training = [], []
        for number, texts in enumerate(self.batches):
            examples = [(text,) for text in texts]
            inputs = collate([dict(self.tokenization(text)) for text in texts])
            inputs["labels"] = torch.arange(len(texts)) % NUM_LABELS
            seconds, drawn = _timed(
                lambda: row_texts.drawn(examples, changes, way.num_draws, collate, f"{number}", by_gradient)  # noqa: B023
            )
            making.append(seconds)
            training.append(_timed(lambda: step({**inputs, "drawn_texts": drawn}))[0])  # noqa: B023
            self.model.zero_grad()
        return {"making_seconds": statistics.median(making), "step_seconds": statistics.median(training)}


def _timed(run: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    found = run()
    return time.process_time() - start, found


def proposals(checkpoint: str, texts: Sequence[str]) -> tuple[float, float, ProposedWords]:
    """Words for all texts that a masked language model of the same size proposes, whose head is not trained.

    And processor seconds before them: those for a single text, most of which go into the words of the vocabulary, and
    those that all the others take beside it.
    """
    with TemporaryDirectory() as folder:
        AutoModelForMaskedLM.from_pretrained(checkpoint).save_pretrained(folder)
        model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    tokenization = Tokenization(Checkpoint(checkpoint).tokenizer, LENGTH_TOKENS)
    first, _ = _timed(lambda: ProposedWords.of(TextModel(model, tokenization), texts[:1]))
    seconds, found = _timed(lambda: ProposedWords.of(TextModel(model, tokenization), texts))
    return first, max(seconds - first, 0.0), found


def measured(checkpoint: str, texts: Sequence[str], wordnet: Path | None, misspellings: Path | None) -> dict[str, Any]:
    progress("words proposed by a masked language model")
    first_seconds, seconds, proposed = proposals(checkpoint, texts)
    torch.manual_seed(0)
    subject = Subject(
        AutoModelForSequenceClassification.from_pretrained(checkpoint, num_labels=NUM_LABELS).train(),
        Tokenization(Checkpoint(checkpoint).tokenizer, LENGTH_TOKENS),
        Resources(
            masked_lm=proposed,
            wordnet=None if wordnet is None else WordNet(wordnet),
            misspellings=None if misspellings is None else Misspellings(misspellings),
        ),
        [texts[start : start + BATCH_SIZE] for start in range(0, len(texts), BATCH_SIZE)],
    )
    rows = []
    for way in WAYS:
        needs = {CHANGES[name].need for name in way.changes} - {None}
        if all(getattr(subject.resources, str(need)) is not None for need in needs):
            progress(f"  {way.name}")
            rows.append({"way": way.name, **subject.measured(way)})
    of_proposals = {"first_proposal_seconds": first_seconds, "proposing_seconds": seconds, "num_texts": len(texts)}
    return {"rows": rows, **of_proposals}


# -- the page ----------------------------------------------------------------------------------------------------------


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    return {"cost": f"{cost_table(record)}\n\n{_sentence(record)}"}


def cost_table(record: Mapping[str, Any]) -> str:
    return markdown_table(
        ["changes", "processor ms to make the texts of a batch", "of the step", "share of both"],
        ([row["way"], *_cells(row)] for row in record["rows"]),
    )


def _cells(row: Mapping[str, Any]) -> Iterator[str]:
    making, training = row["making_seconds"], row["step_seconds"]
    yield from (f"{1000 * making:.1f}", f"{1000 * training:.0f}", f"{100 * making / (making + training):.1f} %")


def _sentence(record: Mapping[str, Any]) -> str:
    of_epoch = {row["way"]: row["making_seconds"] + row["step_seconds"] for row in record["rows"]}["masked_lm"]
    share = record["proposing_seconds"] / (of_epoch * record["num_texts"] / BATCH_SIZE)
    return (
        f"A masked language model of the same size proposed words for {record['num_texts']} texts in "
        f"{record['proposing_seconds']:.1f} s of processor time, once before training: "
        f"{100 * share:.0f} % of one epoch, after {record['first_proposal_seconds']:.1f} s in which the words of its "
        "vocabulary were looked for.\n\n"
        f"{conditions(record, 'python -m benchmarks.text_changes')}"
    )


PAGE = Page(DOCS / "text.md", parts)


def main() -> None:
    flags = parser(__doc__)
    flags.set_defaults(output_dir=DOCS)
    flags.add_argument("--model", help="folder of a BERT model with its tokenizer (default: MiniLM-L6)")
    flags.add_argument("--data", type=Path, default=DATA, help="folder that holds glue_sst2/train.jsonl")
    flags.add_argument("--wordnet_dir", type=Path, help="folder of a WordNet database")
    flags.add_argument("--misspellings", type=Path, help="list of misspellings")
    given = flags.parse_args()
    file = needed(given.data / "glue_sst2" / "train.jsonl", "set ALUM_DATA to the folder that holds it, or give --data")
    record, num_batches = Record(), 2 if given.rehearse else 8
    texts = load_table(file, ["sentence"])["sentence"][: num_batches * BATCH_SIZE]
    found = measured(given.model or minilm(), texts, given.wordnet_dir, given.misspellings)
    print(PAGE.write_with(record.with_results(**found), given.output_dir))


if __name__ == "__main__":
    main()
