"""The other implementations that the benchmarks compare with: each does what its paper or its README says."""

import pytest
import torch
import torch.nn.functional as F
from transformers import Trainer

from benchmarks import peers
from tiny_models import classifier, token_batch
from tiny_runs import plain_config

FROM_PAPERS = ("ALUM, Algorithm 1", "FreeLB, K = 3", "PGD, K = 3")
HERE = peers.peers_here()
ALL = [
    pytest.param(name, marks=pytest.mark.skipif(name not in HERE, reason=f"{name} is not installed: make bench does"))
    for name in peers.PEERS
]


@pytest.fixture
def batch():
    batch = token_batch(lengths=(9, 6, 4))
    return {**batch, "token_type_ids": torch.zeros_like(batch["input_ids"]), "labels": torch.tensor([0, 1, 1])}


@pytest.fixture
def model():
    return classifier("bert", dropout=0.0)


def trainer_of(name, model, folder):
    return peers.PEERS[name](model, plain_config(folder))


def gradients(model):
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
    model.zero_grad()
    return found


def gradients_of_a_step(trainer, model, batch):
    trainer.create_optimizer_and_scheduler(num_training_steps=4)
    trainer.current_gradient_accumulation_steps = 1
    trainer.training_step(model, dict(batch), torch.tensor(len(batch["labels"])))
    return gradients(model)


@pytest.mark.parametrize("name", ALL)
def test_an_attack_leaves_the_weights_alone_and_is_seen_by_the_model(name, model, batch, tmp_path):
    torch.manual_seed(0)
    trainer = trainer_of(name, model, tmp_path)
    attack = trainer.attack(model, batch)
    assert attack.delta.shape == (3, 9, 32)
    assert gradients(model) == {}
    moved = (attack.logits_at(attack.delta) - attack.logits_at(0.0)).abs().max()
    further = (attack.logits_at(100 * attack.delta) - attack.logits_at(0.0)).abs().max()
    assert 0 < moved < further


@pytest.mark.parametrize("name", FROM_PAPERS)
def test_without_a_radius_the_papers_steps_are_plain_ones(name, model, batch, tmp_path):
    """Three forward passes at one point have the mean gradient of one, and a divergence from oneself has none."""
    expected = gradients_of_a_step(Trainer(model, plain_config(tmp_path)), model, batch)
    trainer = trainer_of(name, model, tmp_path)
    trainer.epsilon = 1e-12
    found = gradients_of_a_step(trainer, model, batch)
    assert found.keys() == expected.keys()
    for parameter, value in expected.items():
        torch.testing.assert_close(found[parameter], value, rtol=1e-4, atol=1e-6)


def test_the_adversary_of_the_recipe_stays_within_its_tiny_box(model, batch, tmp_path):
    delta = trainer_of("ALUM, Algorithm 1", model, tmp_path).attack(model, batch).delta
    assert 0.5e-5 < delta.abs().max() <= 1e-5


def test_freelb_stays_in_a_ball_for_each_sentence(model, batch, tmp_path):
    trainer = trainer_of("FreeLB, K = 3", model, tmp_path)
    lengths = trainer.attack(model, batch).delta.flatten(1).norm(dim=1)
    assert (lengths <= 0.15 * 1.0001).all()
    assert (lengths > 0.1).all()  # two steps of 0.1 in about one direction reach the sphere, or nearly


def test_pgd_raises_the_loss_within_a_ball_for_each_token(model, batch, tmp_path):
    trainer = trainer_of("PGD, K = 3", model, tmp_path)
    attack = trainer.attack(model, batch)
    mask = batch["attention_mask"].bool()
    words = model.get_input_embeddings()(batch["input_ids"]).detach()
    for row, kept in enumerate(mask):
        radius = 0.03 * words[row, kept].norm(dim=-1).mean()
        assert (attack.delta[row].norm(dim=-1) <= radius * 1.0001).all()
        assert (attack.delta[row, ~kept] == 0).all()
    losses = [
        F.cross_entropy(attack.logits_at(delta), batch["labels"]).item()
        for delta in (attack.delta / 2, attack.delta, -attack.delta)
    ]
    assert losses[2] < losses[0] < losses[1]


@pytest.mark.parametrize("name", ALL[3:])
def test_the_packages_stretch_every_token_to_one(name, model, batch, tmp_path):
    """Whatever their step size: the last step divides by the largest coordinate."""
    attack = trainer_of(name, model, tmp_path).attack(model, batch)
    torch.testing.assert_close(attack.delta.abs().amax(dim=-1), torch.ones(3, 9), rtol=0, atol=0.2)


@pytest.mark.parametrize("name", ALL[4:])
def test_the_extracted_model_is_the_model(name, model, batch, tmp_path):
    logits = trainer_of(name, model, tmp_path).attack(model, batch).logits_at(0.0)
    torch.testing.assert_close(logits, model(**batch).logits)
