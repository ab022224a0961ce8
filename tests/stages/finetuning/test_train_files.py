"""Fine-tuning on several files of training rows, each by its weight."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from alum.cli.main import main
from alum.core.errors import InputError
from alum.stages.augmentation.arguments import AugmentArguments
from alum.stages.augmentation.run import augment
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.run import _task_data, finetune
from alum.stages.study.cells.finetune_cell import FinetuneCell
from alum.stages.study.kept_rows import keep_rows, place_of_rows
from alum.stages.study.reading.checks import check_study
from alum.stages.study.settings import Study
from tiny_stages import finetune_arguments, finetune_config, log_lines, record, save_untrained
from tiny_texts import opinions, write_rows

FIRST, SECOND = opinions(20), [{"text": f"{row['text']} again", "label": row["label"]} for row in opinions(10, seed=1)]


@pytest.fixture
def files(tmp_path):
    write_rows(tmp_path / "first.jsonl", FIRST)
    with (tmp_path / "second.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("label", "text"), *((row["label"], row["text"]) for row in SECOND)])
    return [str(tmp_path / "first.jsonl"), str(tmp_path / "second.csv")]


def arguments(files, tmp_path, **settings):
    given = {"data_dir": None, "train_file": files, "validation_file": files[0], **settings}
    return finetune_arguments(tmp_path / "model", tmp_path, **given)


def rows_of(files, tmp_path, seed=42, **settings):
    data = _task_data(arguments(files, tmp_path, **settings), finetune_config(tmp_path / "run", seed=seed), None)
    return data.splits["train"]


def test_each_file_is_seen_as_often_as_its_weight_says(files, tmp_path):
    rows = rows_of(files, tmp_path, train_weights=[2.5, 0.3])
    texts = Counter(text for (text,) in rows.examples())
    first, second = (Counter(row["text"] for row in some) for some in (FIRST, SECOND))
    extra = texts - Counter({text: 2 * count for text, count in first.items()})
    drawn = extra & second
    assert sum(drawn.values()) == 3  # 0.3 of 10
    halves = extra - drawn
    assert sum(halves.values()) == 10
    assert not halves - first
    assert rows.table.num_rows_by_file == {files[0]: 50, files[1]: 3}
    again, other = (rows_of(files, tmp_path, seed, train_weights=[2.5, 0.3]) for seed in (42, 43))
    assert again.examples() == rows.examples() != other.examples()


def test_files_without_weights_are_joined_and_fewer_rows_are_of_all(files, tmp_path):
    assert rows_of(files, tmp_path).examples() == [(row["text"],) for row in (*FIRST, *SECOND)]
    few = rows_of(files, tmp_path, max_train_samples=15)
    assert len(few) == 15
    assert set(few.table.num_rows_by_file) == set(files)
    assert len(rows_of(files[:1], tmp_path, max_train_samples=15).table) == 15


def test_the_record_says_how_many_rows_are_of_which_file(files, tmp_path):
    model = save_untrained(tmp_path / "model")
    out = tmp_path / "run"
    flags = ["--model_name_or_path", model, "--train_file", *files, "--train_weights", "1", "0.5", "--validation_file"]
    flags += [files[0], "--text_columns", "text", "--label_column", "label", "--output_dir", out, "--max_steps", "1"]
    assert main(["finetune", *map(str, flags), "--use_cpu", "--per_device_train_batch_size", "4"]) == 0
    result = record(out / "results.json")
    assert result["num_rows_by_file"] == {files[0]: 20, files[1]: 5}
    assert result["num_train_rows"] == 25
    assert record(out / "run.json")["arguments"]["train_weights"] == [1.0, 0.5]


def test_training_on_several_files_goes_on_as_if_nothing_had_been(files, tmp_path):
    save_untrained(tmp_path / "model")
    weights = []
    for name, steps in (("whole", [6]), ("parts", [3, 6])):
        for some in steps:
            config = finetune_config(
                tmp_path / name, max_steps=some, save_strategy="steps", save_steps=3, logging_steps=1,
                lr_scheduler_type="constant", warmup_steps=0, resume_from_checkpoint="auto",
                per_device_train_batch_size=4,
            )  # fmt: skip
            finetune(arguments(files, tmp_path, train_weights=[1.0, 0.7]), config)
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
        assert len({line["step"] for line in log_lines(tmp_path / name / "metrics.jsonl") if "loss" in line}) == 6
    assert weights[0] == weights[1]


def test_attacked_copies_are_such_a_file(files, tmp_path):
    more = tmp_path / "more.jsonl"
    given = {"data_file": files[0], "text_columns": "text", "output_file": str(more), "keep_original": False}
    augment(AugmentArguments(**given))
    rows = rows_of([files[0], str(more)], tmp_path, train_weights=[1, 0.5])
    assert rows.table.num_rows_by_file == {files[0]: 20, str(more): 10}
    assert set(rows.labels()) == {"good", "bad"}


def test_errors_name_the_file_that_a_row_is_of(files, tmp_path):
    write_rows(tmp_path / "third.jsonl", [{"text": "fine words", "label": "good"}, {"text": 3, "label": "bad"}])
    with pytest.raises(InputError, match=r"third\.jsonl.*cannot be joined|third\.jsonl, row 2: column 'text'"):
        rows_of([files[0], str(tmp_path / "third.jsonl")], tmp_path).examples()
    write_rows(tmp_path / "fourth.jsonl", [{"text": "fine", "label": 1}])
    with pytest.raises(InputError, match=r"first\.jsonl \+ .*fourth\.jsonl cannot be joined: .* in one format"):
        rows_of([files[0], str(tmp_path / "fourth.jsonl")], tmp_path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"train_weights": [1.0]}, "1 train_weights for 2 files of training rows"),
        ({"train_weights": [1.0, 0.0]}, "the weight of a file must be above 0 and finite, not 0.0: leave the file out"),
    ],
)
def test_weights_that_fit_no_files_are_refused(files, tmp_path, settings, said):
    with pytest.raises(InputError, match=said):
        rows_of(files, tmp_path, **settings)


def test_a_file_that_is_there_twice_or_has_no_labels_is_named_where_files_have_weights(files, tmp_path):
    with pytest.raises(InputError, match=r"first\.jsonl is there 2 times: name it once, with all of its weight"):
        rows_of([files[0], files[0]], tmp_path, train_weights=[1, 2])
    empty = str(tmp_path / "empty.jsonl")
    write_rows(tmp_path / "empty.jsonl", [{"text": "fine words", "label": ""}])
    with pytest.raises(InputError, match=r"empty\.jsonl has no labelled rows, and a weight: leave both out"):
        rows_of([files[0], empty, files[1]], tmp_path, train_weights=[1, 2, 3])
    assert len(rows_of([files[0], empty], tmp_path)) == len(rows_of([files[0]], tmp_path, train_weights=[1])) == 20
    assert len(rows_of([files[0], files[0]], tmp_path)) == 40


@pytest.fixture
def rounds(tmp_path):
    """ANLI's folder of six files: ten rows to train on and six to validate on in each round, which they name."""
    folder = tmp_path / "anli"
    folder.mkdir()
    for number in "123":
        for split, count in (("train", 10), ("dev", 6)):
            rows = [
                {"uid": f"{i}", "premise": f"round {number}", "hypothesis": f"{i}", "label": i % 3, "reason": ""}
                for i in range(count)
            ]
            write_rows(folder / f"{split}_r{number}.jsonl", rows)
    return folder


def rounds_in(rows):
    return Counter(premise for premise, _ in rows.examples())


def test_few_rows_of_a_task_in_several_splits_are_of_all(rounds, tmp_path):
    given = {"task": "anli", "data_dir": str(rounds), "max_train_samples": 15, "max_eval_samples": 9}

    def splits(seed, **settings):
        own = FinetuneArguments(model_name_or_path="m", **{**given, **settings})
        return _task_data(own, finetune_config(tmp_path / "run", seed=seed), None).splits

    found, again, other = splits(1), splits(1), splits(2)
    for split, count in (("train", 15), ("validation", 9)):
        assert len(found[split]) == count
        assert set(rounds_in(found[split])) == {"round 1", "round 2", "round 3"}
        assert found[split].examples() == again[split].examples()
    assert found["train"].examples() != other["train"].examples()
    assert found["validation"].examples() == other["validation"].examples(), "seeds are compared on the same rows"
    assert rounds_in(splits(1, task="anli_r2")["train"]) == {"round 2": 10}


def test_a_study_of_a_task_in_several_splits_has_few_rows_of_all(rounds, tmp_path):
    for name in "123":
        write_rows(rounds / f"test_r{name}.jsonl", [{"premise": f"round {name}", "hypothesis": "a", "label": 0}])
    given = {"task": "anli", "data_dir": str(rounds)}
    digests, _ = keep_rows("anli", given, tmp_path / "data")
    kept = tmp_path / "data" / place_of_rows(digests)
    for split, count in (("train", 15), ("validation", 9)):
        first = log_lines(kept / f"{split}.jsonl")[:count]
        assert {row["premise"] for row in first} == {"round 1", "round 2", "round 3"}


@pytest.mark.parametrize("share", [None, 0.2])
def test_a_study_trains_on_some_of_each_file_where_it_is_to_train_on_few_rows(files, tmp_path, share):
    given = {"train_file": files, "validation_file": files[0], "test_file": files[0], "max_train_samples": 8}
    given |= {"text_columns": "text", "label_column": "label", "max_eval_samples": 4}
    given |= {} if share is None else {"validation_share": share}
    digests, _ = keep_rows("mood", given, tmp_path / "data")
    kept = tmp_path / "data" / place_of_rows(digests)
    cell = FinetuneCell("mood", "standard", given, 0, digests, "m").arguments(str(kept), str(tmp_path / "model"))
    splits = _task_data(cell, finetune_config(tmp_path / "run"), None).splits
    of_first, of_second = ({(row["text"],) for row in rows} for rows in (FIRST, SECOND))
    for split, count in ("train", 8), *(() if share is None else (("validation", 4),)):
        found = splits[split].examples()
        assert len(found) == count
        assert of_first.intersection(found)
        assert of_second.intersection(found)
    everything = [line["text"] for line in log_lines(kept / "train.jsonl")]
    if share is None:
        assert sorted(everything) == sorted(row["text"] for row in (*FIRST, *SECOND))
    assert keep_rows("mood", given, tmp_path / "data")[0] == digests


def test_a_study_has_no_weights_of_files():
    tasks = {"a": {"train_file": ["x.jsonl", "y.jsonl"], "train_weights": [1, 2], "model_name_or_path": "m"}}
    with pytest.raises(InputError, match="tasks, a: train_weights cannot be set there"):
        check_study(Study(tasks=tasks, arms={"standard": {"adv_method": "standard"}}, seeds=(0,)))


def test_one_file_may_be_given_as_one():
    assert FinetuneArguments(model_name_or_path="m", train_file="rows.csv").train_file == ["rows.csv"]
    assert FinetuneArguments(model_name_or_path="m", train_file=None).train_file == []
    assert FinetuneArguments(model_name_or_path=str(Path("m"))).train_file == []
