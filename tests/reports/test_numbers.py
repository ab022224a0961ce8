import pytest

from alum.reports.numbers import difference_text, interval_text, metric_text, p_text, percent_text, value_text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 0.8625, "86.2 %"),  # half to even
        ("f1_macro", 1.0, "100.0 %"),
        ("exact_match", 0.0, "0.0 %"),
        ("loss", 0.69314, "0.693"),
        ("pearson", -0.5, "−0.500"),
        ("alum_one_pass", 1234.5678, "1235"),
        ("loss", float("nan"), "nan"),  # it was measured, and diverged
        ("pearson", -0.0001, "0.000"),
        ("mse", -123.4, "−123"),
    ],
)
def test_rates_are_percent_and_other_numbers_have_what_digits_matter(name, value, text):
    assert metric_text(name, value) == text


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("robust_within_tolerance", 0.5, "50.0 %"),
        ("changed_word_share", 0.0, "0.0 %"),
        ("matthews_correlation", -0.1234, "−0.123"),
        ("mean_queries", 1234.56, "1,234.6"),
        ("accuracy", float("nan"), "–"),
    ],
)
def test_values(metric, value, text):
    assert value_text(metric, value) == text


def test_intervals():
    assert interval_text("accuracy", 0.5, 0.625) == "50.0–62.5"
    assert interval_text("matthews_correlation", -0.1, 0.2) == "−0.100 to 0.200"
    assert interval_text("accuracy", -0.125, 0.5, signed=True) == "−12.5 to +50.0"
    assert interval_text("accuracy", None, 0.5) == "–"


def test_differences_and_p_values():
    assert difference_text("robust_f1", -0.0001) == "0.0"
    assert difference_text("accuracy", None) == "–"
    assert [p_text(p) for p in (0.001, 0.0999, 0.1, 1.0, None)] == ["0.001", "0.100", "0.10", "1.00", "–"]


@pytest.mark.parametrize("metric", ["accuracy", "robust_within_tolerance", "changed_word_share"])
def test_a_rate_is_written_as_any_share_that_was_measured(metric):
    assert metric_text(metric, 0.125) == value_text(metric, 0.125) == percent_text(0.125) == "12.5 %"
