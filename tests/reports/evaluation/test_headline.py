from alum.reports.evaluation.headline import answer, strongest
from alum.reports.evaluation.scores import Scores
from evaluation_results import evaluation_results


def said(model, **changes):
    results = {**evaluation_results(), **changes}
    return answer(results, Scores(results), model)


def of_suites(*names, results=None):
    results = results or evaluation_results()
    parts = {
        part: [entry for entry in results[part] if entry["suite"] in names]
        for part in ("scores", "comparisons", "checks")
    }
    return {**parts, "suites": [suite for suite in results["suites"] if suite["name"] in names]}


def test_the_first_model_is_compared_with_nothing():
    # (0.905 + 0.792 + 0.583) / 3 = 0.76, of which hotflip leaves 0.15; the halves of the intervals are .0406, .0563 and
    # .0558, √Σ / 3 = .0297; and .0475, .0448 and .0320, √Σ / 3 = .0242.
    assert said("standard") == (
        "Accuracy is 76.0 % (73–79) without an attack and 11.4 % (9–14) under hotflip, on the same 700 rows, means of "
        "3 suites."
    )


def test_clean_and_attacked_are_of_the_same_rows():
    results = evaluation_results()
    for score in results["scores"]:
        if (score["suite"], score["attack"]) == ("sst2", "hotflip") and score["clean"]:
            score |= {"num_rows": 12, "clean": {"value": 0.75, "low": 0.468, "high": 0.911}}
    assert said("standard", **of_suites("sst2", results=results)) == (
        "Accuracy on sst2 is 75.0 % (47–91) without an attack and 13.6 % (9–18) under hotflip, on the same 12 rows."
    )


def test_others_are_compared_with_it():
    found = evaluation_results()["comparisons"]
    strong = [entry for entry in found if entry["epsilon"] == 0.03 and entry["suite"] != "hans"]
    text = said("alum", comparisons=strong)  # of the two models that are compared, each has two suites
    assert text.endswith("; better than standard in 2 of 2 comparisons and worse in 0 (p < 0.05).")


def test_differences_that_may_be_chance_are_not_counted():
    found = evaluation_results()["comparisons"]
    entry = next(entry for entry in found if entry["model"] == "alum")
    comparisons = [
        {**entry, "difference": 0.1, "p_adjusted": 0.049},
        {**entry, "difference": 0.1, "p_adjusted": 0.051},
        {**entry, "difference": -0.1, "p_adjusted": 0.01},
        {**entry, "difference": -0.1, "p_adjusted": None},
    ]
    assert "better than standard in 1 of 4 comparisons and worse in 1 " in said("alum", comparisons=comparisons)


def test_a_failed_check_is_not_kept_quiet():
    assert said("alum_one_pass").endswith("failed on hans: its robust accuracy there may be too high.")
    assert "masking" not in said("alum")


def test_logits_that_would_mislead_other_attacks_are_no_reason_to_doubt_these():
    checks = evaluation_results()["checks"]
    of_scale = {"name": "cross_entropy_has_gradients", "passed": False, "expected": "", "found": "", "figures": {}}
    for check in checks:
        if check["model"] == "alum" and check["suite"] == "sst2":
            check.update(passed=False, parts=[{**of_scale, "name": "converged", "passed": True}, of_scale])
    assert said("alum", checks=checks).endswith(
        "Its logits on sst2 are so large that attacks by the cross-entropy find nothing; those here do not depend on "
        "their scale."
    )
    assert "may be too high" not in said("alum", checks=checks)


def test_likelihoods_are_not_counted_among_comparisons():
    entries = evaluation_results()["comparisons"]
    likelihoods = [{**entry, "metric": "log_likelihood", "p_adjusted": 0.001} for entry in entries]
    assert said("alum", comparisons=[*entries, *likelihoods]) == said("alum")


def test_a_single_suite_is_named():
    assert (
        said("standard", **of_suites("sst2"))
        == "Accuracy on sst2 is 90.5 % (86–95) without an attack and 13.6 % (9–18) under hotflip, on the same 200 rows."
    )


def test_suites_of_different_metrics_are_not_averaged():
    results = evaluation_results()
    parts = of_suites("sst2", "hans", results=results)
    parts["suites"][1]["main_metric"] = "f1"
    for score in parts["scores"]:
        if score["suite"] == "hans":
            score["metric"] = score["metric"].replace("accuracy", "f1")
    assert said("standard", **parts) == (
        "Accuracy on sst2 is 90.5 % (86–95) without an attack and 13.6 % (9–18) under hotflip, on the same 200 rows; "
        "F1 on hans is 58.3 % (53–64) without an attack and 8.7 % (6–12) under hotflip, on the same 300 rows."
    )


def test_where_suites_fall_to_different_attacks_these_are_named():
    results = evaluation_results()
    for score in results["scores"]:
        if (score["suite"], score["attack"], score["metric"]) == ("sst2", "deepwordbug", "robust_accuracy"):
            score |= {"value": 0.0, "low": 0.0, "high": 0.02}
    said = answer(results, Scores(results), "standard")
    assert (
        "6.9 % (5–9) under the strongest attack on each (deepwordbug and hotflip)" in said
    )  # (0 + 0.1188 + 0.08745) / 3


def test_attacks_on_embeddings_and_noise_stand_in_where_there_are_no_others():
    results = evaluation_results()
    for left, attack, epsilon in ((("typing", "pgd"), "pgd", 0.03), (("typing",), "typing", None), ((), None, None)):
        scores = [score for score in results["scores"] if score["attack"] in (None, *left)]
        found = strongest(results, Scores({**results, "scores": scores}), "alum", "sst2")
        assert (found and (found["attack"], found["epsilon"])) == ((attack, epsilon) if attack else None)


def test_without_scores_nothing_is_claimed():
    assert said("alum", scores=[], comparisons=[]) == "Nothing was measured."


def test_clean_and_attacked_scores_are_of_the_same_suites():
    results = evaluation_results()
    scores = [entry for entry in results["scores"] if entry["suite"] == "sst2" or entry["attack"] is None]
    assert said("standard", scores=scores) == said("standard", **of_suites("sst2"))


def test_no_headline_rests_on_an_attack_that_may_change_the_label():
    results = evaluation_results()
    under = {score["attack"] for score in results["scores"] if score["suite"] == "sst2"}
    assert {"deepwordbug", "hotflip"} <= under
    marked = [{**attack, "may_change_label": attack["name"] == "hotflip"} for attack in results["attacks"]]
    for score in results["scores"]:
        if score["attack"] == "hotflip":
            score["value"] = 0.001
    before = strongest(results, Scores(results), "alum", "sst2")
    after = strongest({**results, "attacks": marked}, Scores(results), "alum", "sst2")
    assert before["attack"] == "hotflip"
    assert after["attack"] == "deepwordbug"
