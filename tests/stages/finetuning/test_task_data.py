import pytest
from datasets import Dataset

from alum.core.errors import InputError
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.task_data import load_task_data
from alum.tasks.kinds.language_modeling import CAUSAL_LM
from alum.tasks.kinds.token_classification import TOKEN_CLASSIFICATION
from tiny_texts import write_rows


def loaded(rows, **arguments):
    splits = {split: Dataset.from_dict(rows) for split in ("train", "validation")}
    return load_task_data(
        FinetuneArguments(model_name_or_path="model", **arguments), ("train", "validation"), splits=splits
    )


def test_a_causal_model_may_learn_a_column_of_text_alone():
    data = loaded({"text": ["one", "two"]}, kind="causal_lm", label_column="text")
    assert (data.supervision.kind, data.splits["train"].layout.text, data.splits["train"].layout.label) == (
        CAUSAL_LM,
        (),
        "text",
    )
    assert data.main_metric == "token_accuracy"


@pytest.mark.parametrize("kind", ["sentence_classification", None])
def test_other_kinds_need_a_text_column(kind):
    with pytest.raises(InputError, match="--text_columns and --label_column"):
        loaded({"text": ["one", "two"]}, kind=kind, label_column="text")


def test_tagging_takes_lists_of_names():
    rows = {"words": [["a", "b"], ["c"]], "tags": [["O", "B-x"], ["B-x"]]}
    data = loaded(rows, kind="token_classification", text_columns="words", label_column="tags")
    assert (data.supervision.kind, data.label_names) == (TOKEN_CLASSIFICATION, ("B-x", "O"))
    with pytest.raises(InputError, match="takes 1 text columns, not 2"):
        loaded(rows, kind="token_classification", text_columns="words,tags", label_column="tags")


COLUMNS = {"text_columns": "text", "label_column": "label"}


def write_split(file, count):
    return str(write_rows(file, [{"text": f"{file.stem} {n}", "label": n % 2} for n in range(count)]))


def read_from(arguments, **splits):
    data = load_task_data(arguments, ("train", "validation"), wanted=("test",), **splits)
    return {split: len(rows) for split, rows in data.splits.items()}


def test_files_that_are_named_are_read_instead_of_those_of_a_folder_and_beside_rows_in_memory(tmp_path):
    (tmp_path / "folder").mkdir()
    for split, count in (("train", 6), ("validation", 4), ("test", 2)):
        write_split(tmp_path / "folder" / f"{split}.jsonl", count)
    named = {f"{split}_file": write_split(tmp_path / f"{split}.jsonl", 3) for split in ("validation", "test")}

    def arguments(**settings):
        return FinetuneArguments(model_name_or_path="model", **COLUMNS, **settings)

    folder = str(tmp_path / "folder")
    assert read_from(arguments(data_dir=folder, **named)) == {"train": 6, "validation": 3, "test": 3}
    with pytest.raises(InputError, match=r"no file at nowhere\.jsonl"):
        read_from(arguments(data_dir=folder, test_file="nowhere.jsonl"))
    rows = Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]})
    assert read_from(arguments(**named), splits={"train": rows}) == {"train": 2, "validation": 3, "test": 3}
    with pytest.raises(InputError, match="validation rows are given in memory and as validation_file"):
        read_from(arguments(**named), splits={"train": rows, "validation": rows})


def test_the_kind_of_a_named_task_is_its_own(tmp_path):
    for split in ("train", "validation"):
        write_rows(tmp_path / f"{split}.jsonl", [{"sentence": f"{n}", "label": n} for n in range(2)])

    def arguments(kind):
        return FinetuneArguments(model_name_or_path="model", task="sst2", data_dir=str(tmp_path), kind=kind)

    assert read_from(arguments("sentence_classification")) == {"train": 2, "validation": 2}
    with pytest.raises(InputError, match="kind regression does not fit the task sst2, which is sequence"):
        read_from(arguments("regression"))
