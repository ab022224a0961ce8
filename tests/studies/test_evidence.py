"""Arms side by side: their plan, their ledger, controls that match what they control for, scores beside the model's."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from scipy.stats import ttest_1samp, ttest_rel
from transformers import GPT2Config, GPT2LMHeadModel

from alum.core.errors import InputError
from alum.core.methods import METHODS
from benchmarks.pages import filled
from places import ROOT
from studies.evidence import ledger
from studies.evidence.arms import TASK_ARMS, TEXT_ARMS, Arm
from studies.evidence.jobs import jobs_of
from studies.evidence.ledger import Key
from studies.evidence.page import parts
from studies.evidence.reading.figures import TEXT_FIGURES
from studies.evidence.reading.findings import Findings, difference_of, findings_of
from studies.evidence.reading.headline import ATTACKED, CLEAN, STUDY, draw_headline, percentages
from studies.evidence.reading.questions import answers, answers_table, told_apart
from studies.evidence.scarce_text import ScarceText, evaluated, first_words
from studies.evidence.training import OutOfTimeError

TINY = ScarceText(1, 16, 50, 0, 8, 4, warmup_steps=2, max_epochs=3, patience_epochs=1)


@pytest.fixture
def sequences(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    counts = {"training": 32, "validation": 8, "test": 8, "other": 8}
    file = tmp_path / "text.safetensors"
    save_file({name: random.integers(0, 50, (n, 8)).astype(np.int16) for name, n in counts.items()}, file)
    return file


def test_each_arm_is_a_row_of_the_table_and_follows_what_it_is_to_match() -> None:
    for arms in (TEXT_ARMS, TASK_ARMS):
        names = [arm.name for arm in arms]
        assert len(set(names)) == len(names)
        assert {arm.method for arm in arms} <= set(METHODS)
        assert all(names.index(arm.reference) < place for place, arm in enumerate(arms) if arm.reference)


def test_plan_is_studies_and_seeds_in_their_order() -> None:
    jobs = jobs_of("text:2x128:3,snli:full:0-1")
    assert [(job.study, job.seed) for job in jobs] == (
        [("text:2x128", 3)] * len(TEXT_ARMS) + [("snli:full", seed) for seed in (0, 1) for _ in TASK_ARMS]
    )
    noise = next(job for job in jobs if job.arm.divergence_of)
    assert noise.reference == Key("text:2x128", "virtual", 3)
    with pytest.raises(InputError, match="study"):
        jobs_of("texts:2x128:0")
    with pytest.raises(InputError, match="its seeds"):
        jobs_of("text:2x128")


def test_ledger_passes_over_a_line_that_was_cut_off(tmp_path: Path) -> None:
    file, record = tmp_path / "ledger.jsonl", {"study": "text", "arm": "standard", "seed": 0, "loss": 1.5}
    ledger.append(file, record)
    with file.open("a") as torn:
        torn.write('{"study": "text", "arm": "R-')
    assert ledger.known([file, tmp_path / "none.jsonl"]) == {Key("text", "standard", 0): record}
    ledger.append(file, {**record, "seed": 1})
    assert list(ledger.known([file])) == [Key("text", "standard", 0), Key("text", "standard", 1)]
    with pytest.raises(ValueError, match="JSON"):
        ledger.append(file, {"loss": math.nan})


def test_words_are_taken_from_documents_until_there_are_enough() -> None:
    assert list(first_words(["a b c", "d e", "f"], 4)) == ["a b c", "d"]


def test_loss_of_evaluated_tokens_is_the_model_s_own() -> None:
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_positions=8, n_embd=16, n_layer=1, n_head=1)).eval()
    rows = torch.randint(0, 50, (100, 8))
    found = evaluated(model, rows, autocast=False)
    with torch.no_grad():
        outputs = model(input_ids=rows, labels=rows)
    assert found["loss"] == pytest.approx(float(outputs.loss), rel=1e-5)
    is_right = outputs.logits[:, :-1].argmax(-1) == rows[:, 1:]
    assert found["accuracy"] == pytest.approx(float(is_right.float().mean()))


def test_record_is_of_the_epoch_of_the_lowest_loss(sequences: Path) -> None:
    record = TINY.run(Arm("standard", "standard"), 0, sequences, None, math.inf)
    assert record["validation"]["loss"] == min(record["validation_losses"])
    assert record["validation_losses"][record["best_epoch"] - 1] == min(record["validation_losses"])
    assert record["mean_divergence"] == record["median_radius"] == 0
    assert record["cost_in_standard_steps"] == 8 * len(record["validation_losses"])


def test_control_has_the_divergence_or_the_radius_of_its_reference(sequences: Path) -> None:
    longer = ScarceText(1, 16, 50, 0, 8, 4, warmup_steps=2, max_epochs=12, patience_epochs=12)
    target = {"mean_divergence": 3e-3, "median_radius": 0.7}
    noise = longer.run(Arm("noise", "noise", divergence_of="virtual"), 0, sequences, target, math.inf)
    assert noise["median_radius"] > longer.epsilon
    last = longer.run(Arm("noise", "noise", radius_of="noise"), 0, sequences, target, math.inf)
    assert last["median_radius"] == pytest.approx(0.7)


def test_adversary_that_starts_later_costs_nothing_before(sequences: Path) -> None:
    arm = Arm("R-Drop, after 2 epochs", "r_drop", start_epochs=2)
    record = TINY.run(arm, 0, sequences, None, math.inf)
    first = TINY.run(Arm("standard", "standard"), 0, sequences, None, math.inf)
    num_epochs = len(record["validation_losses"])
    assert num_epochs > 2
    assert record["validation_losses"][:2] == first["validation_losses"][:2]
    assert record["validation_losses"][2] != first["validation_losses"][2]
    assert record["cost_in_standard_steps"] == 8 * 2 + 8 * 2 * (num_epochs - 2)  # R-Drop has two passes


def test_training_stops_at_the_end_of_its_time(sequences: Path) -> None:
    with pytest.raises(OutOfTimeError, match="after 0 steps"):
        TINY.run(Arm("standard", "standard"), 0, sequences, None, deadline=0.0)


# -- the page ----------------------------------------------------------------------------------------------------------


def test_committed_page_is_that_of_the_committed_ledger() -> None:
    folder = ROOT / "docs" / "results"
    text = (folder / "evidence.md").read_text(encoding="utf-8")
    assert filled(text, parts(findings_of(folder / "evidence.jsonl"))) == text


def test_difference_is_paired_by_seed_with_student_s_interval() -> None:
    def record(loss: float) -> dict[str, Any]:
        return {"test": {"loss": loss}}

    losses = {"standard": {0: 5.0, 1: 6.0, 2: 5.5}, "R-Drop": {0: 4.8, 1: 5.7, 3: 1.0}}
    found = Findings("text:2x128", {arm: {s: record(x) for s, x in of.items()} for arm, of in losses.items()})
    difference = found.difference("R-Drop", TEXT_FIGURES[1])
    assert difference is not None
    interval = ttest_1samp([-0.2, -0.3], 0.0).confidence_interval(0.95)
    np.testing.assert_allclose(difference, (-0.25, interval.low, interval.high))
    assert found.difference("standard", TEXT_FIGURES[1]) is None


def text_record(loss: float) -> dict[str, Any]:
    return {"test": {"loss": loss, "expected_calibration_error": 0.1}, "other": {"loss": 7.0}}


def text_findings(losses: Mapping[str, list[float]]) -> Findings:
    arms = {arm: {seed: text_record(loss) for seed, loss in enumerate(of)} for arm, of in losses.items()}
    return Findings("text:2x128", arms)


def test_answers_are_paired_and_corrected_for_their_number() -> None:
    standard, masks, noise = [5.0, 6.0, 5.5, 5.2], [4.8, 5.79, 5.31, 5.0], [5.1, 6.0, 5.4, 5.2]
    found = text_findings({"standard": standard, "R-Drop": masks, "noise of its divergence": noise})
    first, second = (answer for answer in answers(found) if answer.figure == TEXT_FIGURES[1])
    p_values = [ttest_rel(arm, standard).pvalue for arm in (masks, noise)]
    assert [first.p_value, second.p_value] == pytest.approx([6 * p_values[0], min(5 * p_values[1], 1.0)])
    assert first.is_told_from_chance
    assert first.is_better
    assert not second.is_told_from_chance
    assert first.difference.mean == pytest.approx(-0.2)
    assert "masks that differ, alone: test **better** by 0.200;" in told_apart(found)
    assert "not told from chance: noise of the adversary's divergence, alone." in told_apart(found)


def test_interaction_is_what_both_give_beyond_the_sum() -> None:
    losses = {
        "standard": [6.0, 6.1, 6.3],
        "R-Drop": [5.8, 5.9, 6.2],
        "virtual": [5.7, 5.8, 6.0],
        "virtual, independent masks": [5.6, 5.6, 5.9],
    }
    interaction = next(found for found in answers(text_findings(losses)) if "beyond the sum" in found.question.text)
    assert interaction.difference.mean == pytest.approx(np.mean([0.1, 0.0, 0.0]))


def test_two_seeds_answer_nothing() -> None:
    found = text_findings({"standard": [5.0, 6.0], "R-Drop": [4.8, 5.7]})
    assert answers(found) == []
    assert told_apart(found) == ""
    assert answers_table(found) == "No question has 3 seeds yet."


def test_one_seed_has_no_interval() -> None:
    assert str(difference_of([-0.25])) == "−0.250"


def test_headline_s_figures_are_those_of_the_best_epochs_in_the_ledger(tmp_path: Path) -> None:
    ledger_file = ROOT / "docs" / "results" / "evidence.jsonl"
    (study,) = (each for each in findings_of(ledger_file) if each.study == STUDY)
    lines = [json.loads(line) for line in ledger_file.read_text(encoding="utf-8").splitlines()]
    mine = [line for line in lines if line["study"] == STUDY and line["arm"] == "virtual"]
    best = [line["epochs"][line["best_epoch"] - 1] for line in mine]
    assert {of["pgd"][-1]["radius"] for of in best} == {0.03}
    attacked = sorted(100 * of["pgd"][-1]["accuracy"] for of in best)
    assert sorted(percentages(study, ATTACKED)["virtual"]) == pytest.approx(attacked)
    assert sorted(percentages(study, CLEAN)["virtual"]) == pytest.approx(
        sorted(100 * of["test"]["accuracy"] for of in best)
    )
    draw_headline(study, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["headline-dark.png", "headline.png"]
