"""The page and the terminal's tables of a study whose record is written out by hand."""

import html
import io
import re
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from alum.reports.pages.svg import Point
from alum.reports.study.forest import ForestRow, forest_plot
from alum.reports.study.page import study_page
from alum.reports.study.terminal import show_study
from alum.reports.study.words import answers_of

ARMS = ["standard", "<b>alum</b>", "standard_plus"]


def score(arm, value, attack=None, epsilon=None):
    place = {"task": "sst2", "arm": arm, "attack": attack, "epsilon": epsilon, "metric": "accuracy", "is_main": True}
    return {
        **place,
        "value": value,
        "low": value - 0.02,
        "high": value + 0.02,
        "num_rows": 872,
        "by_seed": {"0": value},
    }


def comparison(baseline, difference, verdict, more_seeds=None):
    place = {"task": "sst2", "arm": ARMS[1], "baseline": baseline, "attack": None, "epsilon": None}
    found = {"metric": "accuracy", "is_main": True, "difference": difference, "low": difference - 0.01}
    found |= {"high": difference + 0.01, "p_value": 0.02, "p_adjusted": 0.04, "verdict": verdict}
    return {**place, **found, "num_seeds": 3, "num_rows": 872, "more_seeds": more_seeds}


@pytest.fixture
def results():
    comparisons = [comparison("standard", 0.021, "better"), comparison("standard_plus", -0.004, "undecided", 7)]
    costs = [
        {"task": "sst2", "arm": arm, "num_seeds": 3, "flops": 1e12, "seconds": 60.0, "times_standard": times}
        for arm, times in zip(ARMS, (1.0, 2.0, 1.98), strict=True)
    ]
    search = {"task": "sst2", "arm": ARMS[1], "metric": "accuracy", "chosen": {"adv_epsilon": 0.1}}
    return {
        "schema_version": 1,
        "settings": {"arms": {"standard": {"adv_method": "standard"}}, "seeds": [0, 1, 2]},
        "environments": [{"torch": "2.13"}],
        "arms": ARMS,
        "tasks": ["sst2"],
        "seeds": [0, 1, 2],
        "num_cells": 9,
        "missing": [],
        "notes": [],
        "answers": answers_of(comparisons),
        "scores": [score(arm, 0.9) for arm in ARMS] + [score("standard", 0.4, "pgd", 0.03)],
        "comparisons": comparisons,
        "costs": costs,
        "curves": [],
        "searches": [{**search, "tried": [[{"adv_epsilon": 0.1}, 0.9], [{"adv_epsilon": 0.3}, 0.85]]}],
    }


def text_of(page):
    shown = re.sub(r"<svg.*?</svg>|<style>.*?</style>", "", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", shown)).split())


def test_the_page_says_what_the_record_does(results):
    text = text_of(study_page(results))
    for shown in (
        "3 arms, 1 task, 3 seeds (0, 1, 2): 9 trainings",
        "better than standard on 1 of 1 task, worse on 0, undecided on 0.",
        "better than standard at equal cost on 0 of 1 task, worse on 0, undecided on 1: 7 more seeds would decide it.",
        "90.0 % 88.0–92.0",
        "1.00 × 2.00 × 1.98 ×",
        "better +2.1 +1.1 to +3.1 p = 0.040",
        "7 more seeds",
        "adv_epsilon 0.1 of adv_epsilon 0.1 (90.0 %); adv_epsilon 0.3 (85.0 %)",
        "pgd, ε 0.03",
    ):
        assert shown in text
    assert "Not finished" not in text


def test_many_arms_are_rows_and_the_title_is_short(results):
    arms = [f"arm {number}" for number in range(6)]
    results["arms"] = ARMS + arms
    results["scores"] += [score(arm, 0.5 + 0.01 * number) for number, arm in enumerate(arms)]
    page = study_page(results)
    assert "<h1><bdi>9 arms on 1 task</bdi></h1>" in page
    table = text_of(page[page.index("<table") : page.index("</table>")])
    assert table.startswith("sst2 arm clean accuracy pgd, ε 0.03 accuracy cost ● standard 90.0 % 88.0–92.0")
    assert table.index("arm 4 54.0 %") < table.index("arm 5 55.0 %")


def test_scores_over_steps_are_drawn_where_trainings_were_measured_on_the_way(results):
    assert "Over the steps" not in study_page(results)
    curve = {"task": "sst2", "metric": "accuracy", "num_seeds": 3, "steps": [10, 20, 40], "values": [0.5, 0.7, 0.8]}
    results["curves"] = [{**curve, "arm": "standard"}, {**curve, "arm": "standard_plus", "values": [0.6, 0.6, 0.6]}]
    page = study_page(results)
    assert '<h2 id="curves-title">Over the steps of training</h2>' in page
    section = page[page.index('id="curves"') : page.index('id="searches"')]
    titles = re.findall(r"<title>(.*?)</title>", section)
    assert titles[:3] == [
        f"standard, step {n}: {v} %, mean of 3" for n, v in ((10, "50.0"), (20, "70.0"), (40, "80.0"))
    ]
    assert len(titles) == 6


def test_names_cannot_run_as_code_and_nothing_is_loaded(results):
    page = study_page(results)
    assert "<b>alum" not in page
    assert "<script" not in page
    assert "default-src 'none'" in html.unescape(page)
    assert not re.search(r"""(src|href)=["']https?:""", page)


def test_missing_trainings_are_named(results):
    results["missing"] = [f"sst2, alum, seed {n}" for n in range(10)]
    text = text_of(study_page(results))
    assert "10 of the study’s trainings are missing" in text
    assert "sst2, alum, seed 7 …" in text


def test_the_forest_has_a_dot_at_each_difference():
    rows = [
        ForestRow("a", [Point(2.0, 1.0, 3.0, "first"), None]),
        ForestRow("b", [None, Point(-4.0, -5.0, 1.0, "last")]),
    ]
    svg = ET.fromstring(forest_plot(rows, "points", "name"))
    titles = [element.text for element in svg.iter("title")]
    assert titles == ["first", "last"]
    texts = " ".join(element.text or "" for element in svg.iter("text"))
    assert "points" in texts
    assert {"a", "b"} <= set(texts.split())


def test_differences_lie_left_and_right_of_none():
    """Of the SVG's coordinates: the line at 0 is half way, and dots stand as their values do."""
    rows = [ForestRow("a", [Point(-2.0, -3.0, -1.0, "left")]), ForestRow("b", [Point(3.0, 3.0, 3.0, "right")])]
    svg = ET.fromstring(forest_plot(rows, "points", "name"))
    places = {}
    for element in svg.iter("g"):
        title, use = element.find("title"), element.find(".//use")
        if title is not None and use is not None:
            places[title.text] = float(use.get("x"))
    width = float(svg.get("viewBox").split()[2])
    assert (places["left"] - width / 2) / (places["right"] - width / 2) == pytest.approx(-2 / 3, rel=0.02)


def test_the_terminal_has_a_row_for_each_arm_and_the_sentences(results):
    file = io.StringIO()
    show_study(results, Console(file=file, width=100))
    text = file.getvalue()
    assert re.search(r"<b>alum</b>.*90.0 \(88–92\).*\+2.1 \(p 0.040\).*−0.4 \(p 0.040\).*2.00 ×", text)
    assert "7 more seeds would decide it" in " ".join(text.split())
