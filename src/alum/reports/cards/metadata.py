"""Front matter of model cards as hubs read it: base model, data sets, metrics, and scores as a model index."""

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from alum.core.method_settings import Method
from alum.tasks.sources import Source

_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
LOCAL_DATA = "local"
"""Type of data sets that are on no hub, in a model index, which must have one."""
_METRIC_IDS = {"f1_macro": "f1", "pearson": "pearsonr", "spearman": "spearmanr", "token_accuracy": "accuracy"}
"""What hubs call metrics, where they do not call them as `alum` does."""


@dataclass(frozen=True)
class ScoredRows:
    """Rows that a model was scored on, as a model index names them."""

    name: str
    num_rows: int | None = None
    source: Source | None = None
    """Published data set that they are of; None for a user's own."""
    split: str | None = None
    """Name of the split in that data set."""

    def entry(self) -> dict[str, Any]:
        """Makes the ``dataset`` of a result: its id on the hub, configuration and split, or a name alone."""
        count = "" if self.num_rows is None else f" ({self.num_rows:,} rows)"
        found: dict[str, Any] = {"name": f"{self.name}{count}", "type": LOCAL_DATA}
        if self.source is not None and self.source.hub_id:
            found["type"] = self.source.hub_id
            found |= {"config": self.source.hub_config} if self.source.hub_config else {}
            found |= {"split": self.split} if self.split else {}
        return found


def hub_id(name: str | None) -> str | None:
    """Gives a model's or data set's name where it is an id on the hub, None where it is a path or nothing."""
    return name if name and _HUB_ID.fullmatch(name) and not os.path.exists(name) else None


def tags_of(method: Method) -> list[str]:
    return ["alum", "adversarial-training"] if method.alpha > 0 else ["alum"]


def metric_id(name: str) -> str:
    """Gives the name that the hub has for a metric.

    >>> metric_id("pearson"), metric_id("exact_match")
    ('pearsonr', 'exact_match')
    """
    return _METRIC_IDS.get(name, name)


def scored_entries(
    model_name: str, task_type: str, scores: Iterable[tuple[ScoredRows, Mapping[str, float]]]
) -> dict[str, Any]:
    """Makes ``metrics`` and ``model-index`` of scores on rows; empty where there are none that are finite."""
    results: list[dict[str, Any]] = [
        {
            "task": {"type": task_type},
            "dataset": rows.entry(),
            "metrics": [{"type": metric_id(name), "value": value, "name": name} for name, value in found.items()],
        }
        for rows, given in scores
        if (found := {name: value for name, value in given.items() if math.isfinite(value)})
    ]
    if not results:
        return {}
    metrics = dict.fromkeys(metric["type"] for result in results for metric in result["metrics"])
    return {
        "metrics": [metric for metric in metrics if metric != "loss"],
        "model-index": [{"name": model_name, "results": results}],
    }
