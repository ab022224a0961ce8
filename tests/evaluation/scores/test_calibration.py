"""Calibration beside scikit-learn's scores, closed forms and the condition for the best temperature."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from alum.core.errors import InputError
from alum.evaluation.scores.calibration import calibration, calibration_error, fitted_temperature, reliability_bins

RANDOM = np.random.default_rng(0)
LOGITS = 2 * RANDOM.normal(size=(500, 3))
LABELS = np.array([RANDOM.choice(3, p=softmax(row / 1.5)) for row in LOGITS])


@pytest.mark.parametrize("temperature", [1.0, 0.4, 5.0])
def test_likelihood_and_brier_score_are_those_of_scikit_learn(temperature: float) -> None:
    found = calibration(LOGITS, LABELS, temperature)
    probabilities = softmax(LOGITS / temperature, axis=-1)
    assert found.negative_log_likelihood == pytest.approx(log_loss(LABELS, probabilities))
    one_hot_distance = brier_score_loss(LABELS, probabilities, labels=[0, 1, 2], scale_by_half=False)
    assert found.brier_score == pytest.approx(one_hot_distance)
    assert found.accuracy == (probabilities.argmax(-1) == LABELS).mean()


def test_likelihood_of_a_model_that_is_as_good_as_certain_is_finite() -> None:
    found = calibration([[3000.0, 0.0], [3000.0, 0.0]], [0, 1])
    assert found.negative_log_likelihood == 1500.0
    assert found.brier_score == 1.0  # 0 and 2
    assert found.expected_calibration_error == 0.5


def test_calibration_error_of_two_confidences() -> None:
    # 30 rows with .9, of which 24 are right, and 60 with .6, of which 45 are right: .1 and .15 apart.
    logits = [[np.log(9.0), 0.0]] * 30 + [[np.log(1.5), 0.0]] * 60
    labels = [0] * 24 + [1] * 6 + [0] * 45 + [1] * 15
    assert calibration(logits, labels).expected_calibration_error == pytest.approx((30 * 0.1 + 60 * 0.15) / 90)


def test_calibration_error_does_not_depend_on_the_order_of_equally_sure_rows() -> None:
    logits = np.tile([[2.0, 0.0]], (40, 1))
    labels = np.array([0] * 20 + [1] * 20)
    for order in (np.arange(40), RANDOM.permutation(40)):
        confidence = 1 / (1 + np.exp(-2.0))
        assert calibration(logits, labels[order]).expected_calibration_error == pytest.approx(confidence - 0.5)


def test_bins_hold_as_many_rows_each_in_order_of_confidence() -> None:
    bins = reliability_bins(LOGITS, LABELS, num_bins=10)
    assert [found.num_rows for found in bins] == [50] * 10
    confidences = np.sort(softmax(LOGITS, axis=-1).max(-1))
    np.testing.assert_allclose([found.confidence for found in bins], confidences.reshape(10, 50).mean(-1))
    right = (LOGITS.argmax(-1) == LABELS).sum()
    assert sum(found.accuracy * found.num_rows for found in bins) == pytest.approx(right)


def test_bins_are_those_of_scikit_learns_quantiles() -> None:
    probabilities = softmax(LOGITS, axis=-1)
    is_right = probabilities.argmax(-1) == LABELS
    accuracies, confidences = calibration_curve(is_right, probabilities.max(-1), n_bins=10, strategy="quantile")
    bins = reliability_bins(LOGITS, LABELS, num_bins=10)
    np.testing.assert_allclose([found.accuracy for found in bins], accuracies)
    np.testing.assert_allclose([found.confidence for found in bins], confidences)


def test_the_error_of_drawn_rows_is_in_the_bins_of_all_rows() -> None:
    drawn = RANDOM.integers(len(LABELS), size=200)
    probabilities = softmax(LOGITS, axis=-1)
    bin_of = np.argsort(np.argsort(probabilities.max(-1))) // 50
    gap = probabilities.max(-1) - (probabilities.argmax(-1) == LABELS)
    expected = sum(abs(gap[drawn][bin_of[drawn] == number].sum()) for number in range(10)) / 200
    assert calibration_error(LOGITS, LABELS, num_bins=10).at(drawn).value == pytest.approx(expected)


def test_fewer_rows_than_bins_make_a_bin_each() -> None:
    assert [found.num_rows for found in reliability_bins(LOGITS[:4], LABELS[:4])] == [1, 1, 1, 1]


def test_fitted_temperature_meets_the_condition_for_the_highest_likelihood() -> None:
    # d/dβ of Σ [β z_y - logsumexp(β z)], β = 1 / T: the mean logit of right labels is the expected one.
    temperature = fitted_temperature(LOGITS, LABELS)
    of_right = LOGITS[np.arange(len(LABELS)), LABELS].mean()
    expected = (softmax(LOGITS / temperature, axis=-1) * LOGITS).sum(-1).mean()
    assert expected == pytest.approx(of_right, abs=1e-4)
    assert temperature == pytest.approx(1.5, rel=0.15)  # that labels were drawn with


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_temperature_has_the_scale_of_the_logits_whatever_that_is(scale: float) -> None:
    assert fitted_temperature(scale * LOGITS, LABELS) == pytest.approx(scale * fitted_temperature(LOGITS, LABELS))


def test_scaled_logits_have_a_scaled_temperature_and_the_same_scores_after_it() -> None:
    temperature, scaled = fitted_temperature(LOGITS, LABELS), fitted_temperature(100 * LOGITS, LABELS)
    assert scaled == pytest.approx(100 * temperature, rel=1e-3)
    raw, after = calibration(100 * LOGITS, LABELS), calibration(100 * LOGITS, LABELS, scaled)
    best = -log_softmax(LOGITS / temperature, axis=-1)[np.arange(len(LABELS)), LABELS].mean()
    assert after.negative_log_likelihood == pytest.approx(best)
    assert raw.negative_log_likelihood > 10 * after.negative_log_likelihood


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 2)), [], "at least one"),
        (np.zeros((2, 2)), [0], r"not of \(2, 2\) and \(1,\)"),
        (np.zeros((2, 2)), [0, 2], r"from 0 to 1, not \[0, 2\]"),
        (np.zeros((2, 2)), [0, -100], "from 0 to 1"),
    ],
)
def test_what_has_no_calibration_is_refused(logits: np.ndarray, labels: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        calibration(logits, labels)
