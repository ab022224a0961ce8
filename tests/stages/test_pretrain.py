import dataclasses
import math
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForMaskedLM, AutoTokenizer, pipeline

from alum.core.errors import InputError
from alum.data.files import documents_in
from alum.data.masking import fixed_masks
from alum.data.tokenizer import train_wordpiece
from alum.stages.pretrain import pretrain
from tiny_stages import LENGTH_TOKENS, log_lines, pretrain_arguments, pretrain_config, record, save_untrained
from tiny_texts import write_text


def run(text, folder, arguments=None, **settings):
    return pretrain(pretrain_arguments(text, **(arguments or {})), pretrain_config(folder, **settings))


def weights(result):
    return (Path(result.output_dir) / "model.safetensors").read_bytes()


# -- from scratch ------------------------------------------------------------------------------------------------------


def test_the_loss_falls(pretrained):
    # A model that knows nothing gives each of n pieces 1/n.
    tokenizer = AutoTokenizer.from_pretrained(pretrained.output_dir)
    assert pretrained.validation_loss_before == pytest.approx(math.log(len(tokenizer)), rel=0.1)
    assert pretrained.validation_loss < pretrained.validation_loss_before - 0.5
    assert pretrained.validation_perplexity == pytest.approx(math.exp(pretrained.validation_loss))


def test_the_loss_is_that_of_the_saved_model_on_held_back_text(pretrained, text):
    tokenizer = AutoTokenizer.from_pretrained(pretrained.output_dir)
    held_back = documents_in(text)[19::20]  # one in twenty
    stream = [token for ids in tokenizer(held_back, add_special_tokens=False)["input_ids"] for token in [*ids, 3]]
    body = LENGTH_TOKENS - 2
    rows = [[2, *stream[i : i + body], 3] for i in range(0, len(stream) - body + 1, body)]
    masked = fixed_masks(Dataset.from_dict({"input_ids": rows}), tokenizer, 0.15)
    model = AutoModelForMaskedLM.from_pretrained(pretrained.output_dir)
    with torch.no_grad():
        loss = model(**{name: torch.tensor(masked[name][:]) for name in masked.column_names}).loss
    assert len(rows) <= 32  # one batch, whose mean is the whole mean
    assert pretrained.validation_loss == pytest.approx(loss.item(), rel=1e-4)


def test_the_folder_loads_in_plain_transformers(pretrained):
    fill = pipeline("fill-mask", pretrained.output_dir)
    found = fill("the bright [MASK] sees the warm dog .")
    assert len(found) == 5
    assert 0 < found[-1]["score"] <= found[0]["score"] < 1
    assert all(guess["token_str"] in fill.tokenizer.get_vocab() for guess in found)


def test_the_records_say_what_was_done(pretrained):
    folder = Path(pretrained.output_dir)
    assert record(folder / "results.json") == dataclasses.asdict(pretrained)
    settings = record(folder / "run.json")
    assert settings["command"] == "pretrain"
    assert settings["arguments"]["vocab_size"] == 200
    assert settings["config"]["adv_method"] == "alum_one_pass"
    assert settings["environment"]["torch"] == torch.__version__
    assert not [name for name in settings["config"] if name.endswith("token")]  # no secrets


def test_the_adversary_enters_half_way(pretrained):
    steps = [line for line in log_lines(Path(pretrained.output_dir) / "metrics.jsonl") if "loss" in line]
    assert [line["step"] for line in steps] == [10, 20, 30, 40]
    assert [line["adv_alpha"] for line in steps] == [0, 0, 1, 1]
    assert [line["adversarial_loss"] > 0 for line in steps] == [False, False, True, True]
    assert all(line["adversarial_gain"] > 10 for line in steps[2:])


def test_the_seed_fixes_the_weights(text, tmp_path):
    first, again, other = (
        run(text, tmp_path / name, max_steps=2, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert weights(first) == weights(again)
    assert weights(first) != weights(other)


def test_flops_are_counted_where_asked_for(text, tmp_path):
    """An adversarial step of one-pass ALUM costs two standard ones."""
    standard, one_pass = (
        run(text, tmp_path / method, max_steps=2, adv_method=method, count_flops_every=1, adv_gain_draws=0).train_flops
        for method in ("standard", "alum_one_pass")
    )
    assert one_pass == pytest.approx(2 * standard, rel=0.05)


def test_only_so_many_sequences_are_used(text, tmp_path):
    result = run(text, tmp_path / "run", arguments={"max_train_samples": 16}, max_steps=1)
    assert result.num_train_sequences == 16


# -- continued ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(pretrained):
    return {"model_name_or_path": pretrained.output_dir}


def test_continuing_starts_where_the_checkpoint_ended(pretrained, checkpoint, text, tmp_path):
    result = run(text, tmp_path / "run", checkpoint, max_steps=30)
    assert result.validation_loss_before == pytest.approx(pretrained.validation_loss, rel=1e-5)
    assert result.validation_loss < result.validation_loss_before


def test_text_of_another_domain_is_validated_on_itself(checkpoint, text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("\n\n".join(["dog " * 40] * 3))
    result = run(other, tmp_path / "run", {**checkpoint, "validation_file": str(text)}, max_steps=20)
    assert result.validation_loss > result.validation_loss_before  # nothing but dogs has been learnt


# -- what is refused ---------------------------------------------------------------------------------------------------


def refused(message, text, folder, **arguments):
    with pytest.raises(InputError, match=message):
        run(text, folder / "run", arguments)
    assert not list(folder.glob("run/*"))


def test_too_few_documents_to_hold_one_back(tmp_path):
    text = write_text(tmp_path / "short.txt", num_documents=19)
    refused(r"19 documents are too few .* --validation_file", text, tmp_path)


def test_sequences_longer_than_the_model(checkpoint, text, tmp_path):
    refused(r"max_seq_length 32 .* 16 positions", text, tmp_path, **checkpoint, max_seq_length=32)


def test_a_tokenizer_of_another_model(text, tmp_path):
    model = save_untrained(tmp_path / "model")
    large = train_wordpiece(documents_in(text), 200, LENGTH_TOKENS)
    large.save_pretrained(tmp_path / "tokenizer")
    size = len(AutoTokenizer.from_pretrained(model))
    assert size < len(large)
    arguments = {"model_name_or_path": str(model), "tokenizer_name": str(tmp_path / "tokenizer")}
    refused(rf"{len(large)} pieces, but the model only {size} embeddings", text, tmp_path, **arguments)
