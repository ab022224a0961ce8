"""Summary of an evaluation in a sentence for each model."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from alum.attacks.condition import LOG_LIKELIHOOD, Condition
from alum.reports.evaluation.record import CheckRecord, EvaluationRecord, ScoreRecord
from alum.reports.evaluation.scores import Scores, clean_of, condition_of, metric_words
from alum.reports.numbers import is_number, listed, rough_interval_text, value_text

SIGNIFICANT = 0.05
HARMLESS_PART = "cross_entropy_has_gradients"
"""Part of the check for gradient masking that warns of other attacks than those of an evaluation."""


def answer(results: EvaluationRecord, scores: Scores, model: str) -> str:
    """Says how a model scores clean and under the strongest attack, and how it compares with the baseline model.

    Means are over the suites that were attacked, if any, with and without the attack, on the same rows. A second
    sentence warns of robust accuracy that a failed check says not to trust.
    """
    levels = [_level(results, scores, model, suite["name"]) for suite in results["suites"]]
    metrics = {suite["main_metric"] for suite in results["suites"]}
    levels = [level for level in levels if level.attacked] or [level for level in levels if level.clean]
    if not levels:
        return "Nothing was measured." + _caution(results, model)
    if len(levels) > 1 and len(metrics) == 1:
        sentence = f"{_capital(*metrics)} is {_means(levels)}, means of {len(levels)} suites"
    else:
        kinds = {suite["name"]: suite["main_metric"] for suite in results["suites"]}
        sentence = "; ".join(
            f"{_capital(kinds[level.suite])} on {level.suite} is {_means([level])}" for level in levels
        )
    return f"{sentence}{_beside_baseline(results, model)}.{_caution(results, model)}"


def ranked(results: EvaluationRecord, scores: Scores, suite: str) -> list[str]:
    """Models from the highest score on a suite under the strongest attack, or without one, to the lowest.

    Those that were not measured stand last.
    """

    def level(model: str) -> float:
        found = strongest(results, scores, model, suite) or scores.main(model, Condition(suite))
        return found["value"] if found and found["value"] is not None and is_number(found["value"]) else -math.inf

    return sorted(scores.models, key=level, reverse=True)


def leaders(results: EvaluationRecord, scores: Scores) -> list[tuple[str, str]]:
    """Names of the suites, each with a sentence on the model that is ranked first on it."""
    found = []
    for suite in results["suites"]:
        model = ranked(results, scores, suite["name"])[0]
        level = _level(results, scores, model, suite["name"])
        found.append(
            (suite["name"], f"{model} ranks first: {metric_words(suite['main_metric'])} is {_means([level])}.")
        )
    return found


def strongest(results: EvaluationRecord, scores: Scores, model: str, suite: str) -> ScoreRecord | None:
    """Score of a model on a suite under the strongest attack; None where none was measured.

    The lowest score of attacks on texts that leave the label as it is, if there are any. Else that of an attack on
    embeddings, at the middle one of its radii, since nobody can say at which radius it is fair. Else the lowest under
    noise, which is no adversary.
    """
    families = {attack["name"]: attack["family"] for attack in results["attacks"]}
    may_change_label = {attack["name"] for attack in results["attacks"] if attack["may_change_label"]}
    by_family: dict[str, list[ScoreRecord]] = {"text": [], "embedding": [], "noise": []}
    for condition in scores.conditions_of(suite):
        score = scores.main(model, condition)
        if condition.attack is None or condition.attack in may_change_label:
            continue
        if score is not None and is_number(score["value"]):
            by_family[families.get(condition.attack, "text")].append(score)
    for family, found in by_family.items():
        if found:
            return found[(len(found) - 1) // 2] if family == "embedding" else min(found, key=_value)
    return None


class _Level(NamedTuple):
    suite: str
    clean: ScoreRecord | None
    attacked: ScoreRecord | None


def _level(results: EvaluationRecord, scores: Scores, model: str, suite: str) -> _Level:
    attacked = strongest(results, scores, model, suite)
    return _Level(suite, clean_of(attacked) if attacked else scores.main(model, Condition(suite)), attacked)


def _means(levels: Sequence[_Level]) -> str:
    clean = [level.clean for level in levels if level.clean and is_number(level.clean["value"])]
    attacked = [level.attacked for level in levels if level.attacked]
    names = list(dict.fromkeys(condition_of(score).name for score in attacked))
    under = (
        f"under {names[0]}" if len(names) == 1 else f"under the strongest attack on each ({listed(names or ['none'])})"
    )
    texts = [f"{_mean(clean)} without an attack"] if clean else []
    texts += [f"{_mean(attacked)} {under}"] if attacked else []
    if not texts:
        return "not known"
    num_rows = sum(score["num_rows"] for score in attacked or clean)
    return f"{listed(texts)}, on {'the same ' if clean and attacked else ''}{num_rows:,} rows"


def _mean(found: Sequence[ScoreRecord]) -> str:
    """Text of the mean of scores of different rows, with its interval.

    The arms of the interval of a sum are √Σ arm² (Zou and Donner 2008, Statistics in Medicine 27).
    """
    metric, values = found[0]["metric"], list(map(_value, found))
    mean, text = fmean(values), value_text(metric, fmean(values))
    ends = [(score["low"], score["high"]) for score in found]
    if not all(is_number(low) and is_number(high) for low, high in ends):
        return text
    below, above = (
        math.hypot(*(value - (end or 0.0) for value, end in zip(values, side, strict=True))) / len(values)
        for side in zip(*ends, strict=True)
    )
    return f"{text} ({rough_interval_text(metric, mean - below, mean + above)})"


def _capital(metric: str) -> str:
    words = metric_words(metric)
    return words[:1].upper() + words[1:]


def _beside_baseline(results: EvaluationRecord, model: str) -> str:
    found = [
        entry
        for entry in results["comparisons"]
        if entry["model"] == model and not entry["metric"].endswith(LOG_LIKELIHOOD)
    ]
    if not found:
        return ""
    clear = [entry for entry in found if is_number(entry["p_adjusted"]) and (entry["p_adjusted"] or 0.0) < SIGNIFICANT]
    better = sum(entry["difference"] > 0 for entry in clear)
    worse = sum(entry["difference"] < 0 for entry in clear)
    counts = f"better than {listed(dict.fromkeys(entry['baseline'] for entry in found))} in {better} of {len(found)}"
    return f"; {counts} comparisons and worse in {worse} (p < {SIGNIFICANT:g})"


def _caution(results: EvaluationRecord, model: str) -> str:
    failed = [check for check in results["checks"] if check["model"] == model and not check["passed"]]
    of_scale = [check["suite"] for check in failed if _failed_parts(check) == {HARMLESS_PART}]
    others = [check["suite"] for check in failed if check["suite"] not in of_scale]
    sentence = ""
    if others:
        sentence += (
            f" The check for gradient masking failed on {listed(others)}: its robust accuracy there may be too high."
        )
    if of_scale:
        sentence += (
            f" Its logits on {listed(of_scale)} are so large that attacks by the cross-entropy find nothing; those "
            "here do not depend on their scale."
        )
    return sentence


def _failed_parts(check: CheckRecord) -> set[str]:
    return {part["name"] for part in check["parts"] if part["passed"] is False}


def _value(score: ScoreRecord) -> float:
    return score["value"] or 0.0
