import io
import re

import pytest
from rich.console import Console

from alum.reports.evaluation.terminal import show_evaluation
from evaluation_results import evaluation_results, example
from terminal_tables import table_cells


def shown(results, width=80):
    console = Console(file=io.StringIO(), width=width)
    show_evaluation(results, console)
    return console.file.getvalue()


def cells(text):
    """The lines of all tables, as lists of what stands in them, without empty cells in front and at the end."""
    rows = table_cells(text)
    filled = [[index for index, cell in enumerate(row) if cell] for row in rows]
    return [row[places[0] : places[-1] + 1] for row, places in zip(rows, filled, strict=True) if places]


def renamed(results, old, new):
    for part in ("scores", "comparisons", "calibration", "checks", "examples"):
        for entry in results[part]:
            entry.update({key: new for key in ("model", "baseline") if entry.get(key) == old})
    for model in results["models"]:
        model.update(name=new if model["name"] == old else model["name"])
    return results


def test_values_stand_beside_their_intervals():
    rows = cells(shown(evaluation_results()))
    assert ["suite", "under", "rows", "standard", "alum", "alum_one_pass"] in rows
    # 0.905 of 200 rows: half of the interval is 1.96 √(0.905 · 0.095 / 200) = 0.0406
    assert ["sst2", "clean", "200", "90.5 (86–95)", "91.2 (87–95)", "91.8 (88–96)"] in rows


def test_the_title_names_the_metric_or_that_of_each_suite():
    results = evaluation_results()
    assert "Scores: accuracy; rates in percent" in shown(results)
    assert "Groups of hans: accuracy; rates in percent" in shown(results)
    results["suites"][1]["main_metric"] = "f1"
    text = " ".join(shown(results).split())
    assert "Scores: accuracy of sst2, F1 of cad_imdb, accuracy of hans; rates in percent" in text


def test_exact_match_stands_beside_f1():
    results = evaluation_results()
    results["suites"] = [{**results["suites"][0], "main_metric": "f1"}]
    score = {"model": "alum", "suite": "sst2", "group": None, "num_rows": 200, "low": None, "high": None}
    clean, attacked = ({**score, "attack": attack, "epsilon": None} for attack in (None, "typing"))
    level = {"low": None, "high": None}
    results["scores"] = [
        {**clean, "metric": "f1", "value": 0.7, "clean": None},
        {**clean, "metric": "exact_match", "value": 0.6, "clean": None},
        {**attacked, "metric": "robust_f1", "value": 0.5, "num_rows": 8, "clean": {**level, "value": 0.75}},
        {**attacked, "metric": "robust_exact_match", "value": 0.4, "num_rows": 8, "clean": {**level, "value": 0.625}},
    ]
    assert [
        row for row in cells(shown(results, width=120)) if row[-2] in ("70.0", "60.0", "75.0", "62.5", "50.0", "40.0")
    ] == [
        ["sst2", "clean, F1", "200", "–", "70.0", "–"],
        ["clean, exact match", "200", "–", "60.0", "–"],
        ["same rows, clean, F1", "8", "–", "75.0", "–"],
        ["same rows, clean, exact match", "8", "–", "62.5", "–"],
        ["typing, F1", "8", "–", "50.0", "–"],
        ["typing, exact match", "8", "–", "40.0", "–"],
    ]


def test_groups_have_rows_of_their_own():
    rows = cells(shown(evaluation_results(), width=100))
    assert ["constituent", "clean", "100", "50.0 (40–60)", "50.0 (40–60)", "50.0 (40–60)"] in rows


def test_comparisons_are_with_the_first_model():
    text = shown(evaluation_results())
    assert "alum minus standard, rates in percent, on the same rows" in text
    assert ["hans", "clean", "+4.5", "+1.0 to +8.0", "0.035"] in cells(text)  # 0.628 - 0.583
    note = "p: McNemar's mid-p test, adjusted by Holm for all 60 comparisons, the radii of a curve as one."
    assert note in " ".join(text.split())


def test_another_metric_than_the_main_one_is_named():
    results = evaluation_results()
    entry = next(entry for entry in results["comparisons"] if entry["attack"] == "typing")
    results["comparisons"] = [entry, {**entry, "metric": "robust_exact_match"}]
    text = shown(results)
    assert text.count("exact match") == 1
    assert "typing, exact match" in text


def test_rows_of_an_attack_on_few_have_their_clean_score_above():
    results = evaluation_results()
    for score in results["scores"]:
        if score["suite"] == "hans" and score["attack"] in ("pgd", "hotflip") and score["clean"]:
            score |= {"num_rows": 60, "clean": {"value": 0.45, "low": 0.33, "high": 0.58}}
    rows = cells(shown(results, width=100))
    place = rows.index(["same rows, clean", "60", *["45.0 (33–58)"] * 3])
    assert rows[place - 1][:2] == ["typing", "300"]
    assert rows[place + 1][:2] == ["pgd, ε 0.01", "60"]
    assert sum(row[0] == "same rows, clean" for row in rows) == 1 + 3  # once, and once in each group


def test_checks_say_what_failed_and_with_which_figures():
    rows = cells(shown(evaluation_results(), width=120))
    assert ["standard on sst2", "3 of 3 parts could be told", "passed"] in rows
    (failed,) = [check for check in evaluation_results()["checks"] if not check["passed"]]
    assert sum(row[0].startswith("·") for row in rows) == len(failed["parts"])
    assert ["alum_one_pass on hans", "", "FAILED"] in rows
    assert ["· stronger than noise", "58.0 % under the attack, 57.0 % under noise", "FAILED"] in rows
    assert ["standard on cad_imdb", "2 of 3 parts could be told", "passed"] in rows


def test_calibration_is_shown_clean_and_under_the_strongest_attack():
    results = evaluation_results()
    results["calibration"][1].update(temperature=None, after_temperature=None)
    rows = cells(shown(results, width=100))
    place = rows.index(["under", "model", "T", "NLL", "after", "ECE", "after"])
    # Wrong are 9.5 %: 3 · .095 + .12, after the temperature + .06.
    assert rows[place + 1][:5] == ["sst2, clean", "standard", "1.6", "0.405", "0.345"]
    typing = [row for row in rows[place:] if row[0] == "sst2, typing"]
    assert typing == []
    assert [row[0] for row in rows[place:] if row[1:2] == ["standard"] and row[0].startswith("sst2")] == [
        "sst2, clean",
        "sst2, hotflip",
    ]


def test_log_likelihoods_are_counted_apart():
    results = evaluation_results()
    entry = next(entry for entry in results["comparisons"] if entry["attack"] == "typing")
    results["comparisons"] = [entry, {**entry, "metric": "robust_log_likelihood", "difference": -0.25}]
    text = shown(results)
    assert "−0.250" in text
    note = "adjusted by Holm for all 1 comparisons, the radii of a curve as one, those of the 1 log likelihoods apart."
    assert note in " ".join(text.split())


def test_attacks_on_text_have_their_cost():
    assert ["sst2, hotflip", "standard", "181", "85.0 (80–90)", "11.0 (10–13)", "38.2"] in cells(
        shown(evaluation_results())
    )


def test_nothing_is_wider_than_the_terminal():
    results = renamed(evaluation_results(), "alum", "alum-epsilon-0.05-alpha-10-seed-4711-continued")
    for width in (80, 60):
        assert max(map(len, shown(results, width).splitlines())) <= width


def test_many_models_go_on_in_further_tables():
    results = evaluation_results()
    for number in range(5):
        name = f"seed-{number}"
        results["models"].append({"name": name, "path": name, "num_parameters": 1})
        results["scores"] += [{**score, "model": name} for score in results["scores"] if score["model"] == "alum"]
    text = shown(results)
    assert max(map(len, text.splitlines())) <= 80
    found = [row for row in cells(text) if row[:2] in (["sst2", "clean"], ["suite", "under"])]
    names = [name for row in found if row[0] == "suite" for name in row[2:] if name != "difference"]
    assert [name for name in names if name.startswith("seed")] == [f"seed-{number}" for number in range(5)]
    assert sum(cell == "91.2 (87–95)" for row in found for cell in row) == 6


def test_without_comparisons_checks_and_attacks_there_are_scores_alone():
    results = evaluation_results()
    results.update(comparisons=[], calibration=[], checks=[], examples=[], attacks=[], gains=[])
    results["scores"] = [score for score in results["scores"] if score["attack"] is None and score["group"] is None]
    text = shown(results)
    assert len(re.findall(r"^-+  ", text, re.MULTILINE)) == 1
    assert "Holm" not in text


def test_of_an_empty_record_nothing_is_shown():
    results = evaluation_results()
    results.update({name: [] for name in results if isinstance(results[name], list)})
    assert shown(results) == ""


def test_a_metric_that_is_no_rate_and_a_score_without_a_value():
    results = evaluation_results()
    results["suites"] = [{**results["suites"][0], "main_metric": "matthews_correlation"}]
    score = {"model": "alum", "suite": "sst2", "epsilon": None, "group": None, "num_rows": 200}
    results["scores"] = [
        {**score, "attack": None, "metric": "matthews_correlation", "value": -0.05, "low": -0.1, "high": 0.25},
        {**score, "attack": "hotflip", "metric": "changed_word_share", "value": None, "low": None, "high": None},
    ]
    rows = cells(shown(results))
    assert ["sst2", "clean", "200", "–", "−0.050 (−0.10 to 0.25)", "–"] in rows
    assert ["sst2, hotflip", "alum", "–", "–", "–", "–"] in rows


@pytest.mark.parametrize("name", ["[red]alum[/]", "\x1b[31malum", "\u202emula", "a\nb"])
def test_no_name_is_obeyed(name):
    text = shown(renamed(evaluation_results(), "alum", name))
    assert not {"\x1b", "\u202e"} & set(text)
    assert example()["label"] not in text  # rows are for the page


def test_gains_are_shown_by_method():
    lines = shown(evaluation_results()).splitlines()
    for method, text in (("alum_released", "0.94"), ("alum_paper", "below rounding")):
        (line,) = [line for line in lines if method in line]
        assert text in line
