"""`AlumMixin` in TRL's `RewardTrainer`: D between preferences, and pairs that stay together."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from transformers import AutoModelForSequenceClassification

from alum.training.config import AlumConfig
from alum.training.trainer import AlumMixin
from plain_one_pass import ONE_STEP, assert_step, one_pass_gradients
from tiny_language_data import ANSWERS, SENTENCES, causal_tokenizer
from tiny_models import headed
from tiny_runs import FOR_ANY_MODEL, STEPS, logged, weights

trl = pytest.importorskip("trl", reason="needs the extra trl")

EXACT = {"rtol": 0, "atol": 0}
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
ATTACKING = [name for name in FOR_ANY_MODEL if name != "standard"]
PAIRS = {"prompt": SENTENCES, "chosen": ANSWERS, "rejected": [ANSWERS[i - 3] for i in range(len(ANSWERS))]}
MARGINS = {**PAIRS, "margin": [0.1 * i for i in range(len(ANSWERS))]}


class AlumRewardTrainer(AlumMixin, trl.RewardTrainer):
    pass


@dataclass
class Config(trl.RewardConfig, AlumConfig):
    pass


def settings(folder, settings_class=Config, **changes):
    own = {"max_steps": 2, "per_device_train_batch_size": 4, "bf16": False, "gradient_checkpointing": False}
    return settings_class(**{**STEPS, "output_dir": str(folder), **own, **changes})


def reward_model(dropout=0.0):
    tokenizer = causal_tokenizer()
    sizes = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "num_labels": 1}
    return headed(AutoModelForSequenceClassification, "llama", dropout, **sizes)


def trainer_of(arguments, trainer_class=AlumRewardTrainer, model=None, columns=PAIRS):
    rows = Dataset.from_dict(columns)
    model = reward_model() if model is None else model
    return trainer_class(model=model, args=arguments, train_dataset=rows, processing_class=causal_tokenizer())


def run(*args, **options):
    trainer = trainer_of(*args, **options)
    trainer.train()
    return trainer


@pytest.mark.parametrize("method", [{"adv_method": "standard"}, {"adv_method": "alum", "adv_alpha": 0.0}])
@pytest.mark.parametrize("batches", [{}, {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4}])
def test_without_an_adversary_it_is_the_trainers_bit_for_bit(tmp_path, method, batches):
    ours = run(settings(tmp_path, **method, **batches), model=reward_model(0.1))
    plain = run(settings(tmp_path, trl.RewardConfig, **batches), trl.RewardTrainer, reward_model(0.1))
    for name in ("loss", "accuracy", "mean_reward", "num_tokens"):
        assert logged(ours, name) == logged(plain, name) != []
    torch.testing.assert_close(weights(ours), weights(plain), **EXACT)


@pytest.mark.parametrize("columns", [PAIRS, MARGINS], ids=["pairs", "margins"])
def test_a_step_is_the_objective_written_out(tmp_path, columns):
    model = reward_model()
    trainer = trainer_of(settings(tmp_path, **ONE_STEP), model=model, columns=columns)
    batch = next(iter(trainer_of(settings(tmp_path, **ONE_STEP), columns=columns).get_train_dataloader()))
    model.train()

    def loss_and_outputs():
        rewards = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        differences = rewards[:4] - rewards[4:]
        margin = batch["margin"].unsqueeze(-1) if "margin" in batch else 0.0
        return -F.logsigmoid(differences - margin).mean(), differences

    def distance(first, second):
        return ((first.sigmoid() - second.sigmoid()) * (first - second)).squeeze(-1)

    before, parameters = weights(trainer), dict(model.named_parameters())
    place, mask = model.get_input_embeddings(), batch["attention_mask"].bool()
    gradients = one_pass_gradients(place, mask, loss_and_outputs, distance, parameters)
    trainer.train()
    assert_step(trainer, before, gradients)


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("method", ["alum_one_pass", "alum_virtual", "fgm", "pgd"])  # those that draw nothing
def test_four_micro_batches_are_one_batch(tmp_path, method):
    small, large = (
        run(settings(tmp_path, adv_method=method, **sizes))
        for sizes in ({"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4}, {})
    )
    torch.testing.assert_close(weights(small), weights(large), **CLOSE)


@pytest.mark.parametrize("method", ["alum", "alum_one_pass", "alum_virtual", "pgd"])
def test_the_adversary_beats_noise(tmp_path, method):
    trainer = run(settings(tmp_path, adv_method=method), model=reward_model(0.1))
    assert min(logged(trainer, "adversarial_gain")) > 2


@pytest.mark.parametrize("method", ["alum_one_pass", "alum_virtual"])
def test_pairs_are_attacked_or_spared_as_a_whole(tmp_path, method, monkeypatch):
    seen = []
    trainer = trainer_of(settings(tmp_path, adv_method=method, adv_fraction=0.5), columns=MARGINS)
    task_loss = trainer._task_loss

    def observed(model, inputs, *args, **kwargs):
        seen.append({name: value.clone() for name, value in inputs.items() if torch.is_tensor(value)})
        return task_loss(model, inputs, *args, **kwargs)

    monkeypatch.setattr(trainer, "_task_loss", observed)
    whole = next(iter(trainer_of(settings(tmp_path), columns=MARGINS).get_train_dataloader()))
    trainer.train()
    spared, attacked = seen[:2]
    assert len(spared["margin"]) == len(attacked["margin"]) == 2
    for part in (spared, attacked):
        for number, margin in enumerate(part["margin"]):
            (pair,) = (whole["margin"] == margin).nonzero().flatten().tolist()
            torch.testing.assert_close(part["input_ids"][number], whole["input_ids"][pair])
            torch.testing.assert_close(part["input_ids"][number + 2], whole["input_ids"][pair + 4])


def test_without_an_adversary_parts_are_the_whole(tmp_path):
    tiny = {"adv_method": "alum_one_pass", "adv_alpha": 1e-12, "adv_dropout": "shared"}
    parts = run(settings(tmp_path, adv_fraction=0.5, **tiny), columns=MARGINS)
    plain = run(settings(tmp_path, trl.RewardConfig), trl.RewardTrainer, columns=MARGINS)
    torch.testing.assert_close(weights(parts), weights(plain), **CLOSE)
