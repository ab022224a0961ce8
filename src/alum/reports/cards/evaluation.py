"""Section of a model card with the scores of an evaluation that lies in the model's own folder."""

import re
from pathlib import Path

from alum.data.writing import write_text
from alum.reports.cards.markdown import CARD, code, score_name, table
from alum.reports.evaluation.record import EvaluationRecord
from alum.reports.evaluation.scores import Scores, metric_words, texts_of
from alum.reports.numbers import MISSING

_BEGIN, _END = "<!-- begin: evaluation -->", "<!-- end: evaluation -->"
_BY_ALUM = re.compile(r"\A---\n(?:.*\n)*?- alum\n")


def add_evaluation(folder: Path, results: EvaluationRecord) -> None:
    """Puts an evaluation's scores into the cards of those of its models in whose folder ``folder`` lies.

    They take the place of an evaluation's that was there before. Cards that are not of `alum` are left as they are.
    """
    for model in results["models"]:
        place = Path(model["path"])
        card = place / CARD
        if not card.is_file() or place.resolve() not in folder.resolve().parents:
            continue
        text = card.read_text(encoding="utf-8")
        if _BY_ALUM.match(text):
            former = re.compile(f"\n{_BEGIN}.*?{_END}\n", re.DOTALL)
            write_text(card, f"{former.sub('', text)}\n{_section(results, model['name'])}\n")


def _section(results: EvaluationRecord, model: str) -> str:
    scores = Scores(results)
    index = scores.models.index(model)
    rows = [
        (
            code(suite["name"]),
            score_name(line.name),
            metric_words(found["metric"]),
            *texts_of(found),
            f"{found['num_rows']:,}",
        )
        for suite in results["suites"]
        for line in scores.lines_of(suite["name"])
        if (found := line.found[index]) is not None
    ]
    blocks = (
        _BEGIN,
        "## Evaluation",
        f"By `alum evaluate`, version {results['environment'].get('alum', MISSING)}; under an attack, a row that was "
        "wrong before counts as wrong.",
        table(("suite", "under", "score", "value", "95 % interval", "rows"), rows),
        _END,
    )
    return "\n\n".join(blocks)
