"""Model cards of fine-tuned models, from a run's records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alum.data.visible_text import counted
from alum.reports.cards.markdown import code, fenced, public_name, score_name, table, write_card
from alum.reports.cards.metadata import ScoredRows, hub_id, scored_entries, tags_of
from alum.reports.cards.training import (
    TrainedBy,
    adversary,
    cost_rows,
    model_name,
    picture,
    quoted,
    settings_table,
    versions_line,
)
from alum.reports.numbers import value_text
from alum.tasks.base import Supervision
from alum.tasks.named import NamedTask

_ADAPTERS = "adapter_config.json"


@dataclass(frozen=True)
class CardTask:
    """Task of a fine-tuned model as its card tells of it."""

    supervision: Supervision
    num_texts: int
    """Number of text columns that the model reads together."""
    named: NamedTask | None
    """None for a user's own rows."""
    num_scored_rows: Mapping[str, int]
    """Number of rows of each split that the model was scored on."""


def write_model_card(
    folder: Path, base_model: str, task: CardTask, result: Mapping[str, Any], trained: TrainedBy
) -> None:
    """Writes ``README.md`` of a fine-tuned model: its use, scores, training and adversary, and what a hub reads.

    Rows never enter the card, and of files and folders on this machine only their own names do.
    """
    name, base, rows = model_name(folder, trained.config), public_name(base_model), public_name(result["task"])
    labels = ", ".join(map(code, result["label_names"]))
    scores = [(score_name(metric), value_text(metric, value)) for metric, value in result["metrics"].items()]
    write_card(
        folder,
        _front(folder, base_model, task, result, trained),
        f"# {code(Path(base).name or base)}, fine-tuned on {code(rows)}",
        f"Fine-tuned from {code(base)} {trained.credit} on {counted(result['num_train_rows'], 'row')}, in "
        f"{counted(result['num_steps'], 'step')}." + (f" Labels, by their numbers from 0: {labels}." if labels else ""),
        fenced(task.supervision.usage(quoted(name), task.num_texts)),
        *(["## Validation", table(("metric", "value"), scores)] if scores else []),
        *picture(folder),
        "## Training",
        table(("quantity", "value"), cost_rows(result, trained.method)),
        settings_table(trained.config),
        *adversary(trained),
        versions_line(trained.versions),
    )


def _front(
    folder: Path, base_model: str, task: CardTask, result: Mapping[str, Any], trained: TrainedBy
) -> Mapping[str, Any]:
    tag = task.supervision.pipeline_tag
    front: dict[str, Any] = {"library_name": "peft" if (folder / _ADAPTERS).is_file() else "transformers"}
    front |= {"pipeline_tag": tag} if tag else {}
    front["tags"] = tags_of(trained.method)
    front |= {"base_model": base_model} if hub_id(base_model) else {}
    front |= {"datasets": [task.named.source.hub_id]} if task.named and task.named.source.hub_id else {}
    return front | scored_entries(
        model_name(folder, trained.config), tag or task.supervision.kind.name, _scores_by_split(task, result)
    )


def _scores_by_split(task: CardTask, result: Mapping[str, Any]) -> Iterable[tuple[ScoredRows, Mapping[str, float]]]:
    """Scores of each split with what it is called; those of other splits than ``validation`` begin with its name."""
    left = dict(result["metrics"])
    for split in sorted(task.num_scored_rows, key=len, reverse=True):  # validation_mismatched before validation
        start = "" if split == "validation" else f"{split}_"
        found = {metric.removeprefix(start): left.pop(metric) for metric in list(left) if metric.startswith(start)}
        rows, named = task.num_scored_rows[split], task.named
        if named is None:
            yield ScoredRows(split, rows), found
        else:
            yield ScoredRows(named.name, rows, named.source, named.splits.get(split, split)), found
