"""Numbers as texts for reports: metrics, intervals, differences, p values, shares, times."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from alum.core.outputs.rounding import ROUNDING_NATS

MISSING = "–"
_RATES = ("accuracy", "precision", "recall", "f1", "exact_match", "within_tolerance", "success_rate", "_share")
_COUNTS = ("mean_queries",)
_LOSSES = ("loss", "perplexity", "mse")


def is_rate(metric: str) -> bool:
    """Whether a metric by this name lies in [0, 1] and is read in percent.

    >>> is_rate("f1_macro"), is_rate("robust_accuracy"), is_rate("pearson")
    (True, True, False)
    """
    return metric.startswith(_RATES) or metric.endswith(_RATES)


def is_loss(metric: str) -> bool:
    """Whether less of a metric by this name is better.

    >>> is_loss("loss"), is_loss("validation_perplexity"), is_loss("log_likelihood")
    (True, True, False)
    """
    return metric.endswith(_LOSSES)


def is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def metric_text(metric: str, value: float) -> str:
    """Formats a measured metric: rates in percent, mean counts with one decimal, others with three, none from 100 on.

    >>> metric_text("token_accuracy", 0.8625), metric_text("loss", 0.5), metric_text("perplexity", 1234.5678)
    ('86.2 %', '0.500', '1235')
    """
    return f"{_number(metric, value)} %" if is_rate(metric) else _number(metric, value)


def value_text(metric: str, value: float | None) -> str:
    """Formats a metric's value as `metric_text` does, and a missing one as a dash.

    >>> value_text("robust_accuracy", 0.415), value_text("mean_queries", 38.24), value_text("pearson", None)
    ('41.5 %', '38.2', '–')
    """
    return MISSING if value is None or not math.isfinite(value) else metric_text(metric, value)


def interval_text(metric: str, low: float | None, high: float | None, signed: bool = False) -> str:
    """Formats the ends of a metric's interval in the unit of its value, with signs for that of a difference."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return MISSING
    between = " to " if signed or low < 0 else "–"
    return between.join(_number(metric, end, signed) for end in (low, high))


def rough_interval_text(metric: str, low: float, high: float) -> str:
    """Formats an interval for narrow columns: of rates in whole percent, of other metrics with two decimals.

    >>> rough_interval_text("accuracy", 0.8012, 0.8791), rough_interval_text("pearson", -0.1, 0.25)
    ('80–88', '−0.10 to 0.25')
    """
    if is_rate(metric):
        return f"{100 * low:.0f}–{100 * high:.0f}"
    return f"{low:.2f} to {high:.2f}".replace("-", "−")


def difference_text(metric: str, difference: float | None) -> str:
    """Formats a metric's difference with its sign, of rates in percentage points.

    >>> difference_text("accuracy", 0.125), difference_text("pearson", -0.02)
    ('+12.5', '−0.020')
    """
    if difference is None or not math.isfinite(difference):
        return MISSING
    return _number(metric, difference, signed=True)


def shows_difference(metric: str, difference: float) -> bool:
    """Whether a difference is more than nothing in the digits that reports have.

    >>> shows_difference("loss", -0.0004), shows_difference("accuracy", 0.0006)
    (False, True)
    """
    return bool(difference_text(metric, difference).strip("+−0."))


def p_text(p_value: float | None) -> str:
    """Formats a p value: two decimals, three below 0.1, and no exact value below 0.001.

    >>> p_text(0.00004), p_text(0.0312), p_text(0.5)
    ('< 0.001', '0.031', '0.50')
    """
    if p_value is None or not math.isfinite(p_value):
        return MISSING
    if p_value < 0.001:
        return "< 0.001"
    return f"{p_value:.3f}" if p_value < 0.1 else f"{p_value:.2f}"


def percent_text(rate: float) -> str:
    """Formats a measured share in percent with one decimal.

    >>> percent_text(0.125), percent_text(1 / 3)
    ('12.5 %', '33.3 %')
    """
    return f"{100 * rate:.1f} %"


def setting_percent_text(share: float) -> str:
    """Formats a share that a user set, in percent with the digits that it was set with.

    >>> setting_percent_text(0.15), setting_percent_text(0.125)
    ('15 %', '12.5 %')
    """
    return f"{100 * share:g} %"


def duration_text(seconds: float) -> str:
    """Formats a duration in seconds, minutes, or hours and minutes, whichever is short.

    >>> duration_text(4.26), duration_text(89), duration_text(3599)
    ('4.3 s', '1 min', '1 h 0 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _number(metric: str, value: float, signed: bool = False) -> str:
    """Formats a number without its unit, with a true minus sign, and no sign before a zero."""
    if is_rate(metric):
        value, form = 100 * value, ".1f"
    elif metric in _COUNTS:
        form = ",.1f"
    else:
        form = ".3f" if abs(value) < 100 else ".0f"
    text = f"{value:{'+' if signed else ''}{form}}"
    return (text if text.strip("+-0.") else text.lstrip("+-")).replace("-", "−")


def gain_text(gain: float | None, divergence: float) -> str:
    """Formats an adversarial gain, with three digits; none where the divergence that it is a ratio of is rounding.

    >>> gain_text(0.9375, 2e-6), gain_text(15839.9, 2e-3), gain_text(16.2, 8e-10)
    ('0.938', '15,840', 'below rounding')
    """
    if divergence < ROUNDING_NATS:
        return "below rounding"
    if gain is None or not math.isfinite(gain):
        return MISSING
    return f"{gain:,.0f}" if gain >= 1000 else f"{gain:.3g}"


def training_rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of a table, name and text, of the result of fine-tuning: metrics, rows, cost and gains."""
    rows = [(f"validation {name}", value_text(name, value)) for name, value in result["metrics"].items()]
    counts = {"training rows": result["num_train_rows"]}
    if result["num_unlabelled_rows"]:
        counts["unlabelled rows left out"] = result["num_unlabelled_rows"]
    counts |= {f"training rows of {file}": count for file, count in result.get("num_rows_by_file", {}).items()}
    counts["steps"] = result["num_steps"]
    rows += [(name, f"{count:,}") for name, count in counts.items()]
    rows.append(("training time", duration_text(result["train_seconds"])))
    return rows + gain_rows(result)


def gain_rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of a table, name and text, of the gains in a training's result: at the first attacked step and the last."""
    gains = [gain for gain in (result["first_gain"], result["last_gain"]) if gain is not None]
    return [
        (
            f"adversarial gain at step {gain['step']:,}",
            f"{gain_text(gain['gain'], gain['divergence'])} (divergence {gain['divergence']:.1e}{_of_further(gain)})",
        )
        for gain in (gains[:1] if gains[:1] == gains[1:] else gains)
    ]


def _of_further(gain: Mapping[str, Any]) -> str:
    strength = gain["strength"]
    return "" if strength is None else f", strength {100 * strength:.0f} %"


def listed(names: Iterable[str]) -> str:
    """Joins names for a sentence, with commas and a final "and".

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
