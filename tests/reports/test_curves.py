import json
import math
import struct

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from alum.core.errors import InputError
from alum.reports.curves import (
    RunCurves,
    run_figure,
    run_title,
    write_loss_curve,
)
from small_files import fill_disk

# Half of the run without an adversary, half with one, as the trainer logs it.
RECORDS = [
    {"step": 5, "loss": 6.0, "learning_rate": 1e-4, "task_loss": 6.0, "adversarial_loss": 0.0, "adv_alpha": 0.0},
    {"step": 10, "loss": 5.0, "learning_rate": 1e-4, "task_loss": 5.0, "adversarial_loss": 0.0, "adv_alpha": 0.0},
    {"step": 10, "eval_loss": 4.5, "eval_accuracy": 0.1, "eval_runtime": 0.1},
    {"step": 15, "loss": 5.5, "task_loss": 4.5, "adversarial_loss": 0.1, "adv_alpha": 10.0, "adversarial_gain": 300.0},
    {"step": 20, "loss": 4.4, "task_loss": 4.0, "adversarial_loss": 0.04, "adv_alpha": 10.0, "adversarial_gain": 90.0},
    {"step": 20, "eval_loss": 3.5, "eval_accuracy": 0.2, "eval_runtime": 0.1},
    {"step": 20, "train_runtime": 3.9, "train_loss": 5.0},
]


def write_records(folder, records, **files):
    lines = (record if isinstance(record, str) else json.dumps(record) for record in records)
    (folder / "metrics.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    return folder


def lines_of(axes):
    """Points by label of the lines that have one; matplotlib's own names begin with an underscore."""
    return {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in axes.get_lines()}


def legend_of(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def shares_of_width(picture, colour):
    """The share of the columns that hold pixels of the colour."""
    pixels = plt.imread(picture)[..., :3]
    return (np.abs(pixels - np.array(matplotlib.colors.to_rgb(colour))).max(-1) < 0.01).any(0).mean()


# -- records -----------------------------------------------------------------------------------------------------------


def test_curves_are_what_was_logged():
    curves = RunCurves.from_records(RECORDS)
    assert curves.training_loss == {5: 6.0, 10: 5.0, 15: 4.5, 20: 4.0}  # of the task alone
    assert curves.validation_loss == {"": {10: 4.5, 20: 3.5}}
    assert curves.adversarial_gain == {15: 300.0, 20: 90.0}
    assert curves.last_step == 20


def test_without_an_adversary_the_loss_is_the_tasks():
    curves = RunCurves.from_records([{"step": 50, "loss": 2.5, "tokens_per_second": 10.0, "time_share_data": 0.1}])
    assert curves.training_loss == {50: 2.5}
    assert curves.adversarial_start_step is None


def test_validation_sets_have_curves_of_their_own():
    records = [
        {"step": 10, f"eval_{name}_loss": loss, f"eval_{name}_accuracy": 0.5} for name, loss in (("a_b", 2), ("c", 3))
    ]
    assert RunCurves.from_records(records).validation_loss == {"a_b": {10: 2}, "c": {10: 3}}


@pytest.mark.parametrize(
    ("alphas", "losses", "start"),
    [
        ([0, 0, 10, 10], [0, 0, 0.1, 0.1], 20),
        ([10, 10], [0.1, 0.1], 0),
        ([0, 0], [0, 0], None),
        ([0, 0, 0, 1], [0, 0, 0.1, 0.1], 20),  # the third log's last step is a standard one between adversarial ones
    ],
)
def test_the_adversary_starts_after_the_last_log_without_one(alphas, losses, start):
    logs = enumerate(zip(alphas, losses, strict=True), 1)
    records = [{"step": 10 * n, "adv_alpha": alpha, "adversarial_loss": loss} for n, (alpha, loss) in logs]
    assert RunCurves.from_records(records).adversarial_start_step == start


def test_a_step_that_a_resumed_run_logs_again_counts_once():
    records = [
        {"step": 5, "loss": 3.0},
        {"step": 10, "loss": 9.0},
        {"step": 10, "loss": 2.0},
        {"step": 15, "loss": 1.0},
    ]
    assert RunCurves.from_records(records).training_loss == {5: 3.0, 10: 2.0, 15: 1.0}


def test_scores_before_and_after_are_added_where_none_were_logged():
    curves = RunCurves.from_records(RECORDS)
    scores = {"metrics_before": {"validation": {"loss": 7.0}}, "metrics": {"validation": {"loss": 3.4}}}
    curves.add_scores(scores)
    assert curves.validation_loss == {"": {0: 7.0, 10: 4.5, 20: 3.5}}


def test_scores_of_several_validation_sets_keep_their_names():
    curves = RunCurves.from_records([{"step": 40, "train_runtime": 1.0}])
    before, after = ({name: {"loss": loss} for name, loss in (("a", x), ("b", x + 1))} for x in (6.0, 2.0))
    curves.add_scores({"metrics_before": before, "metrics": after})
    assert curves.validation_loss == {"a": {0: 6.0, 40: 2.0}, "b": {0: 7.0, 40: 3.0}}


# -- a run's picture ---------------------------------------------------------------------------------------------------


def test_the_figure_shows_losses_phases_and_what_the_adversary_does():
    losses, divergence, gain = run_figure(RunCurves.from_records(RECORDS), "bert-tiny").axes
    assert lines_of(losses) == {
        "training": [(5, 6.0), (10, 5.0), (15, 4.5), (20, 4.0)],
        "validation": [(10, 4.5), (20, 3.5)],
    }
    assert legend_of(losses) == ["training", "validation", "standard", "adversarial, α = 10"]
    assert [[*lines_of(axes).values()] for axes in (divergence, gain)] == [
        [[(15, 0.1), (20, 0.04)]],
        [[(15, 300.0), (20, 90.0)]],
    ]
    assert [axes.get_yscale() for axes in (losses, divergence, gain)] == ["linear", "log", "log"]
    assert divergence.get_ylim() == pytest.approx((0.01, 0.1))
    assert gain.get_ylim() == pytest.approx((10, 1000))
    assert [axes.get_xlabel() for axes in (losses, divergence, gain)] == ["", "", "step"]


def test_each_phase_is_shaded_over_its_steps_in_every_panel():
    for axes in run_figure(RunCurves.from_records(RECORDS), "").axes:
        shaded = {patch.get_label(): (patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches}
        assert shaded == {"standard": (0, 10), "adversarial, α = 10": (10, 20)}


def test_a_weight_that_grows_is_named_by_its_greatest_value():
    records = [{"step": n, "loss": 1.0, "adv_alpha": n / 4, "adversarial_loss": 0.1} for n in (1, 2, 3)]
    axes = run_figure(RunCurves.from_records(records), "").axes[0]
    assert legend_of(axes) == ["training", "adversarial, α up to 0.75"]


def test_a_standard_run_has_one_panel_and_no_phases():
    (axes,) = run_figure(RunCurves.from_records([{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}]), "").axes
    assert legend_of(axes) == ["training"]
    assert not axes.patches


def test_the_picture_is_small_and_shows_both_phases(tmp_path):
    picture = write_loss_curve(write_records(tmp_path, RECORDS))
    assert picture == tmp_path / "loss.png"
    content = picture.read_bytes()
    assert len(content) < 150_000
    width, height = struct.unpack(">II", content[16:24])  # the header of a PNG
    assert 600 <= width <= 1200
    assert 500 <= height <= 1200
    standard, adversarial = (shares_of_width(picture, colour) for colour in ("#f0f2f5", "#fbe9da"))
    assert standard == pytest.approx(adversarial, abs=0.05)  # each is half of the run
    assert standard + adversarial > 0.75


def test_a_long_noisy_run_stays_small(tmp_path):
    rng = np.random.default_rng(0)
    records = [
        {"step": 50 * n, "loss": 3 + rng.normal(), "adv_alpha": 1.0, "adversarial_loss": math.exp(rng.normal())}
        for n in range(1, 2001)
    ]
    assert write_loss_curve(write_records(tmp_path, records)).stat().st_size < 150_000


@pytest.mark.parametrize(
    ("run", "title"),
    [
        (
            {"arguments": {"model_name_or_path": None, "architecture": "bert-mini"}, "config": {"adv_method": "alum"}},
            "bert-mini from scratch, alum",
        ),
        (
            {"arguments": {"model_name_or_path": "/home/me/$a$_base"}, "config": {"adv_method": "standard"}},
            "$a$_base, standard",
        ),
        ({"arguments": None}, "the run"),
        ([], "the run"),
    ],
)
def test_the_title_names_model_and_method(tmp_path, run, title):
    folder = tmp_path / "the run"
    folder.mkdir()
    assert run_title(write_records(folder, RECORDS, run=run)) == title


@pytest.mark.parametrize(
    "records",
    [
        [],
        ["", "{", "7", "null", "[1]"],
        [{"step": 5, "learning_rate": 0.1}, {"step": "5", "loss": 1.0}, {"loss": 1.0}],
        [{"step": 5, "loss": None}, {"step": 6, "loss": math.nan}, {"step": 7, "eval_loss": math.inf}],
    ],
)
def test_records_without_losses_give_no_picture(tmp_path, records):
    assert write_loss_curve(write_records(tmp_path, records)) is None
    assert not (tmp_path / "loss.png").exists()


def test_a_folder_without_records_gives_no_picture(tmp_path):
    assert write_loss_curve(tmp_path) is None
    assert write_loss_curve(tmp_path / "missing") is None


def test_broken_lines_and_results_do_not_keep_the_rest_from_being_drawn(tmp_path):
    records = [*RECORDS[:2], '{"step": 15, "lo', {"step": 16, "loss": math.nan}, {"step": 17, "adversarial_loss": None}]
    assert write_loss_curve(write_records(tmp_path, records, results={"num_steps": 3, "metrics": {"accuracy": 0.5}}))


def test_names_with_signs_of_mathematics_are_drawn_as_they_are(tmp_path):
    records = [{"step": 1, "eval_$\\frac{$_loss": 1.0}, {"step": 2, "eval_$\\frac{$_loss": 0.5}]  # no valid formula
    run = {"arguments": {"model_name_or_path": "$\\bad{$"}, "config": {"adv_method": "alum"}}
    assert write_loss_curve(write_records(tmp_path, records, run=run))


def test_drawing_leaves_pyplot_and_settings_as_they_were(tmp_path):
    open_figures, settings, backend = plt.get_fignums(), dict(matplotlib.rcParams), matplotlib.get_backend()
    write_loss_curve(write_records(tmp_path, RECORDS))
    assert plt.get_fignums() == open_figures
    assert dict(matplotlib.rcParams) == settings
    assert matplotlib.get_backend() == backend


def test_the_users_own_settings_do_not_change_the_picture(tmp_path):
    write_records(tmp_path, RECORDS)
    plain = write_loss_curve(tmp_path).read_bytes()
    with matplotlib.rc_context({"text.usetex": True, "figure.facecolor": "black", "lines.linewidth": 9}):
        assert write_loss_curve(tmp_path).read_bytes() == plain


# -- arms of a study ---------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_no_half_of_a_picture(tmp_path, monkeypatch):
    folder = write_records(tmp_path, RECORDS)
    fill_disk(monkeypatch)
    with pytest.raises(InputError, match=r"loss\.png could not be written: No space left .* Free space"):
        write_loss_curve(folder)
    assert [path.name for path in folder.iterdir()] == ["metrics.jsonl"]
