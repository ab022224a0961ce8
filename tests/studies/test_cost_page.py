from studies.cost_page import kept_shares, presets


def run(arm, cost, pgd):
    return {"arm": arm, "seed": 0, "train_flops": cost, "accuracy": 0.8, "pgd": pgd}


def test_an_arm_is_a_preset_where_it_is_cheap_and_keeps_most_of_the_gain():
    runs = [run("standard", 100, 0.4), run("alum_one_pass", 200, 0.6), run("a", 125, 0.57), run("b", 125, 0.5)]
    assert kept_shares({"arms": runs})["a"] == (0.57 - 0.4) / (0.6 - 0.4)  # 85 %, and 50 % of b
    assert presets({"arms": runs}).endswith("one-pass ALUM adds: a.")
    without = [one for one in runs if one["arm"] != "a"]
    assert "No arm" in presets({"arms": without})
    assert "`b` with 50 %" in presets({"arms": without})
    dear = [run("a", 130, 0.6) if one["arm"] == "a" else one for one in runs]
    assert "`b` with 50 %" in presets({"arms": dear})


def test_nothing_is_said_of_shares_before_both_ends_are_measured():
    assert kept_shares({"arms": [run("standard", 1, 0.5)]}) == {}
    assert presets({"arms": [run("standard", 1, 0.5)]}).startswith("No arm")
