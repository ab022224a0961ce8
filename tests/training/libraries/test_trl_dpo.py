"""`AlumMixin` in TRL's `DPOTrainer`: D over the tokens of both completions, and a reference that is not perturbed."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset

from alum.core.errors import InputError
from alum.training.config import AlumConfig
from alum.training.trainer import AlumMixin
from plain_one_pass import ONE_STEP, assert_step, jeffreys, one_pass_gradients
from tiny_language_data import ANSWERS, SENTENCES, causal_model, causal_tokenizer
from tiny_runs import FOR_ANY_MODEL, STEPS, logged, weights

trl = pytest.importorskip("trl", reason="needs the extra trl")

EXACT = {"rtol": 0, "atol": 0}
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
ATTACKING = [name for name in FOR_ANY_MODEL if name != "standard"]
PAIRS = {"prompt": SENTENCES, "chosen": ANSWERS, "rejected": [ANSWERS[i - 3] for i in range(len(ANSWERS))]}


class AlumDPOTrainer(AlumMixin, trl.DPOTrainer):
    pass


@dataclass
class Config(trl.DPOConfig, AlumConfig):
    pass


def settings(folder, settings_class=Config, **changes):
    own = {
        "max_steps": 2,
        "per_device_train_batch_size": 4,
        "bf16": False,
        "gradient_checkpointing": False,
        "beta": 0.5,
    }
    if issubclass(settings_class, AlumConfig):
        own["adv_gain_draws"] = 0
    return settings_class(**{**STEPS, "output_dir": str(folder), **own, **changes})


def trainer_of(arguments, trainer_class=AlumDPOTrainer, model=None, **options):
    model = causal_model() if model is None else model
    if "peft_config" not in options:
        options.setdefault("ref_model", causal_model())
    rows = Dataset.from_dict(PAIRS)
    return trainer_class(
        model=model, args=arguments, train_dataset=rows, processing_class=causal_tokenizer(), **options
    )


def run(*args, **options):
    trainer = trainer_of(*args, **options)
    trainer.train()
    return trainer


FIGURES = ("rewards/margins", "logps/chosen", "logps/rejected")


@pytest.mark.parametrize("method", [{"adv_method": "standard"}, {"adv_method": "alum", "adv_alpha": 0.0}])
@pytest.mark.parametrize("batches", [{}, {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4}])
def test_without_an_adversary_it_is_the_trainers_bit_for_bit(tmp_path, method, batches):
    ours = run(settings(tmp_path, **method, **batches), model=causal_model(dropout=0.1))
    plain = run(settings(tmp_path, trl.DPOConfig, **batches), trl.DPOTrainer, causal_model(dropout=0.1))
    for name in ("loss", *FIGURES):
        assert logged(ours, name) == logged(plain, name) != []
    torch.testing.assert_close(weights(ours), weights(plain), **EXACT)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_step_is_the_objective_written_out(tmp_path, architecture):
    model, reference = causal_model(architecture), causal_model(architecture, seed=1)
    trainer = trainer_of(settings(tmp_path, **ONE_STEP), model=model, ref_model=reference)
    batch = next(iter(trainer_of(settings(tmp_path, **ONE_STEP)).get_train_dataloader()))
    learnt = batch["completion_mask"][:, 1:].bool()
    model.train()

    def log_probs(of_model):
        logits = of_model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
        of_next = logits.log_softmax(-1).gather(-1, batch["input_ids"][:, 1:, None]).squeeze(-1)
        return (of_next * learnt).sum(1), logits[learnt]

    with torch.no_grad():
        of_reference, _ = log_probs(reference)

    def loss_and_outputs():
        of_policy, logits = log_probs(model)
        ratios = of_policy - of_reference
        return -F.logsigmoid(0.5 * (ratios[:4] - ratios[4:])).mean(), logits

    before, parameters = weights(trainer), dict(model.named_parameters())
    place, mask = model.get_input_embeddings(), batch["attention_mask"].bool()
    gradients = one_pass_gradients(place, mask, loss_and_outputs, jeffreys, parameters)
    trainer.train()
    assert_step(trainer, before, gradients)


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize("method", [name for name in ATTACKING if name != "freelb"])  # which has no clean pass
def test_the_reference_is_not_perturbed_and_figures_are_of_the_clean_passes(tmp_path, method):
    first = run(settings(tmp_path, adv_method=method, max_steps=1))
    plain = run(settings(tmp_path, trl.DPOConfig, max_steps=1), trl.DPOTrainer)
    for name in FIGURES:
        assert logged(first, name) == pytest.approx(logged(plain, name), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("method", ["alum_one_pass", "alum_virtual", "fgm", "pgd"])  # those that draw nothing
def test_four_micro_batches_weigh_alike(tmp_path, method):
    """The task loss is a mean over pairs, which TRL weighs alike; D is one over the tokens of a micro-batch."""
    small = run(
        settings(tmp_path, adv_method=method, per_device_train_batch_size=1, gradient_accumulation_steps=4, max_steps=1)
    )
    large = run(settings(tmp_path, adv_method=method, max_steps=1))
    assert logged(small, "task_loss") == pytest.approx(logged(large, "task_loss"), rel=1e-5)


@pytest.mark.parametrize("method", ["alum", "alum_one_pass", "alum_virtual", "pgd"])
def test_the_adversary_beats_noise(tmp_path, method):
    trainer = run(settings(tmp_path, adv_gain_draws=2, adv_method=method), model=causal_model(dropout=0.1))
    assert min(logged(trainer, "adversarial_gain")) > 2


@pytest.mark.parametrize("method", ["alum", "alum_one_pass", "pgd"])
def test_log_probs_of_the_reference_may_be_computed_before(tmp_path, method):
    before, during = (
        run(settings(tmp_path, adv_method=method, precompute_ref_log_probs=precomputed))
        for precomputed in (True, False)
    )
    torch.testing.assert_close(weights(before), weights(during), **CLOSE)


def test_a_part_of_the_pairs_is_attacked(tmp_path):
    tiny = {"adv_method": "alum_one_pass", "adv_alpha": 1e-12}
    parts = run(settings(tmp_path, adv_fraction=0.5, **tiny))
    plain = run(settings(tmp_path, trl.DPOConfig), trl.DPOTrainer)
    torch.testing.assert_close(weights(parts), weights(plain), **CLOSE)


@pytest.mark.parametrize("method", ["alum", "alum_one_pass", "alum_virtual", "fgm", "pgd"])
def test_an_adapter_whose_reference_is_the_model_below(tmp_path, method):
    peft = pytest.importorskip("peft", reason="needs the extra peft")
    adapter = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    first = run(settings(tmp_path, adv_gain_draws=2, adv_method=method, max_steps=1), peft_config=adapter)
    plain = run(settings(tmp_path, trl.DPOConfig, max_steps=1), trl.DPOTrainer, peft_config=adapter)
    assert min(logged(first, "adversarial_gain")) > 2
    for name in FIGURES:
        assert logged(first, name) == pytest.approx(logged(plain, name), rel=1e-5)


def test_an_adapters_reference_that_cannot_be_told_apart_is_refused_by_the_reason(tmp_path):
    peft = pytest.importorskip("peft", reason="needs the extra peft")
    adapter = peft.LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    first = {"adv_method": "alum", "adv_clean_side": "first", "adv_gain_draws": 2}
    with pytest.raises(InputError, match=r"reference.*adv_clean_side 'joint' or 'constant'.*precompute_ref_log_probs"):
        run(settings(tmp_path, **first), peft_config=adapter)
    trainer = run(settings(tmp_path, **first, precompute_ref_log_probs=True), peft_config=adapter)
    assert min(logged(trainer, "adversarial_gain")) > 2


def test_evaluation_is_the_trainers(tmp_path):
    scores = []
    for trainer_class, arguments in (
        (AlumDPOTrainer, settings(tmp_path, adv_method="alum", adv_start_fraction=1.0)),
        (trl.DPOTrainer, settings(tmp_path, trl.DPOConfig)),
    ):
        trainer = run(arguments, trainer_class, eval_dataset=Dataset.from_dict(PAIRS))
        scores.append({name: v for name, v in trainer.evaluate().items() if not name.endswith(("time", "second"))})
    assert scores[0] == scores[1]
