"""What is measured beside TextAttack: the figures, by hand, and our side of it on a tiny model."""

import ast
import json
import sys

import pytest

from benchmarks.against_textattack import compare, ours
from places import ROOT
from tiny_stages import save_untrained

FOLDER = ROOT / "benchmarks" / "against_textattack"

SENTENCES = ["a fine film", "dull , dull , dull", "so it goes"]


def result(outcomes, perturbed, seconds=1.0):
    rows = [
        {"outcome": outcome, "perturbed": text, "num_queries": number}
        for number, (outcome, text) in enumerate(zip(outcomes, perturbed, strict=True), 1)
    ]
    versions = {"python": "3", "torch": "2"}
    times = {"seconds": seconds, "processor_seconds": 2 * seconds, "load_average": 0.0, "num_texts_run": 6}
    return {**times, "versions": versions, "rows": rows}


TWO_SEEDS = [
    result(("succeeded", "failed", "skipped"), ("a fime film", "dul , dll , dull", "so it goes"), seconds=2.0),
    result(("succeeded", "succeeded", "skipped"), ("a fin fim", "dull , dul , dull", "so it goes"), seconds=4.0),
]


def test_changed_words_are_those_between_spaces():
    perturbed = [{"perturbed": text} for text in ("a fime film", "dull , dul , dul", "so it goes")]
    assert compare.share_changed(SENTENCES, perturbed) == pytest.approx((1 / 3 + 2 / 5 + 0) / 3)


def test_rates_are_over_attacked_sentences_and_all_seeds():
    figures = compare.attack_figures(SENTENCES, TWO_SEEDS)
    assert figures["num_attacked"] == 2
    assert figures["success_rate"] == 3 / 4
    assert figures["success_rate_by_seed"] == [1 / 2, 1]
    assert figures["share_changed"] == pytest.approx((1 / 3 + 2 / 3 + 1 / 5) / 3)
    assert figures["edit_distance"] == pytest.approx((1 + 2 + 1) / 3)
    assert figures["queries"] == pytest.approx((1 + 2 + 1 + 2) / 4)


def test_times_are_medians_and_multiples_of_ours():
    slower = [{**each, "seconds": 5 * each["seconds"]} for each in TWO_SEEDS]
    figures = compare.times(slower, TWO_SEEDS)
    assert figures["seconds"] == pytest.approx(15.0)
    assert (figures["ratio"], figures["processor_ratio"]) == (pytest.approx(5.0), pytest.approx(1.0))


def test_success_is_compared_over_the_sentences_that_were_right():
    theirs = [result(("failed", "failed", "skipped"), SENTENCES)] * 2
    found = compare.success_differences({"alum": TWO_SEEDS, "TextAttack": theirs})
    assert found["TextAttack"]["difference"] == pytest.approx(3 / 4)


def test_accuracy_with_typing_errors():
    rows = [{"sentence": sentence, "label": 1} for sentence in SENTENCES]
    noisy = [
        {"perturbed": text, "outputs": [0.0, sign]} for text, sign in zip(SENTENCES, (1.0, -1.0, 1.0), strict=True)
    ]
    figures = compare.noise_figures(rows, [{"rows": noisy}])
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert figures["edit_distance"] == 0


@pytest.mark.parametrize("attack", ["deepwordbug", "noise"])
def test_our_side_runs(attack, tmp_path, monkeypatch):
    model = save_untrained(tmp_path / "model")
    rows = [{"sentence": sentence, "label": label} for sentence in SENTENCES for label in (0, 1)]
    (tmp_path / "sentences.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    arguments = {
        "attack": attack,
        "model": model,
        "sentences": tmp_path / "sentences.jsonl",
        "output": tmp_path / "out",
    }
    flags = [text for name, value in arguments.items() for text in (f"--{name}", str(value))]
    monkeypatch.setattr(sys, "argv", ["ours.py", *flags, "--threads", "1", "--max_length_tokens", "16"])
    ours.main()
    found = json.loads((tmp_path / "out").read_text(encoding="utf-8"))
    assert len(found["rows"]) == len(rows)
    assert found["seconds"] > 0
    if attack == "deepwordbug":  # of the two labels of a sentence, one is not the model's answer
        assert sum(row["outcome"] == "skipped" for row in found["rows"]) == len(SENTENCES)


def test_their_side_has_nothing_of_alum():
    tree = ast.parse((FOLDER / "theirs.py").read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    assert "textattack" in names
    assert not [name for name in names if name.split(".")[0] in ("alum", "benchmarks")]
