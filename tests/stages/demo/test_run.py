import re
import subprocess
import sys

import pytest

from terminal_tables import table_cells
from tiny_stages import record

CHANCE = 1 / 4  # four packages are told apart


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


def printed(place):
    """What ``alum demo --fast`` prints."""
    command = "import sys; from alum.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", command, "demo", "--fast"],
        cwd=place,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def demo(place):
    """What the demo prints, and its results."""
    return printed(place), record(place / "demo-run" / "results.json")


pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_results_have_all_parts(demo):
    _, results = demo
    assert {"pretrain", "continual", "finetune", "evaluate", "total_seconds", "environment"} <= set(results)
    models = [model["name"] for model in results["evaluate"]["models"]]
    assert set(results["finetune"]) == set(models) == {"standard", "alum_one_pass"}
    assert {score["attack"] for score in results["evaluate"]["scores"]} == {None, "typing", "pgd"}
    assert results["evaluate"]["checks"]


def test_both_losses_fall(demo):
    _, results = demo
    before, after = (
        {stage: results[stage][name]["validation"]["loss"] for stage in ("pretrain", "continual")}
        for name in ("metrics_before", "metrics")
    )
    assert all(after[stage] < before[stage] for stage in before)
    # The second goes on with the model of the first, on other text.
    assert before["continual"] < before["pretrain"] - 1


def test_the_classifiers_have_learnt(demo):
    _, results = demo
    clean = [
        score for score in results["evaluate"]["scores"] if (score["attack"], score["metric"]) == (None, "accuracy")
    ]
    assert len(clean) == 2
    assert all(score["value"] > CHANCE + 0.1 for score in clean)


def test_the_gain_tells_adversaries_from_noise(demo):
    _, results = demo
    gain = {row["method"]: row["gain"] for row in results["evaluate"]["gains"] if row["model"] == "standard"}
    assert gain["alum"] >= 50
    assert gain["alum_one_pass"] >= 50
    assert gain["alum_released"] < 2


def test_no_gain_is_printed_from_rounding(demo):
    shown, results = demo
    rounding = [row for row in results["evaluate"]["gains"] if row["divergence"] < 1e-9]
    assert shown.count("below rounding (") == len(rounding)


def test_the_gain_of_each_training_is_recorded(demo):
    _, results = demo
    for result in (results["pretrain"], results["continual"], results["finetune"]["alum_one_pass"]):
        assert result["first_gain"]["step"] < result["last_gain"]["step"] == result["num_steps"]
        assert result["last_gain"]["gain"] > 1.5
    assert results["finetune"]["standard"]["last_gain"] is None


def test_the_time_is_printed(demo):
    shown, results = demo
    printed = re.search(r"(\d+) seconds in all", shown)
    assert printed
    assert int(printed[1]) == round(results["total_seconds"])


def test_a_demo_that_is_finished_is_only_shown_again(demo, place):
    """The same command trains and measures nothing anew."""
    made = {path: path.stat().st_mtime_ns for path in place.rglob("*.safetensors")}
    results = (place / "demo-run" / "results.json").read_bytes()
    again = printed(place)
    assert (place / "demo-run" / "results.json").read_bytes() == results
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*.safetensors")} == made
    assert re.match(r"The demo in demo-run was finished before, with alum \S+: nothing is run again", again)
    assert "--overwrite_output_dir" in again
    rows = [table_cells(text) for text in (demo[0], again)]
    assert len(rows[0]) > 4
    assert rows[0] == rows[1]
