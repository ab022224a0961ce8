"""`AlumMixin` in TRL's `SFTTrainer`, for each form of its data."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset

from alum.training.config import AlumConfig
from alum.training.trainer import AlumMixin
from plain_one_pass import ONE_STEP, assert_step, jeffreys, one_pass_gradients
from tiny_language_data import ANSWERS, SENTENCES, causal_model, causal_tokenizer
from tiny_runs import FOR_ANY_MODEL, STEPS, logged, weights

trl = pytest.importorskip("trl", reason="needs the extra trl")

EXACT = {"rtol": 0, "atol": 0}
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
ATTACKING = [name for name in FOR_ANY_MODEL if name != "standard"]


class AlumSFTTrainer(AlumMixin, trl.SFTTrainer):
    pass


@dataclass
class Config(trl.SFTConfig, AlumConfig):
    pass


TEXTS = {"text": SENTENCES}
COMPLETIONS = {"prompt": SENTENCES, "completion": ANSWERS}
PADDING_FREE = {"padding_free": True, "max_length": None}
FORMS = {
    "plain": (TEXTS, {}),
    "completion-only": (COMPLETIONS, {}),
    "wrapped": (TEXTS, {"packing": True, "packing_strategy": "wrapped", "max_length": 12}),
    "packed": (TEXTS, {"packing": True, "max_length": 12}),
    "padding-free": (TEXTS, PADDING_FREE),
}


def settings(folder, settings_class=Config, **changes):
    own = {"max_steps": 2, "per_device_train_batch_size": 4, "bf16": False, "gradient_checkpointing": False}
    if issubclass(settings_class, AlumConfig):
        own["adv_gain_draws"] = 0
    return settings_class(**{**STEPS, "output_dir": str(folder), **own, **changes})


def trainer_of(arguments, columns, trainer_class=AlumSFTTrainer, model=None, **options):
    model = causal_model() if model is None else model
    rows = Dataset.from_dict(columns)
    return trainer_class(
        model=model, args=arguments, train_dataset=rows, processing_class=causal_tokenizer(), **options
    )


def run(*args, **options):
    trainer = trainer_of(*args, **options)
    trainer.train()
    return trainer


WITHOUT = {"standard": {"adv_method": "standard"}, "alpha 0": {"adv_method": "alum", "adv_alpha": 0.0}}


@pytest.mark.parametrize(
    ("form", "method"), [*((form, "standard") for form in FORMS), ("plain", "alpha 0"), ("padding-free", "alpha 0")]
)
def test_without_an_adversary_it_is_the_trainers_bit_for_bit(tmp_path, form, method):
    columns, of_form = FORMS[form]
    ours = run(settings(tmp_path, **of_form, **WITHOUT[method]), columns, model=causal_model(dropout=0.1))
    theirs = settings(tmp_path, trl.SFTConfig, **of_form)
    plain = run(theirs, columns, trl.SFTTrainer, model=causal_model(dropout=0.1))
    for name in ("loss", "entropy", "mean_token_accuracy", "num_tokens"):
        assert logged(ours, name) == logged(plain, name) != []
    torch.testing.assert_close(weights(ours), weights(plain), **EXACT)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("form", ["plain", "completion-only", "wrapped"])
def test_a_step_is_the_objective_written_out(tmp_path, form, architecture):
    columns, of_form = FORMS[form]
    model = causal_model(architecture)
    trainer = trainer_of(settings(tmp_path, **ONE_STEP, **of_form), columns, model=model)
    batch = next(iter(trainer_of(settings(tmp_path, **ONE_STEP, **of_form), columns).get_train_dataloader()))
    before, gradients = weights(trainer), written_out(model, batch)
    trainer.train()
    assert_step(trainer, before, gradients)


def written_out(model, batch):
    """Gradients of a padded batch of ``input_ids``, ``attention_mask`` and ``labels``."""
    model.train()
    next_labels = batch["labels"][:, 1:]
    learnt = next_labels != -100

    def loss_and_outputs():
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1][learnt]
        return F.cross_entropy(logits, next_labels[learnt]), logits

    place, parameters = model.get_input_embeddings(), dict(model.named_parameters())
    return one_pass_gradients(place, batch["attention_mask"].bool(), loss_and_outputs, jeffreys, parameters)


@pytest.mark.parametrize("form", ["packed", "padding-free"])
def test_a_step_on_sequences_in_one_row_is_the_objective_of_padded_ones(tmp_path, form):
    columns, of_form = FORMS[form]
    model = causal_model()
    trainer = trainer_of(settings(tmp_path, **ONE_STEP, **of_form), columns, model=model)
    batch = next(iter(trainer_of(settings(tmp_path, **ONE_STEP, **of_form), columns).get_train_dataloader()))
    assert batch["input_ids"].shape[0] == 1
    lengths = batch["cu_seq_lens_q"].diff().tolist()
    assert len(lengths) > 2

    def padded(name, value):
        sequences = batch[name][0].split(lengths)
        return torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=value)

    as_rows = {"input_ids": padded("input_ids", 0), "labels": padded("labels", -100)}
    as_rows["attention_mask"] = torch.tensor([[i < n for i in range(max(lengths))] for n in lengths]).long()
    before, gradients = weights(trainer), written_out(model, as_rows)
    trainer.train()
    assert_step(trainer, before, gradients)


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize(
    ("method", "changes"),
    [
        *((method, {}) for method in ("alum", "alum_one_pass", "pgd")),
        ("alum", {"adv_scope": "sequence"}),
        ("alum_one_pass", {"adv_scope": "sequence"}),
        ("alum", {"adv_layer": "1"}),
        ("pgd", {"adv_layer": "1"}),
        ("alum_one_pass", {"adv_special_tokens": "keep"}),
        ("pgd", {"adv_special_tokens": "keep"}),
    ],
    ids=str,
)
def test_without_padding_each_sequence_has_the_ball_that_it_has_in_padded_rows(tmp_path, method, changes):
    free, padded = (
        run(settings(tmp_path, adv_gain_draws=2, adv_method=method, **changes, **form), TEXTS)
        for form in (PADDING_FREE, {})
    )
    for name in ("loss", "perturbation_norm"):
        assert logged(free, name) == pytest.approx(logged(padded, name), rel=1e-4)
    torch.testing.assert_close(weights(free), weights(padded), **CLOSE)


@pytest.mark.parametrize("method", ["alum_one_pass", "alum_virtual", "fgm", "pgd"])  # those that draw nothing
def test_four_micro_batches_are_one_batch(tmp_path, method):
    small, large = (
        run(settings(tmp_path, adv_method=method, **sizes), COMPLETIONS)
        for sizes in ({"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4}, {})
    )
    torch.testing.assert_close(weights(small), weights(large), **CLOSE)


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize(
    ("form", "method"),
    [
        *zip(FORMS, ["alum", "alum_virtual", "alum_one_pass", "alum", "alum_virtual"], strict=True),
        *zip(FORMS, ["alum_one_pass", "alum", "alum_virtual", "alum_one_pass", "alum"], strict=True),
    ],
)
def test_the_adversary_beats_noise(tmp_path, form, method):
    columns, of_form = FORMS[form]
    trainer = run(
        settings(tmp_path, adv_gain_draws=2, adv_method=method, **of_form), columns, model=causal_model(dropout=0.1)
    )
    assert min(logged(trainer, "adversarial_gain")) > 2


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize("method", [name for name in ATTACKING if name != "freelb"])  # which has no clean pass
def test_the_trainers_figures_are_of_the_clean_passes(tmp_path, method):
    first = run(settings(tmp_path, adv_method=method, max_steps=1), COMPLETIONS)
    plain = run(settings(tmp_path, trl.SFTConfig, max_steps=1), COMPLETIONS, trl.SFTTrainer)
    for name in ("entropy", "mean_token_accuracy", "num_tokens"):
        assert logged(first, name) == pytest.approx(logged(plain, name), rel=1e-5)


@pytest.mark.parametrize("method", ["alum", "alum_one_pass", "alum_virtual"])
def test_gradient_checkpointing_which_trl_turns_on_changes_nothing(tmp_path, method):
    with_it, without = (
        run(settings(tmp_path, adv_method=method, gradient_checkpointing=on), TEXTS) for on in (True, False)
    )
    torch.testing.assert_close(weights(with_it), weights(without), **CLOSE)


def test_a_part_of_the_rows_is_attacked(tmp_path):
    trainer = run(settings(tmp_path, adv_gain_draws=2, adv_method="alum", adv_fraction=0.5, max_steps=6), COMPLETIONS)
    assert min(logged(trainer, "adversarial_gain")) > 2


@pytest.mark.parametrize("form", ["completion-only", "padding-free"])
def test_evaluation_is_the_trainers(tmp_path, form):
    columns, of_form = FORMS[form]
    scores = []
    for trainer_class, arguments in (
        (AlumSFTTrainer, settings(tmp_path, adv_method="alum", adv_start_fraction=1.0, **of_form)),
        (trl.SFTTrainer, settings(tmp_path, trl.SFTConfig, **of_form)),
    ):
        trainer = run(arguments, columns, trainer_class, eval_dataset=Dataset.from_dict(columns))
        scores.append({name: v for name, v in trainer.evaluate().items() if not name.endswith(("time", "second"))})
    assert scores[0] == scores[1]


def test_an_adapter_is_trained(tmp_path):
    peft = pytest.importorskip("peft", reason="needs the extra peft")
    adapter = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", lora_dropout=0.1)
    trainer = run(settings(tmp_path, adv_gain_draws=2, adv_method="alum"), COMPLETIONS, peft_config=adapter)
    assert min(logged(trainer, "adversarial_gain")) > 2
