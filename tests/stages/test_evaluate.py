import dataclasses

import pytest
from transformers import AutoModelForSequenceClassification

from alum.attacks.typing_noise import with_typing_errors
from alum.core.errors import InputError
from alum.stages.evaluate import GAIN_METHODS, evaluate
from alum.stages.evaluation_arguments import EvaluateArguments
from tiny_stages import record, save_untrained
from tiny_texts import opinions, write_rows


@pytest.fixture
def measure(finetuned, opinions_folder):
    """Evaluates the fine-tuned model on rows, by default those that it was validated on."""

    def measure(file=None, **settings):
        data = {"validation_file": str(file)} if file else {"data_dir": str(opinions_folder)}
        columns = {"text_columns": "text", "label_column": "label"}
        return evaluate(
            EvaluateArguments(**{"model_name_or_path": finetuned.output_dir, **columns, **data, **settings})
        )

    return measure


def test_clean_metrics_are_those_of_fine_tuning(measure, finetuned):
    metrics = measure(suite="clean", per_device_eval_batch_size=7).metrics["clean"]
    assert metrics["accuracy"] == finetuned.metrics["accuracy"]
    assert metrics["f1_macro"] == pytest.approx(finetuned.metrics["f1_macro"])


def test_typing_errors_are_those_of_a_mistyped_file(measure, tmp_path):
    rows = opinions(32, seed=1)
    file = write_rows(
        tmp_path / "mistyped.jsonl", [{**row, "text": with_typing_errors(row["text"], 0.3, seed=4)} for row in rows]
    )
    typing = measure(suite="typing", typing_error_rate=0.3, seed=4).metrics["typing"]
    assert typing == measure(file, suite="clean").metrics["clean"]
    assert typing["accuracy"] < 1


def test_a_strong_attack_breaks_the_model_and_a_weak_one_does_not(measure):
    weak, strong = (measure(suite="pgd", epsilon=epsilon).metrics["pgd"]["accuracy"] for epsilon in (1e-4, 1.0))
    assert weak > 0.9
    assert strong < 0.1


def test_the_gain_tells_adversaries_from_noise(measure):
    gain = measure(suite="gain").metrics["gain"]
    assert tuple(gain) == GAIN_METHODS
    assert gain["alum"] > 10
    assert gain["alum_one_pass"] > 10
    assert gain["alum_released"] < 2


def test_results_are_written_where_asked_for(measure, tmp_path):
    result = measure(suite="clean, gain", output_dir=str(tmp_path / "results"), max_eval_samples=8)
    assert list(result.metrics) == ["clean", "gain"]
    assert result.num_rows == 8
    assert record(tmp_path / "results" / "results.json") == dataclasses.asdict(result)
    assert record(tmp_path / "results" / "run.json")["arguments"]["suite"] == "clean, gain"


# -- labels ------------------------------------------------------------------------------------------------------------


def test_a_file_may_show_only_some_of_the_labels(measure, tmp_path):
    rows = [row for row in opinions(32, seed=1) if row["label"] == "good"]
    assert measure(write_rows(tmp_path / "good.jsonl", rows), suite="clean").metrics["clean"]["accuracy"] > 0.8


def test_labels_are_matched_by_name_not_by_order(measure, finetuned, tmp_path):
    """A model whose outputs are in the other order of names has the other answers."""
    model = AutoModelForSequenceClassification.from_pretrained(finetuned.output_dir)
    model.config.id2label, model.config.label2id = {0: "good", 1: "bad"}, {"good": 0, "bad": 1}
    model.save_pretrained(tmp_path / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "model" / name).symlink_to(f"{finetuned.output_dir}/{name}")
    swapped = measure(suite="clean", model_name_or_path=str(tmp_path / "model"))
    assert swapped.metrics["clean"]["accuracy"] == pytest.approx(1 - finetuned.metrics["accuracy"])


def test_labels_that_the_model_does_not_know_are_refused(measure, tmp_path):
    rows = [{**row, "label": f"very {row['label']}"} for row in opinions(4)]
    with pytest.raises(InputError, match=r"outputs are bad, good, but the labels of .* are very bad, very good"):
        measure(write_rows(tmp_path / "rows.jsonl", rows))


def test_numbers_are_no_labels(measure, tmp_path):
    rows = [{"text": "the cat", "label": 0.5}, {"text": "the dog", "label": 1.5}]
    with pytest.raises(InputError, match=r"outputs are bad, good, but the labels of .* are numbers"):
        measure(write_rows(tmp_path / "rows.jsonl", rows))


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_model_without_a_trained_head_is_not_measured(measure, tmp_path):
    with pytest.raises(InputError, match=r"has not been fine-tuned: it lacks .*classifier\.weight"):
        measure(model_name_or_path=str(save_untrained(tmp_path / "model")))


def test_an_unknown_suite_is_refused(measure):
    with pytest.raises(InputError, match="unknown suite 'noise': expected some of clean, typing, pgd, gain"):
        measure(suite="clean,noise")


@pytest.mark.parametrize("bad", [{"epsilon": 0.0}, {"num_steps": 0}, {"typing_error_rate": 1.5}])
def test_settings_out_of_range_are_refused_before_anything_is_written(measure, bad, tmp_path):
    with pytest.raises(InputError, match=f"{next(iter(bad))} .*must|must .*{next(iter(bad.values()))}"):
        measure(output_dir=str(tmp_path / "results"), **bad)
    assert not (tmp_path / "results").exists()
