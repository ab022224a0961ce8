import math
import re
import xml.etree.ElementTree as ET

import pytest

from alum.reports.evaluation.charts import DotRow, curves_chart, dots_chart, reliability_chart
from alum.reports.pages.svg import Point

CURVE = [
    Point(0.9, 0.85, 0.95, "alum: 90 %", 0.0),
    Point(0.5, 0.4, 0.6, "alum: 50 %", 0.1),
    Point(0, 0, 0.1, "none", 0.4),
]


def points_of(svg):
    """Where each named point stands, in pixels from the left and from above."""
    found = {}
    for element in ET.fromstring(svg).iter("g"):
        if element.get("class") == "point":
            (use,) = element.iter("use")
            found[element.findtext("title")] = (float(use.get("x")), float(use.get("y")))
    return found


def test_points_of_a_curve_stand_at_their_values():
    """The axis is 182 pixels high from 10 on, and 284 wide from 44 on; radii stand at their square roots."""
    found = points_of(curves_chart([CURVE], True, "curve"))
    assert set(found) == {"alum: 90 %", "alum: 50 %", "none"}
    for point in CURVE:
        x, y = found[point.text]
        assert x == pytest.approx(44 + 284 * math.sqrt(point.x / 0.4), abs=0.01)
        assert y == pytest.approx(10 + 182 * (1 - point.value), abs=0.01)


def test_dots_stand_at_their_values_and_below_each_other():
    rows = [DotRow("clean", [Point(0.75, 0.7, 0.8, "a"), None]), DotRow("typing", [None, Point(0.25, 0.2, 0.3, "b")])]
    found = points_of(dots_chart(rows, True, "dots"))
    assert found["a"][0] == pytest.approx(14 + 312 * 0.75, abs=0.01)
    assert found["b"][0] == pytest.approx(14 + 312 * 0.25, abs=0.01)
    assert found["b"][1] > found["a"][1]


def test_bins_stand_at_their_confidence_and_accuracy_beside_the_diagonal():
    """The axis is 182 pixels high from 10 on, and 276 wide from 44 on."""
    bins = [Point(0.5, 0.5, 0.5, "half", 0.6), Point(1.0, 1.0, 1.0, "all", 0.95)]
    svg = reliability_chart([bins], "reliability")
    found = points_of(svg)
    for point in bins:
        assert found[point.text] == pytest.approx((44 + 276 * point.x, 10 + 182 * (1 - point.value)), abs=0.01)
    ends = [tuple(map(float, re.findall(r"[\d.]+", path.get("d")))) for path in ET.fromstring(svg).iter("path")]
    assert (44, 192, 320, 10) in ends


def test_colours_are_classes_and_nothing_needs_a_style_attribute():
    svg = curves_chart([CURVE, CURVE], True, "curve")
    assert {"stroke-m0", "fill-m0", "stroke-m1", "fill-m1", "stroke-grid", "fill-muted"} <= set(
        " ".join(re.findall(r'class="([^"]*)"', svg)).split()
    )
    assert "style" not in svg
    assert not re.findall(r"#0[0-9a-f]{5}", svg)
    assert "xlink" not in svg


def test_curves_differ_in_more_than_colour():
    """Dashes, and the outline of the markers."""
    svg = ET.fromstring(curves_chart([CURVE, CURVE, CURVE], True, "curve"))
    assert len({line.get("stroke-dasharray") for line in svg.iter("path") if line.get("stroke-width") == "1.8"}) == 3
    marks = [element for element in svg.iter("g") if element.get("class") == "point"]
    assert len({path.get("d") for mark in marks for path in mark.iter("path")}) == 3


def test_names_are_text_and_nothing_else():
    name = "<script>$\\frac{1}{2}$</script> 世界 &amp;"
    svg = ET.fromstring(dots_chart([DotRow(name, [Point(0.5, 0.4, 0.6, name)])], True, name))
    assert name in [element.text for element in svg.iter("text")]
    assert [element.text for element in svg.iter("title")] == [name]
    assert not list(svg.iter("script"))


def test_names_within_charts_of_a_page_differ():
    ids = [set(re.findall(r'id="([^"]*)"', curves_chart([CURVE], True, name))) for name in ("a", "b")]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_scores_that_are_no_rates_have_an_axis_of_their_own():
    points = [Point(-0.1, -0.2, 0.0, "low", 0.0), Point(0.6, 0.5, 0.7, "high", 0.1)]
    svg = curves_chart([points], False, "curve")
    assert "%" not in svg.replace("50%", "")
    assert 10 < points_of(svg)["high"][1] < points_of(svg)["low"][1] < 192


def test_ten_models_and_a_single_radius_are_drawn():
    points = [Point(0.5, 0.4, 0.6, f"model {number}", 0.0) for number in range(10)]
    assert len(points_of(dots_chart([DotRow("clean", points)], True, "dots"))) == 10
    assert len(points_of(curves_chart([[point] for point in points], True, "curve"))) == 10


def test_the_users_own_settings_are_left_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    curves_chart([CURVE], True, "curve")
    assert dict(matplotlib.rcParams) == before
