import pytest

from alum.evaluation.scores.seeds import spread_of_values
from alum.stages.study.comparing.comparisons import Measure, arm_score


@pytest.mark.parametrize(
    ("metric", "values", "ends"),
    [
        ("accuracy", [0.97, 0.99], (None, 1.0)),
        ("pearson", [-0.9, -0.99], (-1.0, None)),
        ("log_likelihood", [-1.4, -1.6], (None, None)),
        ("mse", [3.0, 5.0], (None, None)),
    ],
)
def test_an_interval_ends_where_its_metric_does(metric, values, ends):
    spread = spread_of_values(values)
    score = arm_score(Measure("t", None, None, metric, True), "a", spread, dict(enumerate(values)), None)
    whole = spread.interval()
    assert (score["low"], score["high"]) == (
        whole.low if ends[0] is None else ends[0],
        whole.high if ends[1] is None else ends[1],
    )
    assert score["low"] < score["value"] < score["high"]
