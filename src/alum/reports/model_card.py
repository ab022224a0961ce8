"""Model cards from a run's records, for fine-tuned and for pre-trained models."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from alum.core.methods import Method
from alum.data.pretraining.masking import MaskRate
from alum.data.writing import write_text
from alum.reports.curves import LOSS_PICTURE
from alum.reports.numbers import MISSING, duration_text, gain_rows, metric_text, setting_percent_text

_SETTINGS = (
    "learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "per_device_train_batch_size",
    "gradient_accumulation_steps", "num_train_epochs", "max_steps", "max_grad_norm", "seed",
)  # fmt: skip
_ADVERSARY_BESIDE_METHOD = ("adv_special_tokens", "adv_fraction", "adv_every_steps")


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
# What configurations of transformers call their sizes; most have the first name.
_SIZES = {
    "layers": ("num_hidden_layers", "n_layer", "n_layers"),
    "hidden dimensions": ("hidden_size", "n_embd", "dim"),
    "attention heads": ("num_attention_heads", "n_head", "n_heads"),
    "pieces in the vocabulary": ("vocab_size",),
}


def write_model_card(
    folder: Path,
    base_model: str,
    result: Mapping[str, Any],
    config: Mapping[str, Any],
    method: Method,
    versions: Mapping[str, Any],
) -> None:
    """Writes ``README.md`` of a fine-tuned model: its base model and task, its settings, and its metrics.

    ``method`` is the method of training, with the settings of ``config`` put in.
    """
    metrics = [(name, metric_text(name, value)) for name, value in result.get("metrics", {}).items()]
    metrics += gain_rows(result)
    adversary = {name: value for name, value in config.items() if name.startswith("adv_") and value is not None}
    base = _code(_public(base_model))
    _write(
        folder,
        {"library_name": "transformers", "tags": _tags(method)},
        f"# {_code(Path(base_model).name or base_model)}, fine-tuned on {_code(result['task'])}",
        f"Fine-tuned from {base} by the method {_code(result['method'])} of alum {versions['alum']} "
        f"on {result['num_train_rows']} rows, in {result['num_steps']} steps.",
        _table(("metric", "value"), metrics),
        _table(("setting", "value"), _rows({**_training_settings(config), **adversary})),
        _versions(versions),
    )


def write_pretraining_card(
    folder: Path,
    result: Mapping[str, Any],
    arguments: Mapping[str, Any],
    config: Mapping[str, Any],
    method: Method,
    versions: Mapping[str, Any],
) -> None:
    """Writes ``README.md`` of a pre-trained model: its corpora, training, validation scores, and how to load it.

    The text itself never enters the card, and of a file that was given by its full path only the file's name does.
    """
    objective, base = _OBJECTIVES[result["objective"]], result["base_model"]
    tags = [*_tags(method), "continual-pre-training" if base else "pre-training"]
    front: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": objective.pipeline, "tags": tags}
    if base and not Path(base).exists():  # the hub links to models of its own
        front["base_model"] = base
    named = _code(_public(base) if base else result["architecture"])
    has_picture = (folder / LOSS_PICTURE).is_file()
    _write(
        folder,
        front,
        f"# {named}, {'pre-training continued' if base else 'pre-trained from scratch'}",
        f"{named} with {result['num_parameters']:,} parameters{_sizes(folder)}, trained "
        f"{'further' if base else 'from scratch'} by the method {_code(result['method'])} of alum {versions['alum']}.",
        _loading(folder, objective),
        "## Validation",
        _validation(result["metrics_before"], result["metrics"]),
        "Loss in nats per predicted token; accuracy is the share of them whose likeliest token is the right one. "
        "What is predicted is the same before and after.",
        *([f"![Losses over training steps]({LOSS_PICTURE})"] if has_picture else []),
        "## Training",
        _table(("quantity", "value"), _training(result, arguments, objective)),
        _table(("setting", "value"), _rows(_training_settings(config))),
        *_adversary(config, method),
        _versions(versions),
    )


# -- parts of both cards -----------------------------------------------------------------------------------------------


def _tags(method: Method) -> list[str]:
    return ["alum", "adversarial-training"] if method.alpha > 0 else ["alum"]


def _training_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the training that are not None; of ``num_train_epochs`` and ``max_steps`` the one in effect."""
    length = "num_train_epochs" if (config.get("max_steps") or -1) > 0 else "max_steps"
    return {name: config[name] for name in _SETTINGS if config.get(name) is not None and name != length}


def _versions(versions: Mapping[str, Any]) -> str:
    return "Versions: " + ", ".join(f"{name} {versions[name]}" for name in ("torch", "transformers", "datasets")) + "."


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


def _loading(folder: Path, objective: _Objective) -> str:
    name = json.dumps(folder.resolve().name, ensure_ascii=False)
    lines = (
        "```python",
        "from transformers import pipeline",
        "",
        f'model = pipeline("{objective.pipeline}", {name})  # the folder of this card',
        f"print(model({objective.example}))",
        "```",
    )
    return "\n".join(lines)


def _validation(before: Mapping[str, Mapping[str, float]], after: Mapping[str, Mapping[str, float]]) -> str:
    metrics = ("loss", "perplexity", "accuracy")
    header = ["text", "predicted tokens", *(f"{metric} {when}" for metric in metrics for when in ("before", "after"))]
    rows = [
        [
            _code(_public(name)),
            f"{scores['num_tokens']:,.0f}",
            *(
                metric_text(metric, found[metric]) if metric in found else MISSING
                for metric in metrics
                for found in (before.get(name, {}), scores)
            ),
        ]
        for name, scores in after.items()
    ]
    return _table(header, rows)


def _training(
    result: Mapping[str, Any], arguments: Mapping[str, Any], objective: _Objective
) -> Iterable[tuple[str, str]]:
    corpora = [_code(_public(name)) for name in result["corpora"]]
    if weights := arguments["train_weights"]:
        corpora = [f"{corpus} × {weight:g}" for corpus, weight in zip(corpora, weights, strict=True)]
    yield "corpora", ", ".join(corpora)
    sequences, length = result["num_train_sequences"], result["sequence_length_tokens"]
    yield "sequences", f"{'streamed' if sequences is None else f'{sequences:,}'}, of {length:,} tokens"
    yield "objective", objective.name
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
    since = f", from step {result['first_step']:,} on" if result["first_step"] else ""
    yield "time", duration_text(result["train_seconds"]) + since
    if result["train_flops"] is not None:
        yield "compute", f"{result['train_flops']:.2e} FLOPs"
    yield from gain_rows(result)


def _adversary(config: Mapping[str, Any], method: Method) -> Iterable[str]:
    if method.alpha == 0:
        return
    yield "## Adversary"
    differences = f" Known differences: {method.differences}." if method.differences else ""
    yield f"{_code(method.name)}: {method.source}.{differences}"
    yield _curriculum(config)
    settings = {f"adv_{name}": value for name, value in dataclasses.asdict(method).items() if f"adv_{name}" in config}
    settings |= {name: config[name] for name in _ADVERSARY_BESIDE_METHOD if name in config}
    yield _table(("setting", "value"), _rows(settings))


def _curriculum(config: Mapping[str, Any]) -> str:
    start = config.get("adv_start_fraction") or 0.0
    phases = f"Standard for the first {setting_percent_text(start)} of the steps, then adversarial"
    ramps = [
        f"{name} grows from 0 over {setting_percent_text(fraction)} of the steps"
        for name in ("alpha", "epsilon")
        if (fraction := config.get(f"adv_{name}_ramp_fraction") or 0.0)
    ]
    return "; ".join([phases if start else "Adversarial from the first step on", *ramps]) + "."


# -- Markdown ----------------------------------------------------------------------------------------------------------


def _write(folder: Path, front: Mapping[str, Any], *blocks: str) -> None:
    head = yaml.safe_dump(dict(front), sort_keys=False, allow_unicode=True)
    write_text(folder / "README.md", "\n\n".join((f"---\n{head}---", *blocks)) + "\n")


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _code(text: str) -> str:
    """Makes a code span of a user's text, in which nothing is Markdown or HTML; its fence is not in the text."""
    text = re.sub(r"[\r\n]+", " ", text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


def _rows(settings: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, value in settings.items():
        plain = value.value if isinstance(value, Enum) else value
        yield name, _code(plain) if isinstance(plain, str) else str(plain)


def _public(name: str) -> str:
    """Name of a file or model without the folders of a full path, which tell of somebody's machine."""
    return Path(name).name if Path(name).is_absolute() else name
