import pytest
from datasets import Dataset

from alum.core.errors import InputError
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.task_data import load_task_data
from alum.tasks.kinds.language_modeling import CAUSAL_LM
from alum.tasks.kinds.token_classification import TOKEN_CLASSIFICATION


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
