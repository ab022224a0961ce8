"""Plots of training: a run's losses from its records, and the validation losses of several arms of a study."""

import contextlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alum.reports.pictures import write_picture

if TYPE_CHECKING:  # slow to load
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOSS_PICTURE = "loss.png"
Series = dict[int, float]  # value by step

_VALIDATION_LOSS = re.compile(r"eval_(?:(?P<name>.+)_)?loss")
_MAX_MARKED_POINTS = 60

_TRAINING, _ADVERSARY = "#8a94a3", "#d55e00"
_STANDARD_PHASE, _ADVERSARIAL_PHASE = "#f0f2f5", "#fbe9da"
# Okabe and Ito's colours, which the colour-blind tell apart, without the vermilion of the adversary.
_COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_DASHES = ("-", "--", ":", "-.")


@dataclass
class RunCurves:
    """Losses, weight (alpha) and gain of the adversary that a run logged, by step; only finite numbers are kept."""

    training_loss: Series = field(default_factory=dict)
    validation_loss: dict[str, Series] = field(default_factory=dict)
    """Loss by step for each validation set; a run's only validation set is called ``""``."""
    alpha: Series = field(default_factory=dict)
    adversarial_loss: Series = field(default_factory=dict)
    adversarial_gain: Series = field(default_factory=dict)
    last_step: int = 0

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, Any]]) -> "RunCurves":
        """Collects the lines of ``metrics.jsonl``; where a resumed run logged a step again, the later record counts."""
        curves = cls()
        for record in records:
            step = record.get("step")
            if not isinstance(step, int):
                continue
            curves.last_step = max(step, curves.last_step)
            _add(curves.training_loss, step, record.get("task_loss", record.get("loss")))
            _add(curves.alpha, step, record.get("adv_alpha"))
            _add(curves.adversarial_loss, step, record.get("adversarial_loss"))
            _add(curves.adversarial_gain, step, record.get("adversarial_gain"))
            for key, value in record.items():
                if found := _VALIDATION_LOSS.fullmatch(key):
                    _add(curves.validation_loss.setdefault(found["name"] or "", {}), step, value)
        return curves

    def add_scores(self, results: Mapping[str, Any]) -> None:
        """Adds the validation losses before and after training from ``results.json``, where none were logged then."""
        for step, scores in ((0, results["metrics_before"]), (self.last_step, results["metrics"])):
            for name, metrics in scores.items():
                series = self.validation_loss.setdefault(name if len(scores) > 1 else "", {})
                _add(series, step, series.get(step, metrics["loss"]))

    @property
    def has_losses(self) -> bool:
        return any([self.training_loss, *self.validation_loss.values()])

    @property
    def adversarial_start_step(self) -> int | None:
        """Last logged step before the adversary shows in the records; None where it never does.

        The adversarial loss counts beside the logged weight (alpha), since that is the weight of a single step, which
        may be a standard one between adversarial ones.
        """
        previous = 0
        for step in sorted(self.alpha):
            if self.alpha[step] > 0 or self.adversarial_loss.get(step, 0.0) > 0:
                return previous
            previous = step
        return None


def write_loss_curve(folder: Path) -> Path | None:
    """Draws a run's losses from the records in its folder, and returns the path of the plot, ``loss.png``.

    Losses over steps with the adversarial phase shaded; below them the adversarial loss and the adversarial gain.
    Returns None and draws nothing where the records hold no losses.
    """
    curves = RunCurves.from_records(_records(folder / "metrics.jsonl"))
    with contextlib.suppress(OSError, LookupError, TypeError, AttributeError):  # none, of another stage, or broken
        curves.add_scores(_parsed((folder / "results.json").read_text(encoding="utf-8")))
    if not curves.has_losses:
        return None
    return write_picture(folder / LOSS_PICTURE, lambda: run_figure(curves, run_title(folder)))


def run_title(folder: Path) -> str:
    """Title for a run's plots: model and method by its ``run.json``, or the folder's name where that lacks them."""
    try:
        run = _parsed((folder / "run.json").read_text(encoding="utf-8"))
        arguments, method = run["arguments"], run["config"]["adv_method"]
        base = arguments.get("model_name_or_path")
        return f"{Path(base).name if base else arguments['architecture'] + ' from scratch'}, {method}"
    except (OSError, LookupError, TypeError, AttributeError):
        return folder.name


# -- figures -----------------------------------------------------------------------------------------------------------


def run_figure(curves: RunCurves, title: str) -> "Figure":
    """Plots a run's losses, and below them its adversarial loss and gain, where logged, on logarithmic axes."""
    below = {"adversarial\nloss": curves.adversarial_loss, "gain\n(noise: 1)": curves.adversarial_gain}
    below = {name: positive for name, series in below.items() if (positive := _positive(series))}
    figure, (losses, *panels) = _panels(1 + len(below))
    if curves.training_loss:
        _plot(losses, curves.training_loss, label="training", color=_TRAINING)
    for index, (name, series) in enumerate(curves.validation_loss.items()):
        _plot(losses, series, label=f"validation: {name}" if name else "validation", **_line(index))
    losses.set_ylabel("loss (nats)")
    for axes, (name, series) in zip(panels, below.items(), strict=True):
        _plot(axes, series, color=_ADVERSARY)
        axes.set_ylabel(name)
        _show_whole_decades(axes, series)
    for axes in (losses, *panels):
        _shade_phases(axes, curves)
    last = max(curves.last_step, 1)
    losses.set_xlim(-0.01 * last, 1.01 * last)
    _finish(losses, title)
    (losses, *panels)[-1].set_xlabel("step")
    return figure


def _panels(count: int) -> tuple["Figure", list["Axes"]]:
    """Makes a figure with a large panel above small ones, without pyplot, whose state is global."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 3.6 + 1.1 * (count - 1)), layout="constrained", facecolor="white")
    heights = [3.2, *[1.0] * (count - 1)]
    panels = list(figure.subplots(count, 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    panels[-1].xaxis.set_major_formatter("{x:,.0f}")
    return figure, panels


def _plot(axes: "Axes", series: Series, **style: Any) -> None:
    steps = sorted(series)
    few = len(steps) <= _MAX_MARKED_POINTS
    shape = {"marker": ".", "markersize": 5, "linewidth": 1.4} if few else {"linewidth": 0.9}
    axes.plot(steps, [series[step] for step in steps], **shape, **style)


def _line(index: int) -> dict[str, Any]:
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "linestyle": _DASHES[index // len(_COLOURS) % len(_DASHES)],
    }


def _show_whole_decades(axes: "Axes", series: Series) -> None:
    """Makes the axis logarithmic over whole decades, on which a small change looks small."""
    lowest = math.floor(math.log10(min(series.values())))
    highest = max(math.ceil(math.log10(max(series.values()))), lowest + 1)
    axes.set_yscale("log")
    axes.set_ylim(10.0**lowest, 10.0**highest)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")


def _shade_phases(axes: "Axes", curves: RunCurves) -> None:
    start, end = curves.adversarial_start_step, curves.last_step
    if start is None:
        return
    weights = {alpha for alpha in curves.alpha.values() if alpha > 0}
    weight = f", α {'=' if len(weights) == 1 else 'up to'} {max(weights):g}" if weights else ""
    if start > 0:
        axes.axvspan(0, start, facecolor=_STANDARD_PHASE, linewidth=0, zorder=0, label="standard")
    axes.axvspan(start, end, facecolor=_ADVERSARIAL_PHASE, linewidth=0, zorder=0, label=f"adversarial{weight}")


def _finish(axes: "Axes", title: str) -> None:
    """Adds title and legend; the names in them are a user's, in which dollar signs are no mathematics."""
    axes.set_title(title, loc="left", parse_math=False)
    for text in axes.legend().get_texts():
        text.set_parse_math(False)


# -- records -----------------------------------------------------------------------------------------------------------


def _records(path: Path) -> list[dict[str, Any]]:
    """Reads records, leaving out lines that cannot be read, such as the last one of a run that was killed."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [record for line in lines if isinstance(record := _parsed(line), dict)]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _add(series: Series, step: int, value: Any) -> None:
    if isinstance(value, int | float) and math.isfinite(value):
        series[step] = value


def _positive(series: Series) -> Series:
    return {step: value for step, value in series.items() if value > 0}
