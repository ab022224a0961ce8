from alum.reports.evaluation.figures import figures
from alum.reports.evaluation.scores import Scores
from evaluation_results import EPSILONS, evaluation_results


def drawn(results):
    return figures(results, Scores(results))


def test_each_suite_has_a_curve_which_begins_with_the_clean_score():
    curves = drawn(evaluation_results())["curves"]
    assert [figure["title"] for figure in curves] == ["sst2 under pgd", "cad_imdb under pgd", "hans under pgd"]
    rows = curves[0]["rows"]
    assert [name for name, _ in rows] == [f"{epsilon:g}" for epsilon in (0, *EPSILONS)]
    assert rows[0][1][0] == ("90.5 %", "86.4–94.6")
    assert curves[0]["svg"].count("<title>") == 3 * 7


def test_of_several_radii_a_suites_chart_has_the_middle_one():
    rows = drawn(evaluation_results())["suites"][0]["rows"]
    assert [name for name, _ in rows] == ["clean", "typing", "pgd, ε 0.03", "deepwordbug", "hotflip"]


def test_groups_have_a_chart_for_each_measure():
    groups = drawn(evaluation_results())["groups"]
    assert [figure["title"] for figure in groups] == [
        f"hans, {name}" for name in ("clean", "typing", "deepwordbug", "hotflip")
    ]
    assert [name for name, _ in groups[0]["rows"]] == ["lexical_overlap", "subsequence", "constituent"]


def test_a_single_radius_is_no_curve():
    results = evaluation_results()
    results["scores"] = [score for score in results["scores"] if score["epsilon"] in (None, 0.05)]
    found = drawn(results)
    assert found["curves"] == []
    assert "pgd, ε 0.05" in [name for name, _ in found["suites"][0]["rows"]]


def test_a_model_that_was_not_measured_leaves_a_gap():
    results = evaluation_results()
    results["scores"] = [score for score in results["scores"] if score["model"] != "alum"]
    rows = drawn(results)["suites"][0]["rows"]
    assert [cells[1] for _, cells in rows] == [("–", "")] * 5
