"""Effects of radii on a model, as a table for the terminal and as a picture."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from alum.core.outputs.rounding import ROUNDING_NATS
from alum.data.visible_console import VisibleConsole
from alum.data.visible_text import visible
from alum.reports.numbers import percent_text
from alum.reports.pictures import write_picture
from alum.reports.tables import show_table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from matplotlib.figure import Figure

_COLOURS = ("#8a94a3", "#0072b2", "#009e73", "#d55e00")
_MARKERS = "osv^"


def show_radius(result: "DataclassInstance", console: Console | None = None) -> None:
    """Prints divergence and accuracy by radius, a column a method, and what follows for the choice of one."""
    console, record = console or VisibleConsole(), asdict(result)
    rows = []
    for place in zip(*record["effects"].values(), strict=True):
        cells = [f"{effect['divergence']:.2g}{_accuracy(effect['accuracy'])}" for effect in place]
        rows.append([f"{place[0]['epsilon']:g}", *cells])
    clean = record["clean_accuracy"]
    title = f"Divergence in nats{', and accuracy' if clean is not None else ''}, at δ of each method; "
    title += f"{record['num_rows']} rows" + (f", clean accuracy {percent_text(clean)}" if clean is not None else "")
    show_table(visible(title), ("radius ε", *record["effects"]), rows, console)
    for line in conclusions(record):
        console.print(Text(line))


def conclusions(record: Mapping[str, Any]) -> list[str]:
    """Sentences on the distance between words, and on the radius that has the wanted divergence."""
    low, median, high = record["nearest_words"]
    found, target = record["recommended_epsilon"], record["target_divergence"]
    words = (
        f"The nearest other word is {median:.2f} away in half of the words (a tenth {low:.2f} or less, a tenth "
        f"{high:.2f} or more), in units of the radius."
    )
    if found is None:
        return [words, f"No radius here has a divergence of {target:g} nats: give others with --epsilons."]
    share = f"1/{median / found:.0f}" if found < median else f"{found / median:.1f} times"
    return [
        words,
        f"Recommended: --adv_epsilon {found:.2g}, where the virtual adversary's divergence is {target:g} nats. "
        f"That is {share} of the way to another word.",
    ]


def _accuracy(accuracy: float | None) -> str:
    return "" if accuracy is None else f" ({100 * accuracy:.0f} %)"


def draw_radius(record: Mapping[str, Any], file: Path) -> None:
    """Writes the picture: divergence over the radius, and accuracy where there is one."""
    write_picture(file, lambda: _figure(record))


def _figure(record: Mapping[str, Any]) -> "Figure":
    from matplotlib.figure import Figure

    has_accuracy = record["clean_accuracy"] is not None
    figure = Figure(figsize=(10 if has_accuracy else 5.5, 4), layout="constrained")
    axes = figure.subplots(1, 1 + has_accuracy, squeeze=False)[0]
    for (name, effects), colour, marker in zip(record["effects"].items(), _COLOURS, _MARKERS, strict=True):
        radii = [effect["epsilon"] for effect in effects]
        look: dict[str, Any] = {"color": colour, "marker": marker, "label": name}
        axes[0].plot(radii, [max(effect["divergence"], ROUNDING_NATS) for effect in effects], **look)
        if has_accuracy:
            axes[1].plot(radii, [effect["accuracy"] for effect in effects], **look)
    axes[0].axhline(record["target_divergence"], color="#000000", linewidth=0.8, linestyle=":")
    axes[0].set(yscale="log", title="Divergence, nats")
    if has_accuracy:
        axes[1].axhline(record["clean_accuracy"], color="#000000", linewidth=0.8, linestyle=":", label="clean")
        axes[1].set(ylim=(0, 1.02), title="Accuracy")
    for axis in axes:
        axis.set(xscale="log", xlabel="radius ε, relative to the mean length of a text's embeddings")
        axis.axvline(
            record["nearest_words"][1], color="#cc79a7", linewidth=0.8, label="nearest other word, half of them"
        )
        if record["recommended_epsilon"] is not None:
            axis.axvline(record["recommended_epsilon"], color="#e69f00", linewidth=0.8, label="recommended")
    axes[0].legend(fontsize=8)
    return figure
