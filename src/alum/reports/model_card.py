"""A model card from a run's records."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alum.reports.tables import metric_text

_SETTINGS = (
    "learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "per_device_train_batch_size",
    "gradient_accumulation_steps", "num_train_epochs", "max_steps", "max_grad_norm", "seed",
)  # fmt: skip


def write_model_card(
    folder: Path, base_model: str, result: Mapping[str, Any], config: Mapping[str, Any], versions: Mapping[str, Any]
) -> None:
    """``README.md``: what was trained from what, with which settings, and how well it does."""
    metrics = [f"| {name} | {metric_text(name, value)} |" for name, value in result.get("metrics", {}).items()]
    settings = {name: config[name] for name in _SETTINGS if config.get(name) is not None}
    adversary = {name: value for name, value in config.items() if name.startswith("adv_") and value is not None}
    lines = [
        "---",
        "library_name: transformers",
        "tags:",
        "- alum",
        "- adversarial-training",
        "---",
        "",
        f"# {Path(base_model).name or base_model}, fine-tuned on {result['task']}",
        "",
        f"Fine-tuned from `{base_model}` by the method `{result['method']}` of alum {versions['alum']} "
        f"on {result['num_train_rows']} rows, in {result['num_steps']} steps.",
        "",
        "| validation metric | value |",
        "|---|---|",
        *metrics,
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in {**settings, **adversary}.items()),
        "",
        "Versions: " + ", ".join(f"{name} {versions[name]}" for name in ("torch", "transformers", "datasets")) + ".",
        "",
    ]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")
