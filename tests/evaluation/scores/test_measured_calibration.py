"""Temperatures fitted across halves, beside scikit-learn's likelihoods, and models whose logits are too large."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import log_loss

from alum.attacks.condition import Condition
from alum.core.errors import InputError
from alum.evaluation.scores.calibration import calibration
from alum.evaluation.scores.measured_calibration import calibration_of, held_out_temperatures, with_logits
from alum.evaluation.scores.summary import Measurement

RANDOM = np.random.default_rng(0)
LOGITS = 2 * RANDOM.normal(size=(600, 3))
LABELS = np.array([RANDOM.choice(3, p=softmax(row / 1.5)) for row in LOGITS])
ATTACKED = LOGITS - 1.5 * np.eye(3)[LABELS]


def measurement(logits, labels=LABELS, attack=None, clusters=(), first_row=1):
    records = [
        with_logits({"row": number, "scores": {"accuracy": float(row.argmax() == label)}}, row, int(label))
        for number, (row, label) in enumerate(zip(logits, labels, strict=True), start=first_row)
    ]
    family = "embedding" if attack else None
    return Measurement("a", Condition("s", attack, 0.1 if attack else None), family, records, clusters=clusters)


def likelihood(logits, labels, temperature=1.0):
    return log_loss(labels, softmax(logits / temperature, axis=-1), labels=[0, 1, 2])


def best_temperature(logits, labels):
    """By scikit-learn's likelihood, and a search over the inverse."""
    found = minimize_scalar(lambda beta: likelihood(logits, labels, 1 / beta), bounds=(0.01, 10), method="bounded")
    return 1 / found.x


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("attack", [None, "pgd"])
def test_each_half_has_the_temperature_of_the_other_ones_clean_rows(attack):
    """Rows come in pairs that share something: an even cluster, of which one stands in one half only."""
    clusters = [f"context {number // 2}" for number in range(len(LABELS))]
    clean = measurement(LOGITS, clusters=clusters)
    logits = ATTACKED if attack else LOGITS
    (entry,) = calibration_of(measurement(logits, attack=attack, clusters=clusters), clean)

    # Which rows are a half is told by removing each cluster from what was fitted: only its own half's changes.
    whole = held_out_temperatures(clean)
    half = np.empty(len(LABELS), int)
    for cluster in range(len(LABELS) // 2):
        own = [2 * cluster, 2 * cluster + 1]
        kept = [index for index in range(len(LABELS)) if index not in own]
        without = held_out_temperatures(
            Measurement("a", clean.condition, None, [clean.records[i] for i in kept], (), [clusters[i] for i in kept])
        )
        changed = [before != after for before, after in zip(whole, without, strict=True)]
        assert sum(changed) == 1
        half[own] = changed.index(True)
    assert 200 < half.sum() < 400
    expected = [best_temperature(LOGITS[half == number], LABELS[half == number]) for number in (0, 1)]
    assert whole == pytest.approx(expected, rel=1e-3)
    assert entry["temperature"] == pytest.approx((expected[0] * expected[1]) ** 0.5, rel=1e-3)
    after = sum(
        (half == number).mean() * likelihood(logits[half == number], LABELS[half == number], expected[1 - number])
        for number in (0, 1)
    )
    assert entry["raw"]["negative_log_likelihood"]["value"] == pytest.approx(likelihood(logits, LABELS))
    assert entry["after_temperature"]["negative_log_likelihood"]["value"] == pytest.approx(after, rel=1e-4)


def test_an_entry_has_the_scores_of_all_rows_within_their_intervals():
    (entry,) = calibration_of(measurement(LOGITS), measurement(LOGITS))
    found = calibration(LOGITS, LABELS)
    for metric in ("negative_log_likelihood", "brier_score", "expected_calibration_error"):
        level = entry["raw"][metric]
        assert level["value"] == pytest.approx(getattr(found, metric))
        assert level["low"] <= level["value"] <= level["high"]
    losses = -np.log(softmax(LOGITS, axis=-1)[np.arange(600), LABELS])
    half = 1.96 * losses.std() / 600**0.5
    level = entry["raw"]["negative_log_likelihood"]
    assert (level["low"], level["high"]) == pytest.approx((losses.mean() - half, losses.mean() + half), rel=0.02)
    assert sum(one["num_rows"] for one in entry["raw"]["bins"]) == entry["num_rows"] == 600
    assert entry["raw"]["bins"] != entry["after_temperature"]["bins"]


def test_a_calibrated_model_may_have_no_error_at_all():
    """Chance makes its error larger than zero, which the interval holds."""
    labels = np.array([RANDOM.choice(3, p=softmax(row)) for row in LOGITS])
    (entry,) = calibration_of(measurement(LOGITS, labels), measurement(LOGITS, labels))
    error = entry["raw"]["expected_calibration_error"]
    assert error["value"] > 0.02
    assert error["low"] < 0.012


def test_the_scale_of_logits_is_gone_after_the_temperature():
    (plain,) = calibration_of(measurement(ATTACKED, attack="pgd"), measurement(LOGITS))
    (scaled,) = calibration_of(measurement(300 * ATTACKED, attack="pgd"), measurement(300 * LOGITS))
    assert scaled["temperature"] == pytest.approx(300 * plain["temperature"], rel=1e-4)
    raw, after = (scaled[level]["negative_log_likelihood"]["value"] for level in ("raw", "after_temperature"))
    assert raw > 100 * after
    assert after == pytest.approx(plain["after_temperature"]["negative_log_likelihood"]["value"], rel=1e-4)


def test_attacked_rows_may_be_few_of_the_clean_ones():
    few = measurement(ATTACKED[:50], LABELS[:50], attack="pgd")
    (entry,) = calibration_of(few, measurement(LOGITS))
    (whole,) = calibration_of(measurement(ATTACKED, attack="pgd"), measurement(LOGITS))
    assert entry["num_rows"] == 50
    assert entry["temperature"] == whole["temperature"]


def test_where_all_rows_are_right_there_is_no_temperature():
    labels = LOGITS.argmax(-1)
    (entry,) = calibration_of(measurement(LOGITS, labels), measurement(LOGITS, labels))
    assert (entry["temperature"], entry["after_temperature"]) == (None, None)
    assert entry["raw"]["negative_log_likelihood"]["value"] == pytest.approx(likelihood(LOGITS, labels))


def test_of_a_single_row_there_is_no_temperature():
    one = measurement(LOGITS[:1], [1 - LOGITS[0].argmax() % 2])
    assert calibration_of(one, one)[0]["temperature"] is None


def test_kinds_that_choose_no_label_have_no_entry():
    records = [{"row": 1, "scores": {"f1": 0.5}}]
    other = Measurement("a", Condition("s"), None, records)
    assert calibration_of(other, other) == []


def test_logits_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="row 7: the model's logits are not finite"):
        with_logits({"row": 7, "scores": {}}, np.array([np.nan, 0.0]), 0)
