"""Fine-tuning with a test set, and on rows whose columns say what kind of task they are."""

import pytest

from alum.stages.finetuning.run import finetune
from tiny_stages import finetune_arguments, finetune_config, save_untrained
from tiny_texts import opinions, write_rows


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    return save_untrained(tmp_path_factory.mktemp("untrained"))


def test_a_labelled_test_set_of_another_size_is_scored_by_itself(untrained, opinions_folder, tmp_path):
    test = write_rows(tmp_path / "test.jsonl", opinions(5, seed=2))
    files = {f"{split}_file": str(opinions_folder / f"{split}.jsonl") for split in ("train", "validation")}
    arguments = finetune_arguments(untrained, opinions_folder, data_dir=None, test_file=str(test), **files)
    result = finetune(arguments, finetune_config(tmp_path / "run", max_steps=2))
    assert result.metrics["test_accuracy"] in [pytest.approx(n / 5) for n in range(6)]
    assert result.metrics["test_loss"] != result.metrics["loss"]
    assert len((tmp_path / "run" / "predictions_test.jsonl").read_text().splitlines()) == 5


def test_columns_of_choices_make_it_multiple_choice(untrained, tmp_path):
    rows = [{"text": "the cat", "yes": "sees", "no": row["text"], "label": i % 2} for i, row in enumerate(opinions(8))]
    for split in ("train", "validation"):
        write_rows(tmp_path / f"{split}.jsonl", rows)
    arguments = finetune_arguments(untrained, tmp_path, choice_columns="yes,no")
    result = finetune(arguments, finetune_config(tmp_path / "run", max_steps=2))
    assert set(result.metrics) == {"loss", "accuracy"}
    assert result.label_names == ()
