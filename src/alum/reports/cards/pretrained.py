"""Model cards of pre-trained models, from a run's records."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from alum.data.pretraining.masking import MaskRate
from alum.reports.cards.markdown import code, fenced, public_name, table, write_card
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
from alum.reports.numbers import MISSING, setting_percent_text, value_text


class _Objective(NamedTuple):
    name: str
    pipeline: str
    example: str


_OBJECTIVES = {
    "masked_lm": _Objective(
        "masked language modelling", "fill-mask", 'f"The capital of France is {model.tokenizer.mask_token}."'
    ),
    "causal_lm": _Objective(
        "causal language modelling", "text-generation", '"The capital of France is", max_new_tokens=20'
    ),
}
_METRICS = ("loss", "perplexity", "accuracy")
# What configurations of transformers call their sizes; most have the first name.
_SIZES = {
    "layers": ("num_hidden_layers", "n_layer", "n_layers"),
    "hidden dimensions": ("hidden_size", "n_embd", "dim"),
    "attention heads": ("num_attention_heads", "n_head", "n_heads"),
    "pieces in the vocabulary": ("vocab_size",),
}


def write_pretraining_card(
    folder: Path, result: Mapping[str, Any], arguments: Mapping[str, Any], trained: TrainedBy
) -> None:
    """Writes ``README.md`` of a pre-trained model: its corpora, training, validation scores, and how to load it.

    The text itself never enters the card, and of files and folders on this machine only their own names do.
    """
    objective, base = _OBJECTIVES[result["objective"]], result["base_model"]
    named = code(public_name(base) if base else result["architecture"])
    name = model_name(folder, trained.config)
    write_card(
        folder,
        _front(name, result, arguments, trained),
        f"# {named}, {'pre-training continued' if base else 'pre-trained from scratch'}",
        f"{named} with {result['num_parameters']:,} parameters{_sizes(folder)}, trained "
        f"{'further' if base else 'from scratch'} {trained.credit}.",
        _loading(name, objective),
        "## Validation",
        _validation(result["metrics_before"], result["metrics"]),
        "Loss in nats per predicted token; accuracy is the share of them whose likeliest token is the right one. "
        "What is predicted is the same before and after.",
        *picture(folder),
        "## Training",
        table(("quantity", "value"), _training(result, arguments, trained)),
        settings_table(trained.config),
        *adversary(trained),
        versions_line(trained.versions),
    )


def _front(name: str, result: Mapping[str, Any], arguments: Mapping[str, Any], trained: TrainedBy) -> Mapping[str, Any]:
    objective, base = _OBJECTIVES[result["objective"]], result["base_model"]
    front: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": objective.pipeline}
    front["tags"] = [*tags_of(trained.method), "continual-pre-training" if base else "pre-training"]
    front |= {"base_model": base} if hub_id(base) else {}
    front |= {"datasets": [corpus]} if (corpus := hub_id(arguments.get("dataset_name"))) else {}
    scores = (
        (ScoredRows(public_name(text)), {metric: found[metric] for metric in _METRICS if metric in found})
        for text, found in result["metrics"].items()
    )
    return front | scored_entries(name, objective.pipeline, scores)


# -- parts of the pre-training card ------------------------------------------------------------------------------------


def _sizes(folder: Path) -> str:
    """Text with the model's sizes, those that its ``config.json`` has under a usual name."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    found = [
        f"{config[name]:,} {size}"
        for size, names in _SIZES.items()
        for name in names
        if isinstance(config.get(name), int)
    ]
    return f" ({', '.join(found)})" if found else ""


def _loading(name: str, objective: _Objective) -> str:
    return fenced(
        f"""
from transformers import pipeline

model = pipeline("{objective.pipeline}", {quoted(name)})  # the folder of this card, or its id on the hub
print(model({objective.example}))
"""
    )


def _validation(before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]]) -> str:
    header = ["text", "predicted tokens", *(f"{metric} {when}" for metric in _METRICS for when in ("before", "after"))]
    rows = [
        [
            code(public_name(name)),
            f"{scores['num_tokens']:,.0f}",
            *(
                value_text(metric, found[metric]) if metric in found else MISSING
                for metric in _METRICS
                for found in (before.get(name, {}), scores)
            ),
        ]
        for name, scores in after.items()
    ]
    return table(header, rows)


def _training(result: Mapping[str, Any], arguments: Mapping[str, Any], trained: TrainedBy) -> Iterable[tuple[str, str]]:
    corpora = [code(public_name(name)) for name in result["corpora"]]
    if weights := arguments["train_weights"]:
        corpora = [f"{corpus} × {weight:g}" for corpus, weight in zip(corpora, weights, strict=True)]
    yield "corpora", ", ".join(corpora)
    sequences, length = result["num_train_sequences"], result["sequence_length_tokens"]
    yield "sequences", f"{'streamed' if sequences is None else f'{sequences:,}'}, of {length:,} tokens"
    yield "objective", _OBJECTIVES[result["objective"]].name
    if result["objective"] == "masked_lm":
        rate = MaskRate.parse(arguments["mlm_probability"])
        rates = (
            setting_percent_text(rate.start)
            if rate.start == rate.end
            else f"{setting_percent_text(rate.start)} to {setting_percent_text(rate.end)}"
        )
        yield "mask rate", rates + (", whole words" if arguments["whole_word_masking"] else "")
    yield "steps", f"{result['num_steps']:,}"
    speed = result["tokens_per_second"]
    yield "tokens seen", f"{result['num_train_tokens']:,}" + (f" ({speed:,.0f} per second)" if speed else "")
    yield from cost_rows(result, trained.method)
