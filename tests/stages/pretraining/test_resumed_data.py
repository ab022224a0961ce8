"""What a resumed run reads: the rows that an undisturbed one would have, and none of those before them."""

import json
from collections import defaultdict
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from alum.core.errors import InputError
from alum.data.pretraining import packing as packing_module
from alum.stages.pretraining.run import pretrain
from alum.training.language_modeling import LanguageModelTrainer
from tiny_stages import pretrain_arguments, pretrain_config, save_untrained
from tiny_texts import write_text

STEPS = {"max_steps": 9, "save_strategy": "steps", "save_steps": 4, "save_total_limit": None, "logging_steps": 1}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Two texts with weights, and a model to continue from, whose tokenizer is given."""
    folder = tmp_path_factory.mktemp("given")
    files = [str(write_text(folder / f"{seed}.txt", num_documents=40 + 60 * seed, seed=seed)) for seed in (0, 1)]
    model = save_untrained(folder / "model")
    return {"train_file": files, "train_weights": [1.0, 2.0], "model_name_or_path": str(model)}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(packing_module, "SHUFFLE_BUFFER_ROWS", 30)
    monkeypatch.setattr(packing_module, "BATCH_DOCUMENTS", 4)


@pytest.fixture
def seen(monkeypatch):
    """The rows of each step, in the order of its micro-batches; emptied by those who look at them."""
    rows = defaultdict(list)
    supervised = LanguageModelTrainer._supervised

    def noted(self, batches):
        def all_noted():
            for batch in batches:
                rows[self.state.global_step] += batch["input_ids"].tolist()
                yield batch

        return supervised(self, all_noted())

    monkeypatch.setattr(LanguageModelTrainer, "_supervised", noted)

    def taken():
        found = dict(rows)
        rows.clear()
        return found

    return taken


@pytest.fixture
def num_tokenised(monkeypatch):
    """The number of tokens that tokenizers made, in this process."""
    counted, call = [0], PreTrainedTokenizerBase.__call__

    def counting(self, *args, **settings):
        found = call(self, *args, **settings)
        counted[0] += sum(map(len, found["input_ids"]))
        return found

    monkeypatch.setattr(PreTrainedTokenizerBase, "__call__", counting)

    def taken():
        number, counted[0] = counted[0], 0
        return number

    return taken


def run(given, folder, streaming=True, **settings):
    arguments = {**given, "streaming": streaming, "cache_dir": str(folder.parent / "cache")}
    config = {**STEPS, "per_device_train_batch_size": 8, **settings}
    return pretrain(pretrain_arguments(Path(given["train_file"][0]), **arguments), pretrain_config(folder, **config))


def weights(result):
    return (Path(result.output_dir) / "model.safetensors").read_bytes()


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("step", [4, 8])
def test_a_resumed_stream_goes_on_with_the_rows_that_come_next(given, tmp_path, seen, step, accumulation):
    settings = {"gradient_accumulation_steps": accumulation}
    whole = run(given, tmp_path / "whole", **settings)
    rows = seen()
    checkpoint = tmp_path / "whole" / f"checkpoint-{step}"
    resumed = run(given, tmp_path / "resumed", resume_from_checkpoint=str(checkpoint), **settings)
    assert seen() == {number: rows[number] for number in range(step, 9)}
    assert weights(resumed) == weights(whole)
    assert resumed.num_train_tokens == whole.num_train_tokens


@pytest.mark.slow
def test_a_stream_that_was_resumed_can_be_resumed_again(given, tmp_path, seen):
    whole = run(given, tmp_path / "whole", save_steps=2)
    rows = seen()
    for step in (2, 6):
        checkpoint = tmp_path / ("whole" if step == 2 else "resumed-2") / f"checkpoint-{step}"
        resumed = run(given, tmp_path / f"resumed-{step}", save_steps=2, resume_from_checkpoint=str(checkpoint))
        assert seen() == {number: rows[number] for number in range(step, 9)}
        assert weights(resumed) == weights(whole)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(2, 2), (0, 1), (1, 0)], ids=["two", "none, then one", "one, then none"])
def test_processes_that_load_rows_play_no_part(given, tmp_path, seen, workers):
    before, after = workers
    whole = run(given, tmp_path / "whole", dataloader_num_workers=before)
    rows = seen()
    checkpoint = str(tmp_path / "whole" / "checkpoint-4")
    resumed = run(given, tmp_path / "resumed", dataloader_num_workers=after, resume_from_checkpoint=checkpoint)
    assert seen() == {number: rows[number] for number in range(4, 9)}
    assert weights(resumed) == weights(whole)


def test_what_is_tokenised_anew_does_not_grow_with_the_run(given, tmp_path, num_tokenised):
    """A block of 30 rows, what is trained on after it, and the batch of documents that each text was in."""
    tokens_of_row, tokens_of_batch = 16, 4 * 100  # a document has 5 sentences of 8 words, of a token or two each
    run(given, tmp_path / "whole", max_steps=60, save_steps=58)
    before = num_tokenised()
    checkpoint = tmp_path / "whole" / "checkpoint-58"
    run(given, tmp_path / "resumed", max_steps=60, save_steps=58, resume_from_checkpoint=str(checkpoint))
    again = num_tokenised()
    rows_of_resumed = 30 + 2 * 8 + 30  # its block, the rest of the run, and a block that is read ahead
    assert 0 < again <= rows_of_resumed * tokens_of_row + 2 * 2 * tokens_of_batch
    assert before > 60 * 8 * (tokens_of_row - 2)


def test_the_position_is_small_and_a_part_of_the_checkpoint(given, tmp_path):
    run(given, tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoint-4"
    position = json.loads((checkpoint / "stream.json").read_text())
    assert position["row"] == 4 * 8
    assert (checkpoint / "stream.json").stat().st_size < 1000
    assert "stream.json" in json.loads((checkpoint / "manifest.json").read_text())["files"]


def test_a_checkpoint_without_the_position_is_refused(given, tmp_path):
    run(given, tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoint-4"
    (checkpoint / "stream.json").unlink()
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    del manifest["files"]["stream.json"]
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"checkpoint-4 has no stream\.json.*--model_name_or_path"):
        run(given, tmp_path / "resumed", resume_from_checkpoint=str(checkpoint))


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("streaming", [False, True])
def test_steps_keep_their_rows_where_they_are_spread_otherwise(given, tmp_path, seen, caplog, streaming):
    run(given, tmp_path / "whole", streaming, per_device_train_batch_size=8)
    rows = seen()
    go_on = {"resume_from_checkpoint": str(tmp_path / "whole" / "checkpoint-4")}
    run(given, tmp_path / "resumed", streaming, per_device_train_batch_size=2, gradient_accumulation_steps=4, **go_on)
    assert seen() == {number: rows[number] for number in range(4, 9)}
    assert "its rows spread otherwise" in caplog.text
    with pytest.raises(InputError, match=r"each step .* has 8 rows, and would now have 16 .*whose product is 8"):
        run(given, tmp_path / "other", streaming, per_device_train_batch_size=16, **go_on)
