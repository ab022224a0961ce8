"""Training with a proximal term against a plain loop that keeps the average by hand, and resumed as undisturbed."""

import pytest
import torch
from accelerate.utils import DistributedType
from torch import nn

from alum.core.errors import InputError
from alum.training.checkpoint_files import write_manifest
from alum.training.combinations import check_combination
from alum.training.parts.proximal_average import AVERAGED_WEIGHTS
from alum.training.step import AlumStep
from alum.training.trainer import AlumTrainer
from tiny_models import classifier, language_model, token_batch
from tiny_runs import config, labelled_sentences, logged, masked_sentences, trained, weights

# Weights far enough apart that the term counts, and no noise in δ, which a loop by hand would have to draw.
SETTINGS = {"proximal_weight": 4.0, "proximal_momentum": 0.6, "epsilon": 0.05, "init_std": 0.0, "ascent": "predicted"}
NUM_STEPS = 12


def symmetric_kl_by_hand(p, q):
    p, q = p.softmax(-1), q.softmax(-1)
    return (p * (p.log() - q.log()) + q * (q.log() - p.log())).sum(-1).mean()


def delta_by_hand(model, batch, epsilon):
    """One step along the gradient of the likeliest label's loss, its largest coordinate 100 radii, then into a cube."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    embeddings = model.get_input_embeddings()
    delta = torch.zeros(*batch["input_ids"].shape, 32, requires_grad=True)
    handle = embeddings.register_forward_hook(lambda module, args, output: output + delta)
    logits = model(**inputs).logits
    handle.remove()
    likeliest = logits.argmax(-1, keepdim=True)
    # The log odds against it have the direction of its loss.
    others = logits.scatter(-1, likeliest, -torch.inf).logsumexp(-1)
    (gradient,) = torch.autograd.grad((others - logits.gather(-1, likeliest).squeeze(-1)).sum(), delta)
    gradient = gradient * batch["attention_mask"].unsqueeze(-1)
    step = 100 * epsilon * gradient / gradient.abs().amax(dim=(1, 2), keepdim=True)
    return step.clamp(-epsilon, epsilon)


def loss_by_hand(model, averaged, batch):
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    delta = delta_by_hand(model, batch, SETTINGS["epsilon"])
    clean = model(**batch)
    handle = model.get_input_embeddings().register_forward_hook(lambda module, args, output: output + delta)
    adversarial = model(**inputs).logits
    handle.remove()
    with torch.no_grad():
        former = averaged(**inputs).logits
    proximal = symmetric_kl_by_hand(clean.logits, former)
    loss = clean.loss + symmetric_kl_by_hand(adversarial, clean.logits) + SETTINGS["proximal_weight"] * proximal
    return loss, proximal


def looped_by_hand():
    """Gradient descent with clipped gradients, θ̃ ← β·θ̃ + (1 - β)·θ after each step; all weights and proximal losses."""
    model, averaged = classifier(dropout=0.0).train(), classifier(dropout=0.0).train()
    rows = labelled_sentences(8)
    batch = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    proximal_losses = []
    for _ in range(NUM_STEPS):
        loss, proximal = loss_by_hand(model, averaged, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        proximal_losses.append(proximal.item())
        with torch.no_grad():
            for weight, former in zip(model.parameters(), averaged.parameters(), strict=True):
                former.copy_(0.6 * former + 0.4 * weight)
    return {name: value.detach() for name, value in model.named_parameters()}, proximal_losses


def settings_of(folder, **settings):
    own = {f"adv_{name}": value for name, value in SETTINGS.items()}
    return config(folder, **{"adv_method": "smart", "max_steps": NUM_STEPS, **own, **settings})


def test_the_trainer_is_a_loop_that_is_written_out(tmp_path):
    trainer = trained(classifier(dropout=0.0), settings_of(tmp_path), labelled_sentences(8))
    expected, proximal_losses = looped_by_hand()
    assert logged(trainer, "proximal_loss") == pytest.approx(proximal_losses, rel=1e-3, abs=1e-6)
    assert proximal_losses[0] == 0 < proximal_losses[-1]
    torch.testing.assert_close(weights(trainer), expected, rtol=1e-4, atol=1e-5)


def test_a_loop_of_ones_own_is_the_same():
    model = classifier(dropout=0.0).train()
    rows = labelled_sentences(8)
    batch = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    step, optimizer = AlumStep(model, "smart", **SETTINGS), torch.optim.SGD(model.parameters(), lr=0.05)
    for index in range(NUM_STEPS):
        step(batch)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        step.after_optimizer_step((index + 1) / NUM_STEPS)
    expected, _ = looped_by_hand()
    torch.testing.assert_close(
        {name: value.detach() for name, value in model.named_parameters()}, expected, rtol=1e-4, atol=1e-5
    )


def test_halves_of_a_step_have_one_average(tmp_path):
    halves = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    whole, accumulated = (
        trained(classifier(dropout=0.0), settings_of(tmp_path, **batches), labelled_sentences(8))
        for batches in ({}, halves)
    )
    torch.testing.assert_close(weights(whole), weights(accumulated), rtol=1e-4, atol=1e-5)


def test_a_step_that_the_average_did_not_follow_is_an_error():
    model, batch = classifier(), {**token_batch(), "labels": torch.tensor([0, 1])}
    step, optimizer = AlumStep(model, "smart"), torch.optim.SGD(model.parameters(), lr=0.1)
    step(batch)
    optimizer.step()
    with pytest.raises(InputError, match=r"Call after_optimizer_step\(\) after each step"):
        step(batch)


# -- checkpoints -------------------------------------------------------------------------------------------------------

SAVING = {"adv_method": "smart", "max_steps": 6, "save_strategy": "steps", "save_steps": 3, "optim": "adamw_torch"}
SAVING |= {"adv_proximal_weight": 4.0, "learning_rate": 1e-3}


@pytest.mark.parametrize(
    ("model", "rows"),
    [(classifier, labelled_sentences()), (language_model, masked_sentences())],
    ids=["classifier", "language model"],
)
def test_a_resumed_run_is_the_undisturbed_one_bit_for_bit(tmp_path, model, rows):
    whole = trained(model(), config(tmp_path, **SAVING), rows)
    resumed = AlumTrainer(model=model(seed=1), args=config(tmp_path, **SAVING), train_dataset=rows)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    torch.testing.assert_close(weights(resumed), weights(whole), rtol=0, atol=0)
    assert logged(resumed, "proximal_loss") == logged(whole, "proximal_loss")


def test_without_its_file_the_average_begins_anew_and_the_user_is_told(tmp_path, caplog):
    settings = config(tmp_path, adv_dropout="shared", **SAVING)  # so that the term is of the weights alone
    whole = trained(classifier(), settings, labelled_sentences())
    checkpoint = tmp_path / "checkpoint-3"
    (checkpoint / AVERAGED_WEIGHTS).unlink()
    write_manifest(checkpoint)  # as of a method that kept none
    resumed = AlumTrainer(model=classifier(), args=settings, train_dataset=labelled_sentences())
    resumed.train(resume_from_checkpoint=str(checkpoint))
    assert any(f"has no {AVERAGED_WEIGHTS}" in message for message in caplog.messages)
    assert logged(resumed, "proximal_loss")[3] == pytest.approx(0.0, abs=1e-6)
    assert logged(whole, "proximal_loss")[3] > 1e-3


def test_other_methods_leave_no_such_file(tmp_path):
    settings = {**SAVING, "adv_method": "alum", "adv_proximal_weight": None}
    trained(classifier(), config(tmp_path, **settings), labelled_sentences())
    assert not (tmp_path / "checkpoint-3" / AVERAGED_WEIGHTS).exists()


def test_a_second_training_begins_with_its_own_weights(tmp_path):
    trainer = trained(classifier(dropout=0.0), config(tmp_path, adv_method="smart"), labelled_sentences())
    trainer.train()
    # The average is that of the present weights there: nothing is left of the first training.
    assert logged(trainer, "proximal_loss")[0] == pytest.approx(0.0, abs=1e-6)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [DistributedType.FSDP, DistributedType.DEEPSPEED])
def test_where_no_process_has_all_weights_it_is_refused(tmp_path, kind):
    args = config(tmp_path, adv_method="smart")
    with pytest.raises(InputError, match="'smart' has a proximal term, which does not work here: FSDP and DeepSpeed"):
        check_combination(args, args.method(), kind, fsdp_version=2, own_loss=False)
    args = config(tmp_path, adv_method="smart", adv_proximal_weight=0.0)
    check_combination(args, args.method(), kind, fsdp_version=2, own_loss=False)


def test_a_compiled_model_is_refused(tmp_path):
    args = config(tmp_path, adv_method="smart", torch_compile=True)
    with pytest.raises(InputError, match="the pass with averaged weights is not compiled"):
        check_combination(args, args.method(), DistributedType.NO, fsdp_version=1, own_loss=False)
    with pytest.raises(InputError, match="proximal term, whose pass is not compiled"):
        AlumStep(torch.compile(classifier()), "smart")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adv_proximal_momentum": 0.9}, "adv_proximal_momentum 0.9 has no effect .* there is no proximal term"),
        ({"adv_proximal_weight": -1.0}, "adv_proximal_weight must be 0 or more"),
        ({"adv_method": "alum_one_pass", "adv_proximal_weight": 1.0}, "adv_proximal_weight must be 0 with method"),
    ],
)
def test_settings_that_do_nothing_or_cannot_work_are_refused(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        config(tmp_path, **{"adv_method": "alum", **settings})


def test_other_methods_may_have_the_term(tmp_path):
    settings = config(tmp_path, adv_method="alum", adv_proximal_weight=1.0)
    assert logged(trained(classifier(), settings, labelled_sentences()), "proximal_loss")[-1] > 0
