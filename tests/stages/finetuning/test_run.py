import dataclasses
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from sklearn.metrics import accuracy_score, f1_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from alum.core.errors import InputError
from alum.stages.finetuning.run import finetune
from tiny_stages import finetune_arguments, finetune_config, log_lines, record, save_untrained
from tiny_texts import opinions, sentence, write_rows


@pytest.fixture
def run(pretrained, tmp_path):
    """Fine-tunes the pre-trained model on rows in memory."""

    def run(train, validation=None, arguments=None, **settings):
        for split, rows in (("train", train), ("validation", train if validation is None else validation)):
            write_rows(tmp_path / f"{split}.jsonl", rows)
        return finetune(
            finetune_arguments(Path(pretrained.output_dir), tmp_path, **(arguments or {})),
            finetune_config(tmp_path / "run", **settings),
        )

    return run


def predicted(result):
    return [row["prediction"] for row in log_lines(Path(result.output_dir) / "predictions.jsonl")]


# -- sentences ---------------------------------------------------------------------------------------------------------


def test_the_task_is_learnt(finetuned):
    assert finetuned.metrics["accuracy"] > 0.9
    losses = [line["loss"] for line in log_lines(Path(finetuned.output_dir) / "metrics.jsonl") if "loss" in line]
    assert losses[-1] < losses[0] / 2


def test_metrics_are_those_of_the_saved_model(finetuned):
    """From its logits in plain transformers, by scikit-learn."""
    model = AutoModelForSequenceClassification.from_pretrained(finetuned.output_dir)
    rows = opinions(32, seed=1)
    inputs = AutoTokenizer.from_pretrained(finetuned.output_dir)([r["text"] for r in rows], padding=True)
    with torch.no_grad():
        logits = model(**{name: torch.tensor(values) for name, values in inputs.items()}).logits
    gold = torch.tensor([("bad", "good").index(row["label"]) for row in rows])
    found = logits.argmax(-1)
    assert finetuned.metrics["accuracy"] == accuracy_score(gold, found)
    assert finetuned.metrics["f1_macro"] == pytest.approx(f1_score(gold, found, average="macro"))
    assert finetuned.metrics["loss"] == pytest.approx(torch.nn.functional.cross_entropy(logits, gold).item(), rel=1e-4)
    assert predicted(finetuned) == [("bad", "good")[i] for i in found]


def test_string_labels_become_the_models_names(finetuned):
    assert finetuned.label_names == ("bad", "good")
    classify = pipeline("text-classification", finetuned.output_dir)
    answers = classify(["the lovely cat sees the warm dog .", "the gloomy cat sees the bitter dog ."])
    assert [answer["label"] for answer in answers] == ["good", "bad"]


def test_the_records_say_what_was_done(finetuned):
    folder = Path(finetuned.output_dir)
    assert record(folder / "results.json") == json.loads(json.dumps(dataclasses.asdict(finetuned)))
    settings = record(folder / "run.json")
    assert settings["command"] == "finetune"
    assert settings["arguments"]["label_column"] == "label"
    assert settings["config"]["learning_rate"] == 1e-3
    assert finetuned.num_steps == 96 // 16 * 8
    card = (folder / "README.md").read_text()
    assert f"on {finetuned.num_train_rows} rows" in card
    assert (finetuned.first_gain["step"], finetuned.last_gain["step"]) == (1, finetuned.num_steps)
    assert f"| adversarial gain at step {finetuned.num_steps} | {finetuned.last_gain['gain']:.3g} (div" in card


def test_the_seed_fixes_the_run(run, tmp_path):
    results = []
    for name in ("a", "b"):
        run(opinions(16), max_steps=2, output_dir=str(tmp_path / name))
        results.append((tmp_path / name / "model.safetensors").read_bytes())
    assert results[0] == results[1]


def test_only_so_many_rows_are_used(run):
    result = run(opinions(16), arguments={"max_train_samples": 6, "max_eval_samples": 4}, max_steps=1)
    assert result.num_train_rows == 6
    assert len(predicted(result)) == 4


# -- labels ------------------------------------------------------------------------------------------------------------


def test_rows_without_a_label_are_left_out_and_counted(run):
    rows = opinions(16)
    rows[3]["label"], rows[4]["label"] = None, ""
    result = run(rows, [*opinions(4), {"text": "the cat", "label": None}], max_steps=1)
    assert result.num_unlabelled_rows == 3
    assert result.num_train_rows == 14
    assert len(predicted(result)) == 4


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(
    ("values", "names"),
    [
        (("pos", "neg"), ("neg", "pos")),
        ((1, 0), ("0", "1")),
        ((2, 0), ("0", "1", "2")),
        ((True, False), ("false", "true")),
    ],
)
def test_labels_are_named_in_order(run, values, names):
    rows = [{**row, "label": values[i % 2]} for i, row in enumerate(opinions(8))]
    assert run(rows, max_steps=1).label_names == names


def test_the_names_of_a_parquet_feature_keep_their_order(pretrained, tmp_path):
    names = ["pos", "neg"]
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    rows = [{"text": row["text"], "label": names[i % 2]} for i, row in enumerate(opinions(8))]
    for split in ("train", "validation"):
        Dataset.from_list(rows, features=features).to_parquet(tmp_path / f"{split}.parquet")
    result = finetune(
        finetune_arguments(Path(pretrained.output_dir), tmp_path), finetune_config(tmp_path / "run", max_steps=1)
    )
    assert result.label_names == ("pos", "neg")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "so-so"}, r"validation, row 2: label 'so-so' in column 'label' is none of .*bad.*good"),
        ({"text": None}, r"validation, row 2: column 'text' must be text, not None"),
    ],
)
def test_a_row_that_does_not_fit_is_named(run, change, message, tmp_path):
    rows = opinions(8)
    with pytest.raises(InputError, match=message):
        run(rows, [rows[0], {**rows[1], **change}])
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("label", [[1, 2], {"a": 1}])
def test_a_label_that_is_no_single_value_is_refused(run, label):
    with pytest.raises(InputError, match=r"column 'label' must hold .* --kind"):
        run([{"text": "the cat", "label": label}] * 4)


def test_integers_beside_names_are_refused(run):
    with pytest.raises(InputError, match=r"column 'label' must hold .* always the same"):
        run([{"text": "the cat", "label": label} for label in (0, "good")])


def test_a_head_for_other_labels_is_replaced_and_announced(finetuned, run, caplog):
    rows = [{**row, "label": i % 3} for i, row in enumerate(opinions(6))]
    result = run(rows, arguments={"model_name_or_path": finetuned.output_dir}, max_steps=1)
    assert result.label_names == ("0", "1", "2")
    assert "another size: a new one is trained (classifier.bias, classifier.weight)" in caplog.text


def test_one_label_alone_is_no_task(run):
    with pytest.raises(InputError, match=r"at least two labels, .*\['good'\]"):
        run([{"text": "the cat", "label": "good"}] * 4)


# -- pairs and numbers -------------------------------------------------------------------------------------------------


def test_pairs_are_read_to_the_end(run):
    """The label says what the second text is like, and the first one nothing."""

    def pairs(count, seed):
        rng = random.Random(seed)
        first, second = ([row["text"].split()[1] for row in opinions(count, seed + i)] for i in (0, 1))
        rng.shuffle(first)
        return [
            {"first": a, "second": b, "label": row["label"]}
            for a, b, row in zip(first, second, opinions(count), strict=True)
        ]

    result = run(pairs(96, 0), pairs(32, 5), {"text_columns": "first,second"})
    assert result.metrics["accuracy"] > 0.9


def test_numbers_are_regressed(run):
    """How many of the two adjectives are good; whole numbers are classes where they are not said to be quantities."""

    def scored(count, seed):
        rng = random.Random(seed)
        texts = [sentence(rng) for _ in range(count)]
        good = {"bright", "gentle", "lovely", "warm"}
        return [{"text": text, "label": float(len(good & set(text.split())))} for text in texts]

    validation = scored(32, 1)
    result = run(scored(160, 0), validation, {"kind": "regression"})
    assert result.label_names == ()
    assert result.metrics["pearson"] > 0.8
    gold, found = np.array([row["label"] for row in validation]), np.array(predicted(result))
    assert result.metrics["mse"] == pytest.approx(np.mean((gold - found) ** 2), rel=1e-4)
    assert result.metrics["pearson"] == pytest.approx(np.corrcoef(gold, found)[0, 1], rel=1e-4)


def test_a_block_that_the_model_has_not_is_refused_before_data_are_read(tmp_path):
    model = save_untrained(tmp_path / "untrained")
    with pytest.raises(InputError, match="untrained has blocks 0 to 1: there is no layer 2"):
        finetune(finetune_arguments(model, tmp_path / "missing"), finetune_config(tmp_path / "run", adv_layer="2"))


def test_a_run_that_fails_before_its_first_step_leaves_nothing(run, tmp_path):
    for _ in range(2):
        with pytest.raises(ValueError, match="min_lr"):  # of the scheduler, which is made in training
            run(opinions(8), lr_scheduler_type="cosine_with_min_lr")
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lr_scheduler_kwargs": {"nope": 1}}, "argument 'nope'"),
        ({"lr_scheduler_type": "warmup_stable_decay"}, "num_decay_steps"),
        ({"lr_scheduler_type": "cosine_with_min_lr"}, "min_lr"),
        ({"fsdp": "full_shard"}, "fsdp only works in distributed training"),
    ],
)
def test_what_the_trainer_refuses_is_told_before_anything_is_written(settings, words, tmp_path):
    rows = write_rows(tmp_path / "train.jsonl", opinions(8))
    write_rows(tmp_path / "validation.jsonl", opinions(8))
    model = save_untrained(tmp_path / "model")
    with pytest.raises(InputError, match=f"cannot be made or begin with these settings: .*{words}"):
        finetune(finetune_arguments(model, rows.parent), finetune_config(tmp_path / "run", **settings))
    assert not (tmp_path / "run").exists()
