"""The divergence of real training steps comes to its target and stays there, also in a run that is resumed."""

import dataclasses
import json

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from alum.core.errors import InputError
from alum.core.objective import AlumResult
from alum.training.checkpoint_files import write_manifest
from alum.training.parts.radius_control import RadiusControl
from alum.training.step import AlumStep
from alum.training.trainer import AlumTrainer
from tiny_models import VOCAB_SIZE, classifier
from tiny_runs import config, labelled_sentences, logged, trained, weights

TARGET = 0.1


def bert(hidden_size, num_layers):
    """Weights that keep the size of what they multiply: with smaller ones outputs hardly move, however far δ goes."""
    torch.manual_seed(0)
    shape = {"hidden_size": hidden_size, "intermediate_size": hidden_size, "num_hidden_layers": num_layers}
    shape |= {"initializer_range": hidden_size**-0.5}
    return BertForSequenceClassification(BertConfig(vocab_size=VOCAB_SIZE, num_attention_heads=4, **shape))


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize(
    ("hidden_size", "num_layers", "name"),
    [
        *((64, 1, name) for name in ("noise", "alum", "alum_one_pass", "alum_virtual")),
        *((128, 2, name) for name in ("noise", "alum")),
        pytest.param(256, 2, "alum", marks=pytest.mark.slow),
        pytest.param(1024, 1, "noise", marks=pytest.mark.slow),
    ],
)
def test_after_50_steps_the_divergence_is_the_target_and_stays(tmp_path, hidden_size, num_layers, name):
    settings = {"adv_method": name, "adv_target_divergence": TARGET, "adv_epsilon": 1e-3, "adv_gain_draws": 0}
    settings = config(tmp_path, max_steps=80, learning_rate=1e-5, per_device_train_batch_size=16, **settings)
    divergences = logged(trained(bert(hidden_size, num_layers), settings, labelled_sentences(64)), "adversarial_loss")
    assert divergences[0] < TARGET / 10
    # Means over 10 steps, since rows and noise scatter.
    assert torch.tensor(divergences[50:]).view(3, 10).mean(1).tolist() == pytest.approx([TARGET] * 3, rel=0.2)


def control_of(trainer):
    (control,) = (each for each in trainer.callback_handler.callbacks if isinstance(each, RadiusControl))
    return control


SAVING = {"adv_target_divergence": TARGET, "save_strategy": "steps", "save_steps": 3, "optim": "adamw_torch"}


@pytest.mark.parametrize("restores", [False, True])
def test_a_resumed_run_goes_on_from_its_radius(tmp_path, restores):
    settings = {**SAVING, "adv_method": "noise", "max_steps": 6}
    whole = trained(classifier(), config(tmp_path / "whole", **settings), labelled_sentences())
    checkpoint = tmp_path / "whole" / "checkpoint-3"
    kept = json.loads((checkpoint / "trainer_state.json").read_text())["stateful_callbacks"]["RadiusControl"]
    assert kept["attributes"]["factor"] > 1
    again = config(tmp_path / "again", restore_callback_states_from_checkpoint=restores, **settings)
    resumed = AlumTrainer(model=classifier(seed=1), args=again, train_dataset=labelled_sentences())
    resumed.train(resume_from_checkpoint=str(checkpoint))
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    assert logged(resumed, "adv_epsilon") == logged(whole, "adv_epsilon")
    assert len(set(logged(whole, "adv_epsilon"))) == 6


def test_checkpoints_from_before_are_gone_on_from(tmp_path):
    trained(classifier(), config(tmp_path, **SAVING, max_steps=3), labelled_sentences())
    file = tmp_path / "checkpoint-3" / "trainer_state.json"
    state = json.loads(file.read_text())
    del state["stateful_callbacks"]["RadiusControl"]
    file.write_text(json.dumps(state))
    write_manifest(file.parent)
    again = AlumTrainer(
        model=classifier(), args=config(tmp_path, **SAVING, max_steps=6), train_dataset=labelled_sentences()
    )
    again.train(resume_from_checkpoint=str(file.parent))
    assert logged(again, "adv_epsilon")[3] == pytest.approx(0.03)


def test_each_training_begins_with_the_methods_radius(tmp_path):
    settings = config(tmp_path, adv_target_divergence=TARGET)
    trainer = trained(classifier(), settings, labelled_sentences())
    trainer.train()
    assert logged(trainer, "adv_epsilon")[0] == pytest.approx(0.03)
    assert control_of(trainer).factor > 1


def test_the_radius_follows_the_mean_of_the_steps_micro_batches(tmp_path):
    halves = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    found = [
        logged(
            trained(
                classifier(dropout=0.0),
                config(tmp_path, adv_target_divergence=TARGET, max_steps=4, **batches),
                labelled_sentences(),
            ),
            "adv_epsilon",
        )
        for batches in ({}, halves)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert len(set(found[0])) == 4


def attacked(loss, skipped=0.0):
    loss, skipped = torch.tensor(loss), torch.tensor(skipped)
    return AlumResult(loss, loss, loss, 1.0, skipped)


def in_one_process(sums):
    return sums


def test_micro_batches_that_were_skipped_count_for_nothing():
    control, plain = RadiusControl(), RadiusControl()
    control.add(attacked(0.03), scale=0.25, weight=1.0)  # a loss comes with its scale in it
    control.add(attacked(0.0, skipped=1.0), scale=0.75, weight=1.0)
    plain.add(attacked(0.12), scale=1.0, weight=1.0)
    for each in (control, plain):
        each.end_step(0.24, in_one_process, torch.device("cpu"))
        assert each.factor == pytest.approx(2**0.5)  # √(0.24 / 0.12)


def test_a_step_that_was_skipped_halves_the_radius_and_one_without_attacks_leaves_it():
    control = RadiusControl()
    control.end_step(0.1, in_one_process, torch.device("cpu"))
    assert control.factor == 1.0
    control.add(attacked(0.0, skipped=1.0), scale=torch.tensor(1.0), weight=0.5)
    control.end_step(0.1, in_one_process, torch.device("cpu"))
    assert control.factor == 0.5


def test_by_hand(tmp_path):
    # Per step: the factor is doubled where √(target / D) is more, D being of second order.
    settings = config(tmp_path, adv_method="noise", adv_target_divergence=TARGET, max_steps=3)
    trainer = trained(classifier(dropout=0.0), settings, labelled_sentences())
    assert max(logged(trainer, "adversarial_loss")) < TARGET / 16
    assert logged(trainer, "adv_epsilon") == pytest.approx([0.03, 0.06, 0.12])


def test_standard_steps_between_leave_the_radius(tmp_path):
    settings = {"adv_method": "noise", "adv_target_divergence": TARGET, "adv_every_steps": 2, "adv_start_fraction": 0.5}
    settings = config(tmp_path, max_steps=8, **settings)
    epsilons = logged(trained(classifier(), settings, labelled_sentences()), "adv_epsilon")
    assert epsilons[:6] == pytest.approx([0.03] * 6)  # the first attacked step is the sixth
    assert epsilons[7] == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"adv_target_divergence": 0.0}, "^adv_target_divergence .*above 0"),
        ({"adv_target_divergence": 0.1, "adv_method": "fgm"}, "^adv_target_divergence .*task loss"),
        ({"adv_target_divergence": 0.1, "adv_method": "r_drop"}, "^adv_target_divergence .*nothing is perturbed"),
        ({"adv_target_divergence": 0.1, "adv_method": "standard"}, "^adv_target_divergence .*no adversary"),
        ({"adv_target_divergence": 0.1, "adv_epsilon_ramp_fraction": 0.5}, "leave one of them out"),
    ],
)
def test_what_has_no_such_radius_is_refused(tmp_path, settings, why):
    with pytest.raises(InputError, match=why):
        config(tmp_path, **settings)


def test_the_radius_answers_for_what_is_at_delta_and_not_at_changed_texts():
    both, delta_alone = RadiusControl(), RadiusControl()
    both.add(dataclasses.replace(attacked(0.3), text_loss=torch.tensor(0.2)), 1.0, 1.0)
    delta_alone.add(attacked(0.1), 1.0, 1.0)
    for control in (both, delta_alone):
        control.end_step(0.05, in_one_process, torch.device("cpu"))
    assert both.factor == pytest.approx(delta_alone.factor)
    assert both.factor < 1


def test_a_loop_of_ones_own_has_its_target_too():
    rows = labelled_sentences(8)
    batch = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
    step = AlumStep(bert(64, 1), "noise", target_divergence=TARGET)
    losses = [step(batch).adversarial_loss.item() for _ in range(60)]
    assert losses[0] < TARGET / 100
    assert sum(losses[20:]) / 40 == pytest.approx(TARGET, rel=0.2)
    with pytest.raises(InputError, match="target_divergence"):
        AlumStep(classifier(), "pgd", target_divergence=TARGET)
