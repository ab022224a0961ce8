import dataclasses
import json
import math
import re
import signal
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoTokenizer,
    BartConfig,
    BertGenerationConfig,
    XLNetConfig,
    pipeline,
)

from alum.core.errors import InputError
from alum.data.pretraining.corpora import file_corpus
from alum.data.pretraining.masking import TokenMasks, fixed_masks
from alum.data.pretraining.packing import Packing
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.stages.pretraining import head_warmup
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.run import pretrain
from alum.stages.pretraining.texts import find_texts, pack_texts
from alum.stages.runs import training
from alum.stages.runs.stopping import Interrupted
from alum.training.callbacks import Diverged, StopCleanly
from alum.training.language_modeling import LanguageModelTrainer
from tiny_stages import LENGTH_TOKENS, log_lines, pretrain_arguments, pretrain_config, record, save_untrained
from tiny_texts import write_rows, write_text


def run(text, folder, arguments=None, **settings):
    return pretrain(pretrain_arguments(text, **(arguments or {})), pretrain_config(folder, **settings))


def loss(result):
    return result.metrics["validation"]["loss"]


def loss_before(result):
    return result.metrics_before["validation"]["loss"]


def weights(result):
    return (Path(result.output_dir) / "model.safetensors").read_bytes()


# -- from scratch ------------------------------------------------------------------------------------------------------


def test_the_loss_falls(pretrained):
    # A model that knows nothing gives each of n pieces 1/n.
    tokenizer = AutoTokenizer.from_pretrained(pretrained.output_dir)
    assert loss_before(pretrained) == pytest.approx(math.log(len(tokenizer)), rel=0.1)
    assert loss(pretrained) < loss_before(pretrained) - 0.5
    scores, scores_before = pretrained.metrics["validation"], pretrained.metrics_before["validation"]
    assert scores["perplexity"] == pytest.approx(math.exp(loss(pretrained)))
    assert scores["accuracy"] > scores_before["accuracy"]


def test_the_scores_are_those_of_the_saved_model_on_held_back_text(pretrained, text):
    tokenizer = AutoTokenizer.from_pretrained(pretrained.output_dir)
    held_back = [" ".join(block.split()) for block in text.read_text().split("\n\n")][19::20]  # one in twenty
    stream = [token for ids in tokenizer(held_back, add_special_tokens=False)["input_ids"] for token in [*ids, 3]]
    body = LENGTH_TOKENS - 2
    rows = [[2, *stream[i : i + body], 3] for i in range(0, len(stream) - body + 1, body)]
    masked = fixed_masks(Dataset.from_dict({"input_ids": rows}), TokenMasks(tokenizer), 0.15)
    model = AutoModelForMaskedLM.from_pretrained(pretrained.output_dir)
    with torch.no_grad():
        output = model(**{name: torch.tensor(masked[name][:]) for name in ("input_ids", "labels")})
    labels = torch.tensor(masked["labels"][:])
    right = (output.logits.argmax(-1) == labels)[labels != -100]
    scores = pretrained.metrics["validation"]
    assert scores["loss"] == pytest.approx(output.loss.item(), rel=1e-4)  # one batch, whose mean is the whole mean
    assert scores["accuracy"] == pytest.approx(right.float().mean().item())
    assert scores["num_tokens"] == len(right)


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
    assert torch.__version__.startswith(settings["environment"]["torch"])  # some wheels tell their CUDA only here
    assert not [name for name in settings["config"] if name.endswith("token")]  # no secrets


def test_the_adversary_enters_half_way(pretrained):
    steps = [line for line in log_lines(Path(pretrained.output_dir) / "metrics.jsonl") if "loss" in line]
    assert [line["step"] for line in steps] == [10, 20, 21, 30, 40]
    assert [line["adv_alpha"] for line in steps] == [0, 0, 1, 1, 1]
    assert [line["adversarial_loss"] > 0 for line in steps] == [False, False, True, True, True]
    assert all(line["adversarial_gain"] > 10 for line in steps[2:])
    for gain, line in ((pretrained.first_gain, steps[2]), (pretrained.last_gain, steps[4])):
        assert gain == {
            "step": line["step"],
            "gain": line["adversarial_gain"],
            "divergence": line["divergence"],
            "strength": line["adversarial_strength"],
        }
        assert 0 < gain["strength"] <= 1
    card = (Path(pretrained.output_dir) / "README.md").read_text()
    assert "| adversarial gain at step 21 |" in card
    assert "| adversarial gain at step 40 |" in card


def test_the_seed_fixes_the_weights(text, tmp_path):
    first, again, other = (
        run(text, tmp_path / name, max_steps=2, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert weights(first) == weights(again)
    assert weights(first) != weights(other)


def test_flops_are_counted_where_asked_for(text, tmp_path):
    """An adversarial step of one-pass ALUM costs two standard ones."""
    settings = {"max_steps": 2, "count_flops_every": 1, "adv_gain_draws": 0, "adv_start_fraction": 0.0}
    standard, one_pass = (
        run(text, tmp_path / method, adv_method=method, **settings).train_flops
        for method in ("standard", "alum_one_pass")
    )
    assert one_pass == pytest.approx(2 * standard, rel=0.05)


FAMILIES = {"roberta-tiny": "fill-mask", "modernbert-tiny": "fill-mask", "gpt2-tiny": "text-generation"}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", FAMILIES)
def test_every_family_learns_and_loads_in_plain_transformers(architecture, text, tmp_path):
    result = run(text, tmp_path / "run", {"architecture": architecture, "vocab_size": 320}, max_steps=30)
    assert result.objective == ("causal_lm" if architecture == "gpt2-tiny" else "masked_lm")
    assert loss(result) < loss_before(result) - 0.5
    use = pipeline(FAMILIES[architecture], result.output_dir)
    if FAMILIES[architecture] == "fill-mask":
        assert len(use(f"the bright{use.tokenizer.mask_token} sees the warm dog .")) == 5
    else:
        assert use("the bright", max_new_tokens=4)[0]["generated_text"].startswith("the bright")


def test_each_validation_text_is_reported_by_itself(pretrained, text, tmp_path):
    dogs = tmp_path / "dogs.jsonl"
    dogs.write_text("".join(json.dumps({"body": "dog " * 40}) + "\n" for _ in range(30)))
    arguments = {
        "train_file": [str(dogs)],
        "text_column": "body",
        "tokenizer_name": pretrained.output_dir,  # one trained on nothing but dogs knows no other word
        "validation_file": [str(text), str(dogs)],
    }
    result = run(text, tmp_path / "run", arguments, max_steps=20)
    assert set(result.metrics) == {"text", "dogs"}
    gained = {name: result.metrics_before[name]["loss"] - result.metrics[name]["loss"] for name in result.metrics}
    assert gained["dogs"] > gained["text"] + 0.5


def test_weights_say_how_often_a_corpus_is_seen(text, tmp_path):
    plain, doubled = (
        run(text, tmp_path / name, {"train_weights": weights_}, max_steps=1).num_train_sequences
        for name, weights_ in (("once", []), ("twice", [2.0]))
    )
    assert doubled == 2 * plain


def test_a_stream_trains_as_well(text, tmp_path):
    result = run(text, tmp_path / "run", {"streaming": True}, max_steps=30)
    assert result.num_train_sequences is None
    assert loss(result) < loss_before(result) - 0.5


def test_a_second_run_takes_the_tokens_from_the_cache(text, tmp_path):
    cache = tmp_path / "cache"
    folders = []
    for name in ("a", "b"):
        run(text, tmp_path / name, {"cache_dir": str(cache)}, max_steps=1)
        folders.append({path.name: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()})
    assert folders[0] == folders[1]
    assert folders[0]


def test_whole_words_a_growing_rate_and_attention_within_documents(text, tmp_path):
    arguments = {
        "whole_word_masking": True,
        "mlm_probability": "0.05:0.25",
        "attention_within_documents": True,
    }
    result = run(text, tmp_path / "run", arguments, max_steps=30)
    assert loss(result) < loss_before(result) - 0.5


def test_a_run_leaves_a_curve_and_a_card(pretrained):
    folder = Path(pretrained.output_dir)
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")
    card = (folder / "README.md").read_text()
    assert "bert-tiny" in card
    assert "text.txt" in card


def test_only_so_many_sequences_are_used_of_all_corpora(text, tmp_path):
    files = [str(text), str(write_text(tmp_path / "other.txt", seed=1))]
    arguments = {"train_file": files, "max_train_samples": 16, "validation_file": [str(text)]}
    sequences = pack_texts(find_texts(args := pretrain_arguments(text, **arguments)), args, packing_of(text), seed=0)
    of_first = {tuple(row) for row in packing_of(text).rows(file_corpus(text))}
    taken = [tuple(row) in of_first for row in sequences.train["input_ids"]]
    assert len(taken) == 16
    assert 1 < sum(taken) < 15


def test_few_sequences_to_validate_on_are_of_all_corpora_that_spared_documents(tmp_path):
    files = [str(write_text(tmp_path / f"{seed}.txt", num_documents=400, seed=seed)) for seed in (0, 1)]
    args = pretrain_arguments(files[0], train_file=files, validation_file=[])
    texts = find_texts(args)
    everything = pack_texts(texts, args, packing_of(files[0]), seed=0).validation["validation"]["input_ids"]
    num_rows = len(everything)
    args = dataclasses.replace(args, max_eval_samples=4)
    some = pack_texts(texts, args, packing_of(files[0]), seed=0).validation["validation"]["input_ids"]
    found = [everything[:].index(row) for row in some]
    assert len(found) == 4 < num_rows / 2
    assert found == sorted(found)
    assert found[0] < num_rows / 2 <= found[-1], "of both, which spared about as much"


def packing_of(text):
    return Packing(train_wordpiece(file_corpus(text), 200, LENGTH_TOKENS), LENGTH_TOKENS)


def test_tokens_are_those_that_were_seen(text, tmp_path):
    """Ten sequences in batches of eight are two steps an epoch, the second of two sequences."""
    settings = {"max_steps": -1, "num_train_epochs": 3, "per_device_train_batch_size": 8}
    result = run(text, tmp_path / "run", {"max_train_samples": 10}, **settings)
    assert result.num_steps == 6
    assert result.num_train_tokens == 3 * 10 * LENGTH_TOKENS


def test_a_resumed_run_counts_from_its_beginning(text, tmp_path):
    """Stopped by a limit of time, gone on with, and called again when it is finished."""
    settings = {"max_steps": 4, "per_device_train_batch_size": 8, "logging_steps": 1}
    with pytest.raises(Interrupted):
        run(text, tmp_path / "run", max_minutes=1e-9, **settings)
    resumed = run(text, tmp_path / "run", resume_from_checkpoint="true", **settings)
    whole = run(text, tmp_path / "whole", **settings)
    for name in ("num_steps", "num_train_tokens", "metrics_before", "metrics"):
        assert getattr(resumed, name) == getattr(whole, name), name
    again = run(text, tmp_path / "run", resume_from_checkpoint="true", save_strategy="steps", save_steps=4, **settings)
    assert record(tmp_path / "run" / "results.json") == dataclasses.asdict(again)


def test_a_finished_stream_ends_when_it_is_resumed(text, tmp_path):
    settings = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    first = run(text, tmp_path / "run", {"streaming": True}, **settings)
    again = run(text, tmp_path / "run", {"streaming": True}, resume_from_checkpoint="true", **settings)
    assert dataclasses.asdict(again) == dataclasses.asdict(first)


def test_the_best_checkpoint_is_that_of_the_lowest_perplexity(text, tmp_path):
    """With a learning rate that makes the model worse, that is an early one."""
    settings = {"max_steps": 12, "save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "perplexity"}
    result = run(text, tmp_path / "run", **settings, **best)
    seen = [line["eval_perplexity"] for line in log_lines(tmp_path / "run" / "metrics.jsonl") if "eval_loss" in line]
    assert result.metrics["validation"]["perplexity"] == pytest.approx(min(seen), rel=1e-4)


def test_a_run_that_diverges_is_stopped(text, tmp_path):
    with pytest.raises(Diverged, match="the loss has been no number for 3 logs"):
        run(text, tmp_path / "run", weight_decay=1e30, max_grad_norm=0.0, logging_steps=1, max_steps=20)
    assert not (tmp_path / "run" / "results.json").exists()
    assert log_lines(tmp_path / "run" / "metrics.jsonl")[-1]["loss"] is None


def test_weights_that_are_no_numbers_in_the_end_are_no_model(text, tmp_path):
    """Though nothing was logged on the way."""
    with pytest.raises(Diverged, match=r"after 4 steps the weights are no numbers"):
        run(
            text,
            tmp_path / "run",
            weight_decay=1e30,
            max_grad_norm=0.0,
            logging_steps=100,
            max_steps=4,
            adv_method="standard",
        )
    assert not (tmp_path / "run" / "results.json").exists()
    assert not (tmp_path / "run" / "model.safetensors").exists()


# -- continued ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(pretrained):
    return {"model_name_or_path": pretrained.output_dir}


def test_continuing_starts_where_the_checkpoint_ended(pretrained, checkpoint, text, tmp_path):
    result = run(text, tmp_path / "run", checkpoint, max_steps=30)
    assert loss_before(result) == pytest.approx(loss(pretrained), rel=1e-5)
    assert loss(result) < loss_before(result)


def test_text_of_another_domain_is_validated_on_itself(checkpoint, text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("\n\n".join(["dog " * 40] * 3))
    result = run(other, tmp_path / "run", {**checkpoint, "validation_file": [str(text)]}, max_steps=20)
    assert loss(result) > loss_before(result)  # nothing but dogs has been learnt


@pytest.fixture
def headless(pretrained, tmp_path):
    """The encoder of a checkpoint without its language-model head, as sentence encoders are saved."""
    AutoModel.from_pretrained(pretrained.output_dir).save_pretrained(tmp_path / "headless")
    AutoTokenizer.from_pretrained(pretrained.output_dir).save_pretrained(tmp_path / "headless")
    return {"model_name_or_path": str(tmp_path / "headless"), "head_warmup_steps": 60}


def test_a_missing_head_is_warmed_up_alone(headless, pretrained, text, tmp_path, caplog):
    result = run(text, tmp_path / "run", headless, max_steps=1, learning_rate=0.0)
    assert "has no language-model head" in caplog.text
    # The run itself moves nothing. A head that knows nothing gives each of n pieces 1/n.
    assert loss(result) == loss_before(result) < math.log(len(AutoTokenizer.from_pretrained(result.output_dir))) - 0.5
    before, after = (AutoModelForMaskedLM.from_pretrained(f) for f in (pretrained.output_dir, result.output_dir))
    torch.testing.assert_close(dict(after.bert.named_parameters()), dict(before.bert.named_parameters()))
    assert after.cls.predictions.decoder.weight is after.bert.embeddings.word_embeddings.weight


@pytest.fixture
def at_step(monkeypatch):
    """Does something at the n-th step, counted over warm-up and run; gives the steps that there were."""
    steps, train_step = [], LanguageModelTrainer.training_step

    def at_step(number, act):
        def acted(self, *args, **kwargs):
            steps.append(self.state.global_step)
            if len(steps) == number:
                act()
            return train_step(self, *args, **kwargs)

        monkeypatch.setattr(LanguageModelTrainer, "training_step", acted)
        return steps

    return at_step


WARM_UP = {"head_warmup_steps": 6}
AFTER_WARM_UP = {"max_steps": 3, "save_strategy": "steps", "save_steps": 2, "resume_from_checkpoint": "auto"}


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(("number", "step"), [(signal.SIGINT, 1), (signal.SIGTERM, 4)])
def test_a_stopped_warm_up_goes_on_and_ends_the_same(headless, text, tmp_path, at_step, number, step):
    undisturbed = run(text, tmp_path / "undisturbed", headless | WARM_UP, **AFTER_WARM_UP)
    former = signal.getsignal(signal.SIGINT)
    steps = at_step(step, lambda: signal.raise_signal(number))
    with pytest.raises(Interrupted, match=f"stopped at step {step} of 6 of the new head.*checkpoint auto") as stopped:
        run(text, tmp_path / "run", headless | WARM_UP, **AFTER_WARM_UP)
    assert stopped.value.exit_code == 128 + number
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == [former, signal.SIG_DFL]
    resumed = run(text, tmp_path / "run", headless | WARM_UP, **AFTER_WARM_UP)
    assert steps == [*range(6), *range(3)]
    assert weights(resumed) == weights(undisturbed)
    assert resumed.metrics_before == undisturbed.metrics_before
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        path.name for path in (tmp_path / "undisturbed").iterdir()
    }


def test_a_warm_up_that_fails_before_a_checkpoint_leaves_nothing(headless, text, tmp_path, at_step):
    def interrupt():
        raise KeyboardInterrupt

    at_step(2, interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(text, tmp_path / "run", headless | WARM_UP, **(AFTER_WARM_UP | {"save_steps": 3}))
    assert not (tmp_path / "run").exists()


def test_a_run_that_fails_after_the_warm_up_does_not_repeat_it(headless, text, tmp_path, at_step):
    def fail():
        raise MemoryError

    steps = at_step(7, fail)
    with pytest.raises(MemoryError):
        run(text, tmp_path / "run", headless | WARM_UP, **AFTER_WARM_UP)
    resumed = run(text, tmp_path / "run", headless | WARM_UP, **AFTER_WARM_UP)
    assert steps == [*range(6), 0, *range(3)]
    assert not list((tmp_path / "run").glob(".*"))
    undisturbed = run(text, tmp_path / "undisturbed", headless | WARM_UP, **AFTER_WARM_UP)
    assert weights(resumed) == weights(undisturbed)


def test_after_the_head_all_weights_are_trained(headless, pretrained, text, tmp_path):
    result = run(text, tmp_path / "run", {**headless, "head_warmup_steps": 2}, max_steps=3)
    before, after = (AutoModelForMaskedLM.from_pretrained(f) for f in (pretrained.output_dir, result.output_dir))
    for name, value in after.bert.named_parameters():
        if "token_type" not in name and "position" not in name:
            assert not torch.equal(value, before.get_parameter(f"bert.{name}")), name


# -- what is refused ---------------------------------------------------------------------------------------------------


def refused(message, text, folder, **arguments):
    with pytest.raises(InputError, match=message):
        run(text, folder / "run", arguments)
    assert not list(folder.glob("run/*"))


def test_too_few_documents_to_hold_one_back(tmp_path):
    text = write_text(tmp_path / "short.txt", num_documents=19)
    refused(r"short.txt: too few documents to hold one in 20 back .* --validation_file", text, tmp_path)


def test_sequences_longer_than_the_model(checkpoint, text, tmp_path):
    refused(r"max_seq_length 32 .* 16 positions", text, tmp_path, **checkpoint, max_seq_length=32)


def test_a_default_length_gives_way_to_the_models(checkpoint, text, tmp_path):
    """As in the README's chain after pre-training with fewer than 128 tokens."""
    arguments = pretrain_arguments(text, **checkpoint, max_seq_length=None)
    result = pretrain(arguments, pretrain_config(tmp_path / "run", max_steps=1))
    assert result.sequence_length_tokens == 16
    assert record(tmp_path / "run" / "run.json")["arguments"]["max_seq_length"] == 16


def test_a_tokenizer_of_another_model(text, tmp_path):
    model = save_untrained(tmp_path / "model")
    large = train_wordpiece(file_corpus(text), 200, LENGTH_TOKENS)
    large.save_pretrained(tmp_path / "tokenizer")
    size = len(AutoTokenizer.from_pretrained(model))
    assert size < len(large)
    arguments = {"model_name_or_path": str(model), "tokenizer_name": str(tmp_path / "tokenizer")}
    refused(rf"{len(large)} pieces, but the model only {size} embeddings", text, tmp_path, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train_file": []}, "--train_file, or --dataset_name"),
        ({"dataset_name": "some/set"}, "train_file and dataset_name are two sources"),
        ({"train_weights": [1.0, 2.0]}, "2 train_weights for 1 corpora"),
        ({"streaming": True}, "--max_steps"),
        ({"streaming": True, "max_train_samples": 5}, "cannot be cut short"),
        ({"mlm_probability": "1.5"}, "1.5"),
        ({"mlm_probability": "often"}, "often"),
        ({"objective": "causal_lm"}, "bert-tiny has the objective masked_lm, not causal_lm"),
        ({"architecture": "bert-tiniest"}, "Did you mean 'bert-tiny'"),
        ({"max_seq_length": 2}, "max_seq_length"),
    ],
)
def test_settings_that_cannot_be(arguments, message, text, tmp_path):
    settings = {"max_steps": -1} if arguments == {"streaming": True} else {}
    with pytest.raises(InputError, match=message):
        run(text, tmp_path / "run", arguments, **settings)
    assert not list(tmp_path.glob("run/*"))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            {"architecture": "bert-mini", "model_name_or_path": "{}"},
            "the model is that of model_name_or_path, .*untrained",
        ),
        ({"vocab_size": 300, "model_name_or_path": "{}"}, "the tokenizer comes with model_name_or_path, .*untrained"),
        ({"tokenizer_type": "wordpiece", "model_name_or_path": "{}"}, "the tokenizer comes with"),
        ({"vocab_size": 300, "tokenizer_name": "{}"}, "the tokenizer is that of tokenizer_name, .*untrained"),
        ({"tokenizer_type": "byte_level_bpe", "tokenizer_name": "{}"}, "the tokenizer is that of"),
        ({"mlm_probability": "0.2", "architecture": "gpt2-tiny"}, "a causal model predicts every token"),
        ({"whole_word_masking": True, "architecture": "gpt2-tiny"}, "a causal model predicts every token"),
        ({"dataset_config_name": "en"}, "there is no dataset_name"),
        ({"dataset_split": "test"}, "there is no dataset_name"),
        ({"head_warmup_steps": 10}, "a model from scratch has no other head"),
        ({"text_column": "body"}, "files of plain text have no columns"),
    ],
)
def test_settings_without_effect(arguments, why, text, tmp_path):
    model = save_untrained(tmp_path / "untrained")
    name, value = next(iter(arguments.items()))
    given = {name: str(model) if value == "{}" else value for name, value in arguments.items()}
    refused(f"^{name} {value} has no effect: {why}.* Leave it out", text, tmp_path, **given)


def test_a_default_that_is_written_out_is_no_setting_without_effect(checkpoint, text, tmp_path):
    defaults = {
        field.name: field.default
        for field in dataclasses.fields(PretrainArguments)
        if field.default is not dataclasses.MISSING and field.name not in ("model_name_or_path", "max_seq_length")
    }
    assert run(text, tmp_path / "run", {**defaults, **checkpoint}, max_steps=1).num_steps == 1


def test_a_model_without_its_tokenizer(text, tmp_path):
    model = save_untrained(tmp_path / "model")
    for file in model.glob("tokenizer*"):
        file.unlink()
    refused("holds no tokenizer", text, tmp_path, model_name_or_path=str(model))


def test_weights_that_are_none(text, tmp_path):
    model = save_untrained(tmp_path / "model")
    (model / "model.safetensors").write_bytes(b"\xff" * 100)
    refused("no model can be loaded from .*model", text, tmp_path, model_name_or_path=str(model))


def test_pickled_weights(text, tmp_path):
    model = save_untrained(tmp_path / "model")
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    refused("pickled weights, which can run code and are not loaded", text, tmp_path, model_name_or_path=str(model))


def test_a_name_that_is_neither_a_folder_nor_a_model(text, tmp_path):
    refused("from no/model: there is no folder of that name in", text, tmp_path, model_name_or_path="no/model")


@pytest.mark.parametrize("arguments", [{}, {"architecture": "gpt2-tiny"}])
def test_a_block_that_the_model_has_not_is_refused_before_the_text_is_read(arguments, tmp_path):
    with pytest.raises(InputError, match="-tiny has blocks 0 to 1: there is no layer 2"):
        run(tmp_path / "missing.txt", tmp_path / "run", arguments, adv_layer="2")


def test_a_block_that_the_checkpoint_has_not_is_refused_before_the_text_is_read(tmp_path):
    checkpoint = {"model_name_or_path": str(save_untrained(tmp_path / "untrained"))}
    with pytest.raises(InputError, match="untrained has blocks 0 to 1: there is no layer 2"):
        run(tmp_path / "missing.txt", tmp_path / "run", checkpoint, adv_layer="2")


@pytest.mark.parametrize(("num_unknown", "warns"), [(0, False), (1, False), (6, True), (39, True)])
def test_many_unknown_tokens_are_told_with_their_share(num_unknown, warns, tmp_path, caplog):
    """Documents of 39 known words or unknown ones, each of one token, and a separator."""
    tokenizer = train_wordpiece(["dog"] * 9, 30, LENGTH_TOKENS)
    assert len(tokenizer.tokenize("dog")) == 1
    (tmp_path / "text.txt").write_text(
        "\n\n".join([" ".join(["漢"] * num_unknown + ["dog"] * (39 - num_unknown))] * 60)
    )
    arguments = pretrain_arguments(tmp_path / "text.txt", tokenizer_name="given", cache_dir=str(tmp_path / "cache"))
    packing = Packing(tokenizer, LENGTH_TOKENS)
    pack_texts(find_texts(arguments), arguments, packing, 0)
    told = [record.getMessage() for record in caplog.records if "are [UNK]" in record.getMessage()]
    assert bool(told) is warns
    for line in told:
        (share,) = re.findall(r"^(\d+) % of the tokens of .*--tokenizer_name", line)
        assert int(share) == pytest.approx(100 * num_unknown / 39, abs=2)  # a last sequence that is not full is cut


def test_a_text_of_unknown_words(pretrained, text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("\n\n".join(["漢字 " * 20] * 30))
    arguments = {"tokenizer_name": pretrained.output_dir, "validation_file": [str(other)]}
    for _ in range(2):  # it is found late, and the same call is told the same again
        with pytest.raises(InputError, match="no token of the validation text can be predicted"):
            run(text, tmp_path / "run", arguments)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("name", "value"), [("learning_rate", float("nan")), ("seed", -1), ("data_seed", 2**32)])
def test_numbers_that_no_run_can_have(name, value, tmp_path):
    with pytest.raises(InputError, match=f"{name} must"):
        pretrain_config(tmp_path, **{name: value})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_steps": 0}, "nothing to train"),
        ({"max_steps": -1, "num_train_epochs": -1}, "nothing to train"),
        ({"dataloader_drop_last": True}, "dataloader_drop_last must stay False"),
        ({"eval_do_concat_batches": False}, "eval_do_concat_batches must stay True"),
    ],
)
def test_settings_of_the_trainer_that_cannot_be(settings, message, tmp_path):
    with pytest.raises(InputError, match=message):
        pretrain_config(tmp_path, **settings)


def test_the_best_checkpoint_of_several_texts_needs_the_name_of_one(pretrained, text, tmp_path):
    (tmp_path / "other.txt").write_text(text.read_text())
    arguments = {"validation_file": [str(text), str(tmp_path / "other.txt")], "tokenizer_name": pretrained.output_dir}
    best = {"load_best_model_at_end": True, "save_strategy": "steps", "eval_strategy": "steps"}
    with pytest.raises(InputError, match=r"metric_for_best_model 'loss': expected one of text_loss, .*other_loss"):
        run(text, tmp_path / "run", arguments, **best)


def test_a_metric_that_there_will_not_be_is_refused_before_training(text, tmp_path):
    with pytest.raises(InputError, match=r"metric_for_best_model 'acc': expected one of loss, perplexity, accuracy"):
        run(text, tmp_path / "run", metric_for_best_model="acc", eval_strategy="steps")


@pytest.mark.parametrize("config", [BartConfig(), BertGenerationConfig(), XLNetConfig()], ids=lambda c: c.model_type)
def test_models_that_see_what_they_are_to_predict(config, text, tmp_path):
    config.save_pretrained(tmp_path / "model")
    refused("cannot be pre-trained here", text, tmp_path, model_name_or_path=str(tmp_path / "model"))


def test_an_encoder_cannot_predict_the_next_token(checkpoint, text, tmp_path):
    refused(
        "can be trained with objective masked_lm, not causal_lm", text, tmp_path, **checkpoint, objective="causal_lm"
    )


def test_a_run_goes_on_with_the_text_and_the_settings_that_it_began_with(tmp_path):
    text = write_text(tmp_path / "text.txt")
    steps = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    run(text, tmp_path / "run", **steps)
    with pytest.raises(InputError, match="vocab_size was 200 and is 150"):
        run(text, tmp_path / "run", {"vocab_size": 150}, resume_from_checkpoint="true", **steps)
    with pytest.raises(InputError, match=r"learning_rate was 0\.001 and is 0\.5"):
        run(text, tmp_path / "run", learning_rate=0.5, resume_from_checkpoint="true", **steps)
    text.write_text(text.read_text() + "\n\nmore")
    with pytest.raises(InputError, match=r"text\.txt was .* and is "):
        run(text, tmp_path / "run", resume_from_checkpoint="true", **steps)


def test_a_unit_of_documents_is_of_plain_text(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", [{"text": "a"}])
    arguments = PretrainArguments(train_file=[str(rows)], validation_file=[str(rows)], document_unit="line")
    with pytest.raises(InputError, match=r"^document_unit line has no effect: there is no file of plain text"):
        pretrain(arguments, pretrain_config(tmp_path / "run"))


def test_minutes_count_from_the_warm_up_on(text, headless, tmp_path, monkeypatch):
    """Their end may come in either training, and not a second time."""
    begins = []

    class Noted(StopCleanly):
        def __init__(self, max_minutes=None, begin=None):
            begins.append(begin)
            super().__init__(max_minutes, begin)

    for module in (head_warmup, training):
        monkeypatch.setattr(module, "StopCleanly", Noted)
    run(text, tmp_path / "run", {**headless, "head_warmup_steps": 1}, max_steps=1)
    assert len(begins) == 2
    assert begins[0] == begins[1] is not None
