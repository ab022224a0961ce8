"""Parts of every card on the training: settings, cost, picture, versions, and the adversary as it was used."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alum.attacks.text.random_changes import DEFAULT_WORD_SHARE, kinds_named
from alum.core.measures.pass_counts import pass_counts
from alum.core.method_settings import Method
from alum.data.visible_text import visible
from alum.reports.cards.markdown import code, setting_rows, table
from alum.reports.curves import LOSS_PICTURE
from alum.reports.numbers import duration_text, gain_rows, setting_percent_text

_SETTINGS = (
    "learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "per_device_train_batch_size",
    "gradient_accumulation_steps", "num_train_epochs", "max_steps", "max_grad_norm", "seed",
)  # fmt: skip
_ADVERSARY_BESIDE_METHOD = ("adv_special_tokens", "adv_fraction", "adv_every_steps")
_ADVERSARY_IF_SET = ("adv_target_divergence",)


@dataclass(frozen=True)
class TrainedBy:
    """Settings, method and versions that a model was trained with; ``method`` has the settings put in."""

    config: Mapping[str, Any]
    method: Method
    versions: Mapping[str, Any]

    @property
    def credit(self) -> str:
        """Words on the method and the version that trained a model."""
        return f"by the method {code(self.method.name)}{self.method.place} of alum {self.versions['alum']}"


def model_name(folder: Path, config: Mapping[str, Any]) -> str:
    """Name by which a card's lines load the model: its id on the hub where it is pushed, else that of its folder."""
    return str(config.get("hub_model_id") or folder.resolve().name)


def quoted(name: str) -> str:
    """Makes a string of Python of a name, in which everything can be seen."""
    return visible(json.dumps(name, ensure_ascii=False))


def settings_table(config: Mapping[str, Any]) -> str:
    """Makes a table of a training's settings; of ``num_train_epochs`` and ``max_steps`` it has the one in effect."""
    length = "num_train_epochs" if (config.get("max_steps") or -1) > 0 else "max_steps"
    settings = {name: config[name] for name in _SETTINGS if config.get(name) is not None and name != length}
    return table(("setting", "value"), setting_rows(settings))


def cost_rows(result: Mapping[str, Any], method: Method) -> Iterable[tuple[str, str]]:
    """Makes rows of a table on what a training took, and the adversarial gain at its first and last attacked step."""
    yield "time", duration_text(result["train_seconds"])
    if result["train_flops"] is not None:
        yield "compute", f"{result['train_flops']:.2e} FLOPs"
    if method.alpha > 0:
        yield "compute of an attacked step", f"{pass_counts(method).in_standard_steps:.2f} × a standard one"
    yield from gain_rows(result)


def picture(folder: Path) -> Iterable[str]:
    if (folder / LOSS_PICTURE).is_file():
        yield f"![Losses over training steps]({LOSS_PICTURE})"


def versions_line(versions: Mapping[str, Any]) -> str:
    return "Versions: " + ", ".join(f"{name} {versions[name]}" for name in ("torch", "transformers", "datasets")) + "."


def adversary(trained: TrainedBy) -> Iterable[str]:
    """Makes the blocks on the adversary: its source, when it acted, and every setting with the value that held."""
    method, config = trained.method, trained.config
    if method.alpha == 0:
        return
    yield "## Adversary"
    differences = f" Known differences: {method.differences}." if method.differences else ""
    yield f"{code(method.name)}: {method.source}.{differences}"
    yield _curriculum(config)
    idle = method.idle_settings()
    settings = {
        f"adv_{name}": value
        for name, value in dataclasses.asdict(method).items()
        if f"adv_{name}" in config and name not in idle
    }
    if method.changes_text:
        settings["adv_text_changes"] = ",".join(kinds_named(config["adv_text_changes"]))
        share = config["adv_text_word_share"]
        settings["adv_text_word_share"] = DEFAULT_WORD_SHARE if share is None else share
    settings |= {name: config[name] for name in _ADVERSARY_BESIDE_METHOD if name in config}
    settings |= {name: config[name] for name in _ADVERSARY_IF_SET if config.get(name) is not None}
    yield table(("setting", "value"), setting_rows(settings))


def _curriculum(config: Mapping[str, Any]) -> str:
    start = config.get("adv_start_fraction") or 0.0
    phases = f"Standard for the first {setting_percent_text(start)} of the steps, then adversarial"
    ramps = [
        f"{name} grows from 0 over {setting_percent_text(fraction)} of the steps"
        for name in ("alpha", "epsilon")
        if (fraction := config.get(f"adv_{name}_ramp_fraction") or 0.0)
    ]
    return "; ".join([phases if start else "Adversarial from the first step on", *ramps]) + "."
