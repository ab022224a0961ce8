"""`AlumTrainer` against the plain Trainer, against itself in other arrangements, and against autograd."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from transformers import (
    AutoModelForQuestionAnswering,
    BertForSequenceClassification,
    DataCollatorWithPadding,
    Trainer,
    TrainerCallback,
    default_data_collator,
)

from alum.core.divergences import symmetric_kl
from alum.core.errors import InputError
from alum.core.methods import METHODS
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.models.model_parts import CHECKPOINTING
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from alum.training.trainer import AlumMixin, AlumTrainer
from tiny_models import CAUSAL, classifier, headed, language_model
from tiny_runs import (
    FOR_ANY_MODEL,
    answered_sentences,
    config,
    labelled_sentences,
    logged,
    masked_sentences,
    measuring_config,
    plain_config,
    scored_sentences,
    sentences,
    trained,
    weights,
)
from tiny_tokenizers import wordpiece

TRAINED = [name for name in FOR_ANY_MODEL if name != "standard"]
EXACT = {"rtol": 0, "atol": 0}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


# -- without an adversary it is the Trainer ----------------------------------------------------------------------------

WITHOUT = [{"adv_method": "standard"}, {"adv_method": "alum", "adv_alpha": 0.0}, {"adv_start_fraction": 1.0}]


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [*(("bert", settings) for settings in WITHOUT), ("distilbert", WITHOUT[0]), ("llama", WITHOUT[1])],
    ids=str,
)
def test_classification_without_an_adversary_is_the_trainers_bit_for_bit(tmp_path, architecture, settings):
    ours = trained(classifier(architecture), config(tmp_path, **settings), labelled_sentences())
    plain = trained(classifier(architecture), plain_config(tmp_path), labelled_sentences(), Trainer)
    assert logged(ours, "loss") == logged(plain, "loss")
    torch.testing.assert_close(weights(ours), weights(plain), **EXACT)


@pytest.mark.parametrize("settings", WITHOUT, ids=["standard", "alpha 0", "not yet"])
def test_regression_without_an_adversary_is_the_trainers_bit_for_bit(tmp_path, settings):
    ours = trained(classifier(num_labels=1), config(tmp_path, **settings), scored_sentences())
    plain = trained(classifier(num_labels=1), plain_config(tmp_path), scored_sentences(), Trainer)
    assert logged(ours, "loss") == logged(plain, "loss")
    torch.testing.assert_close(weights(ours), weights(plain), **EXACT)


@pytest.mark.parametrize("architecture", ["bert", "modernbert", "gpt2", "llama"])
def test_language_modelling_without_an_adversary_is_the_trainers(tmp_path, architecture):
    ours = trained(language_model(architecture), config(tmp_path, adv_method="standard"), masked_sentences())
    plain = trained(language_model(architecture), plain_config(tmp_path), masked_sentences(), Trainer)
    assert logged(ours, "loss") == pytest.approx(logged(plain, "loss"), rel=1e-5)
    torch.testing.assert_close(weights(ours), weights(plain), **CLOSE)


# -- gradient accumulation ---------------------------------------------------------------------------------------------

TWO_STEPS = {"max_steps": 2}  # the second with weights that the first has changed
FOUR_TIMES_TWO = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}


def accumulated_and_at_once(tmp_path, model, rows, trainer_class=AlumTrainer, settings=(), **options):
    return [
        weights(
            trained(
                model(), config(tmp_path, **{**TWO_STEPS, **dict(settings), **batches}), rows, trainer_class, **options
            )
        )
        for batches in (FOUR_TIMES_TWO, {})
    ]


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("name", FOR_ANY_MODEL)
def test_accumulating_four_small_batches_is_one_large_one(tmp_path, name):
    small, large = accumulated_and_at_once(
        tmp_path, lambda: classifier(dropout=0.0), labelled_sentences(), settings={"adv_method": name}
    )
    torch.testing.assert_close(small, large, **CLOSE)


DECODERS = [(name, decoder) for name in ("standard", "alum", "alum_one_pass", "fgm") for decoder in ("gpt2", "llama")]


@pytest.mark.quick_cases(8)
@pytest.mark.parametrize(("name", "architecture"), [(name, "bert") for name in METHODS] + DECODERS)
def test_accumulating_batches_with_unequal_numbers_of_predicted_tokens(tmp_path, name, architecture):
    rows = masked_sentences(first=0)  # a causal model cannot predict the first token, so that it must not count
    small, large = accumulated_and_at_once(
        tmp_path, lambda: language_model(architecture, dropout=0.0), rows, settings={"adv_method": name}
    )
    torch.testing.assert_close(small, large, **CLOSE)


@pytest.mark.parametrize("name", ["alum", "alum_one_pass", "fgm"])
def test_accumulating_regression(tmp_path, name):
    small, large = accumulated_and_at_once(
        tmp_path, lambda: classifier(dropout=0.0, num_labels=1), scored_sentences(), settings={"adv_method": name}
    )
    torch.testing.assert_close(small, large, **CLOSE)


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("name", ["standard", "alum", "alum_one_pass", "fgm"])
@pytest.mark.parametrize("model", [classifier, language_model])
def test_accumulating_with_label_smoothing(tmp_path, name, model):
    rows = labelled_sentences() if model is classifier else masked_sentences()
    settings = {"adv_method": name, "label_smoothing_factor": 0.1}
    small, large = accumulated_and_at_once(tmp_path, lambda: model(dropout=0.0), rows, settings=settings)
    torch.testing.assert_close(small, large, **CLOSE)


THREE_THREE_AND_TWO = {"per_device_train_batch_size": 3, "gradient_accumulation_steps": 3, "max_steps": 1}


@pytest.mark.parametrize("name", ["standard", "alum", "alum_one_pass", "fgm"])
@pytest.mark.parametrize("beyond", [0, 3], ids=["all in the window", "some beyond it"])
def test_accumulating_spans(tmp_path, name, beyond):
    rows = answered_sentences(8)
    for row in rows[:beyond]:
        row |= {"start_positions": torch.tensor(8), "end_positions": torch.tensor(8)}
    # Models leave spans beyond the window out of their loss, but not out of the divergence.
    settings = {"adv_method": name, **({"adv_alpha": 1e-9} if beyond and name != "standard" else {})}
    small, large = (
        weights(
            trained(headed(AutoModelForQuestionAnswering, dropout=0.0), config(tmp_path, **settings, **sizes), rows)
        )
        for sizes in (THREE_THREE_AND_TWO, {"max_steps": 1})
    )
    torch.testing.assert_close(small, large, rtol=0, atol=1e-6)


class OddlyNamed(BertForSequenceClassification):
    """Takes its labels under a name that no Trainer knows."""

    def forward(self, input_ids, attention_mask, target=None):
        return super().forward(input_ids=input_ids, attention_mask=attention_mask, labels=target)


def oddly_named():
    usual = classifier(dropout=0.0)
    model = OddlyNamed(usual.config)
    model.load_state_dict(usual.state_dict())
    return model


@pytest.mark.parametrize(
    "name", ["standard", "alum", "alum_one_pass", "fgm", "alum_released", "noise", "r3f", "freelb"]
)
def test_accumulating_rows_whose_labels_have_another_name(tmp_path, name):
    rows = [{**row, "target": row["labels"]} for row in labelled_sentences(8)]
    for row in rows:
        del row["labels"]
    small, large = (
        weights(trained(oddly_named(), config(tmp_path, adv_method=name, **sizes), rows, kind=SEQUENCE_CLASSIFICATION))
        for sizes in (THREE_THREE_AND_TWO, {"max_steps": 1})
    )
    torch.testing.assert_close(small, large, rtol=0, atol=1e-6)


def mean_over_the_step(outputs, labels, num_items_in_batch=None):
    return F.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch


@pytest.mark.parametrize("name", ["standard", "alum", "alum_one_pass", "fgm"])
def test_accumulating_a_loss_of_ones_own(tmp_path, name):
    settings = {"adv_method": name}
    small, large = accumulated_and_at_once(
        tmp_path,
        lambda: classifier(dropout=0.0),
        labelled_sentences(),
        settings=settings,
        compute_loss_func=mean_over_the_step,
    )
    models_own = trained(classifier(dropout=0.0), config(tmp_path, **settings, **TWO_STEPS), labelled_sentences())
    torch.testing.assert_close(large, weights(models_own), **CLOSE)
    torch.testing.assert_close(small, large, **CLOSE)


# -- the gradient of the whole objective -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alum", "alum_one_pass"])
def test_the_gradient_is_clipped_and_logged_as_a_whole(tmp_path, name):
    settings = {"adv_method": name, "adv_alpha": 3.0, "adv_gain_draws": 0, "max_steps": 1, "max_grad_norm": 0.1}
    deltas = []

    class Remembering(AlumTrainer):
        def _log_result(self, result, *rest):
            deltas.append(result.delta)
            super()._log_result(result, *rest)

    rows = labelled_sentences(8)
    trainer = trained(classifier(dropout=0.0), config(tmp_path, **settings), rows, Remembering)

    model = classifier(dropout=0.0)
    order = next(iter(trainer.get_train_dataloader()))["input_ids"].tolist()
    batch = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
    arranged = [order.index(ids) for ids in batch["input_ids"].tolist()]
    clean = model(**batch)
    hook = model.bert.embeddings.word_embeddings.register_forward_hook(lambda m, i, out: out + deltas[0][arranged])
    adversarial = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"])
    hook.remove()
    constant = clean.logits.detach() if name == "alum_one_pass" else clean.logits
    (clean.loss + 3.0 * symmetric_kl(adversarial.logits, constant).mean()).backward()
    norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    assert logged(trainer, "grad_norm") == [pytest.approx(norm.item(), rel=1e-4)]

    moved = torch.stack([(w - dict(model.named_parameters())[n]).norm() for n, w in weights(trainer).items()]).norm()
    assert moved.item() == pytest.approx(0.05 * 0.1, rel=1e-3)  # learning rate times the clipped norm


# -- other arrangements of the same training ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["standard", "alum", "alum_one_pass"])
def test_gradient_checkpointing_changes_nothing(tmp_path, name):
    runs = [
        trained(classifier(), config(tmp_path, adv_method=name, **{CHECKPOINTING: on}), labelled_sentences())
        for on in (False, True)
    ]
    assert logged(runs[0], "loss") == pytest.approx(logged(runs[1], "loss"), rel=1e-5)
    torch.testing.assert_close(weights(runs[0]), weights(runs[1]), **CLOSE)


def test_gradient_checkpointing_and_a_block_do_not_go_together(tmp_path):
    settings = config(tmp_path, adv_method="alum", adv_layer="1", **{CHECKPOINTING: True})
    with pytest.raises(InputError, match="gradient checkpointing"):
        trained(classifier(), settings, labelled_sentences())


@pytest.mark.parametrize("name", ["alum", "alum_one_pass"])
@pytest.mark.parametrize("model", [classifier, language_model])
def test_bf16_autocast_finds_an_adversary(tmp_path, name, model):
    rows = labelled_sentences() if model is classifier else masked_sentences()
    trainer = trained(model(), measuring_config(tmp_path, adv_method=name, bf16=True, max_steps=2), rows)
    assert torch.tensor(logged(trainer, "loss")).isfinite().all()
    assert min(logged(trainer, "adversarial_gain")) > 1
    assert logged(trainer, "adversarial_skipped") == [0.0, 0.0]


@pytest.mark.parametrize("name", ["alum_one_pass", "alum", "noise"])
def test_a_resumed_run_ends_where_an_undisturbed_one_does(tmp_path, name):
    settings = {"adv_method": name, "max_steps": 6, "save_strategy": "steps", "save_steps": 3, "optim": "adamw_torch"}
    whole = trained(classifier(), measuring_config(tmp_path / "whole", **settings), labelled_sentences())
    resumed = AlumTrainer(
        model=classifier(seed=1),
        args=measuring_config(tmp_path / "again", **settings),
        train_dataset=labelled_sentences(),
    )
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    torch.testing.assert_close(weights(resumed), weights(whole), **EXACT)
    for name in ("loss", "task_loss", "adversarial_loss", "adversarial_gain"):
        assert logged(resumed, name)[-3:] == logged(whole, name)[-3:]


def test_logs_after_resuming_are_means_over_the_steps_since(tmp_path):
    settings = measuring_config(tmp_path, max_steps=6, save_strategy="steps", save_steps=3, logging_steps=6)
    trained(classifier(), settings, labelled_sentences())
    resumed = AlumTrainer(model=classifier(), args=settings, train_dataset=labelled_sentences())
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    (_, loss), (_, task), (_, adversarial) = (
        logged(resumed, name) for name in ("loss", "task_loss", "adversarial_loss")
    )
    assert loss == pytest.approx(task + adversarial, rel=1e-5)


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("name", [*TRAINED])
def test_measuring_changes_nothing(tmp_path, name):
    measured, unmeasured = (
        trained(classifier(), config(tmp_path, adv_method=name, adv_gain_draws=draws), labelled_sentences())
        for draws in (3, 0)
    )
    torch.testing.assert_close(weights(measured), weights(unmeasured), **EXACT)
    assert "divergence" in measured.state.log_history[0]
    assert "divergence" not in unmeasured.state.log_history[0]


@pytest.mark.parametrize("seed", [0, 2**31])
def test_the_seed_decides(tmp_path, seed):
    first, second, other = (
        weights(trained(classifier(dropout=0.0), config(tmp_path, adv_method="noise", seed=s), labelled_sentences(8)))
        for s in (seed, seed, seed + 1)
    )
    torch.testing.assert_close(first, second, **EXACT)
    assert any((first[name] != other[name]).any() for name in first)


# -- evaluation --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_evaluation_during_training_is_the_trainers(tmp_path, architecture):
    rows = masked_sentences()
    settings = {"eval_strategy": "steps", "eval_steps": 2}
    ours = trained(language_model(architecture, dropout=0.0), config(tmp_path, **settings), rows, eval_dataset=rows)
    without = trained(language_model(architecture, dropout=0.0), config(tmp_path), rows)
    torch.testing.assert_close(weights(ours), weights(without), **EXACT)

    plain = Trainer(model=ours.model, args=plain_config(tmp_path), eval_dataset=rows)
    assert ours.state.log_history[-2]["eval_loss"] == pytest.approx(plain.evaluate()["eval_loss"], rel=1e-5)


@pytest.mark.parametrize("metrics", [None, lambda prediction: {"rows": len(prediction.predictions)}])
def test_predictions_are_the_trainers(tmp_path, metrics):
    model, rows = language_model(), masked_sentences(3)
    ours = AlumTrainer(model=model, args=config(tmp_path), compute_metrics=metrics).predict(rows)
    plain = Trainer(model=model, args=plain_config(tmp_path), compute_metrics=metrics).predict(rows)
    torch.testing.assert_close(torch.tensor(ours.predictions), torch.tensor(plain.predictions))
    assert ours.metrics["test_loss"] == pytest.approx(plain.metrics["test_loss"], rel=1e-5)


def test_predictions_are_in_the_order_of_the_rows_where_training_groups_by_length(tmp_path):
    rows = [row for length in (5, 12, 8, 20) for row in sentences(6, length, seed=length)]
    model = classifier()
    trainer = AlumTrainer(
        model=model,
        args=config(tmp_path, train_sampling_strategy="group_by_length", per_device_eval_batch_size=4),
        train_dataset=rows,
        data_collator=DataCollatorWithPadding(train_wordpiece(["some words"], 64, 64)),
    )
    with torch.no_grad():
        expected = [model(**{name: values[None] for name, values in row.items()}).logits[0] for row in rows]
    found = torch.from_numpy(trainer.predict(rows).predictions)
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-5)


# -- mixed into another Trainer ----------------------------------------------------------------------------------------


class Shrinking(Trainer):
    """Adds the squared norm of the classifier's weights to the loss."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        loss = loss + 10.0 * self.model.classifier.weight.square().sum()
        return (loss, outputs) if return_outputs else loss


class ShrinkingAlum(AlumMixin, Shrinking):
    pass


def test_the_mix_in_keeps_what_another_trainer_adds(tmp_path):
    plain = trained(classifier(), plain_config(tmp_path), labelled_sentences(), Shrinking)
    standard = trained(classifier(), config(tmp_path, adv_method="standard"), labelled_sentences(), ShrinkingAlum)
    torch.testing.assert_close(weights(standard), weights(plain), **EXACT)

    adversarial = trained(classifier(), config(tmp_path, max_steps=1), labelled_sentences(), ShrinkingAlum)
    without = trained(classifier(), config(tmp_path, max_steps=1), labelled_sentences())
    extra = 10.0 * classifier().classifier.weight.square().sum().item()
    (with_extra,), (alone,) = logged(adversarial, "task_loss"), logged(without, "task_loss")
    assert with_extra - alone == pytest.approx(extra, rel=1e-4)


# -- logs --------------------------------------------------------------------------------------------------------------

NAMES = {
    "task_loss",
    "adversarial_loss",
    "adversarial_gain",
    "divergence",
    "adversarial_skipped",
    "adv_alpha",
    "adv_epsilon",
    "perturbation_norm",
    "perturbation_ratio",
}


def test_the_strength_is_logged_at_the_last_attacked_step_though_it_is_not_the_last(tmp_path):
    settings = measuring_config(tmp_path, adv_every_steps=4, max_steps=10, logging_steps=1)
    logs = trained(classifier(), settings, labelled_sentences()).state.log_history
    attacked = [entry for entry in logs if "divergence" in entry]
    with_strength = [entry["step"] for entry in logs if "adversarial_strength" in entry]
    assert with_strength == [attacked[0]["step"], attacked[-1]["step"]]
    assert attacked[-1]["step"] < 10
    assert [entry["attacked_share"] for entry in logs if entry.get("attacked_share") not in (None, 0)] == []


@pytest.mark.quick_cases(6)
@pytest.mark.parametrize(
    ("name", "batches"),
    [
        *(pytest.param(name, FOUR_TIMES_TWO, id=f"accumulated-{name}") for name in TRAINED),
        *(pytest.param(name, {}, id=f"at once-{name}") for name in ("alum", "alum_one_pass", "freelb", "r3f")),
    ],
)
def test_callbacks_see_losses_that_add_up(tmp_path, name, batches):
    seen = []

    class Watching(TrainerCallback):
        def on_log(self, args, state, control, logs, **kwargs):
            seen.append(logs)

    alpha = 0.5 if name == "freelb" else 2.0  # at most 1 there
    settings = measuring_config(tmp_path, adv_method=name, adv_alpha=alpha, logging_steps=2, **batches)
    trained(classifier(), settings, labelled_sentences(), callbacks=[Watching()])
    steps = [logs for logs in seen if "learning_rate" in logs]
    assert len(steps) == 3  # the first, for the gain, and each second
    for logs in steps:
        first = ["adversarial_gain", "adversarial_strength", "divergence", "task_loss", "adversarial_loss"]
        if logs is steps[1] or name == "freelb":  # the strength is measured at the first step and the last
            first.remove("adversarial_strength")
        if name in ("r_drop", "r3f"):  # whose δ is zero, or moves nothing: there is no gain
            first = first[first.index("divergence") :]
        assert set(logs) >= NAMES - {"adversarial_gain"}
        assert list(logs)[: len(first)] == first
        proximal = METHODS[name].proximal_weight * logs.get("proximal_loss", 0.0)
        assert logs["loss"] == pytest.approx(logs["task_loss"] + alpha * logs["adversarial_loss"] + proximal, rel=1e-4)
        assert ("proximal_loss" in logs) == METHODS[name].has_proximal_term
        assert (logs["adv_alpha"], logs["adv_epsilon"]) == (alpha, METHODS[name].epsilon)


def test_standard_training_logs_nothing_adversarial(tmp_path):
    trainer = trained(classifier(), config(tmp_path, adv_method="standard"), labelled_sentences())
    assert not NAMES & set(trainer.state.log_history[0])


def test_the_curriculum_is_logged(tmp_path):
    settings = config(tmp_path, adv_alpha=8.0, adv_start_fraction=0.25, adv_alpha_ramp_fraction=0.5)
    trainer = trained(classifier(), settings, labelled_sentences())
    # Steps 1 to 4 begin at progress 0, 1/4, 1/2 and 3/4.
    assert logged(trainer, "adv_alpha") == [0.0, 0.0, 4.0, 8.0]
    assert [loss > 0 for loss in logged(trainer, "adversarial_loss")] == [False, False, True, True]


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize("name", ["alum", "alum_one_pass", "pgd"])
@pytest.mark.parametrize("architecture", ["bert", "gpt2", "modernbert"])
def test_the_adversary_gains_on_noise(tmp_path, name, architecture):
    model, rows = (language_model, masked_sentences()) if architecture in CAUSAL else (classifier, labelled_sentences())
    trainer = trained(model(architecture), measuring_config(tmp_path, adv_method=name), rows)
    assert min(logged(trainer, "adversarial_gain")) > 1.5
    if architecture not in CAUSAL:  # there the tokens after the last prediction have no gradient
        assert logged(trainer, "perturbation_ratio") == pytest.approx([METHODS[name].epsilon] * 4, rel=1e-2)


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_other_arguments_are_refused(tmp_path):
    with pytest.raises(InputError, match="AlumConfig, not TrainingArguments"):
        AlumTrainer(model=classifier(), args=plain_config(tmp_path))


def test_a_model_that_cannot_be_perturbed_is_refused_before_training(tmp_path):
    with pytest.raises(InputError, match="one block over and over"):
        AlumTrainer(model=classifier("albert"), args=config(tmp_path, adv_layer="1"))


def test_a_head_of_no_kind_is_refused_with_an_adversary_only(tmp_path):
    class Headless(nn.Module):
        config = None

    with pytest.raises(InputError, match="Headless"):
        AlumTrainer(model=Headless(), args=config(tmp_path, adv_method="alum"))


def test_keeping_special_tokens_needs_their_numbers(tmp_path):
    rows = [{"inputs_embeds": torch.randn(6, 32), "labels": torch.tensor(n % 2)} for n in range(16)]
    settings = config(tmp_path, adv_special_tokens="keep", adv_layer="embeddings")
    with pytest.raises(InputError, match="this batch has vectors: leave it at 'perturb'"):
        trained(
            classifier(), settings, rows, processing_class=wordpiece(["one two"]), data_collator=default_data_collator
        )


def test_keeping_special_tokens_needs_to_know_them(tmp_path):
    with pytest.raises(InputError, match="processing_class"):
        trained(classifier(), config(tmp_path, adv_special_tokens="keep"), labelled_sentences())


# -- subclasses and corner cases ---------------------------------------------------------------------------------------


class AsksForOutputs(AlumTrainer):
    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        loss, self.seen = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        return (loss, self.seen) if return_outputs else loss


@pytest.mark.parametrize("name", ["alum", "alum_one_pass"])
def test_a_subclass_that_asks_for_outputs_trains_with_the_adversary(tmp_path, name):
    asks, plain = (
        trained(classifier(num_labels=2), config(tmp_path, adv_method=name), labelled_sentences(), trainer_class)
        for trainer_class in (AsksForOutputs, AlumTrainer)
    )
    assert asks.seen["logits"].shape == (8, 2)
    assert logged(asks, "adversarial_loss") == logged(plain, "adversarial_loss") != []
    torch.testing.assert_close(weights(asks), weights(plain), rtol=0, atol=0)


class ShiftsItself(Trainer):
    """A causal loss written out: the word at t + 1 from the logits at t."""

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = torch.nn.functional.cross_entropy(outputs["logits"][:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return (loss, outputs) if return_outputs else loss


class AlumShiftsItself(AlumMixin, ShiftsItself):
    pass


def test_a_subclass_with_its_own_loss_gets_every_position(tmp_path):
    rows = [{**row, "labels": row["input_ids"]} for row in sentences()]
    losses = [
        logged(trained(language_model("llama"), arguments(tmp_path), rows, trainer_class), "loss")
        for trainer_class, arguments in ((ShiftsItself, plain_config), (AlumShiftsItself, standard_config))
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def standard_config(folder):
    return config(folder, adv_method="standard")


@pytest.mark.parametrize("name", ["standard", "alum", "alum_one_pass"])
def test_a_micro_batch_without_labels_counts_for_nothing(tmp_path, name):
    rows = masked_sentences(2)
    rows[1]["labels"] = torch.full_like(rows[1]["labels"], -100)
    settings = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 2, "max_steps": 2}
    trainer = trained(language_model(), config(tmp_path, adv_method=name, **settings), rows)
    for key in ("loss", "task_loss", "grad_norm"):
        assert torch.tensor(logged(trainer, key)).isfinite().all()
    assert all(value.isfinite().all() for value in weights(trainer).values())


def test_re_entrant_checkpointing_is_refused_where_it_cannot_work(tmp_path):
    settings = {CHECKPOINTING: True, f"{CHECKPOINTING}_kwargs": {"use_reentrant": True}}
    with pytest.raises(InputError, match=f"re-entrant.*{CHECKPOINTING}_kwargs"):
        AlumTrainer(classifier(num_labels=2), config(tmp_path, adv_method="alum", **settings))


# -- the gain, whatever is logged otherwise ----------------------------------------------------------------------------


def steps_of(trainer, name):
    return [entry["step"] for entry in trainer.state.log_history if name in entry]


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({}, [1, 19]),
        ({"logging_steps": 10}, [1, 10, 19]),
        ({"adv_start_fraction": 0.5}, [11, 19]),
        ({"adv_every_steps": 4}, [4, 19]),
        ({"logging_strategy": "epoch"}, [1, *range(2, 19, 2), 19]),
        ({"logging_strategy": "no"}, []),
        ({"adv_gain_draws": 0}, []),
        ({"adv_method": "standard"}, []),
    ],
    ids=str,
)
def test_the_gain_is_logged_at_the_first_attack_and_the_last_step(tmp_path, settings, steps):
    settings = {"max_steps": 19, "logging_steps": 500, **settings}
    trainer = trained(classifier(), measuring_config(tmp_path, **settings), labelled_sentences())
    assert steps_of(trainer, "adversarial_gain") == steps_of(trainer, "divergence") == steps


def test_a_resumed_run_logs_the_same_gains(tmp_path):
    settings = {"max_steps": 6, "save_strategy": "steps", "save_steps": 3, "logging_steps": 500}
    trained(classifier(), measuring_config(tmp_path, **settings), labelled_sentences())
    resumed = AlumTrainer(
        model=classifier(), args=measuring_config(tmp_path, **settings), train_dataset=labelled_sentences()
    )
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert steps_of(resumed, "adversarial_gain") == [1, 6]


def test_a_short_run_is_warned_of_an_adversary_that_does_nothing(tmp_path, caplog):
    settings = measuring_config(tmp_path, adv_method="alum_paper", max_steps=19, logging_steps=500)
    with caplog.at_level("WARNING", logger="alum"):
        trained(classifier(dropout=0.0), settings, labelled_sentences())
    assert [record.getMessage()[:40] for record in caplog.records] == ["The adversarial term does nothing: it ad"]


def test_no_gain_is_given_from_a_divergence_near_rounding(tmp_path, capsys):
    settings = measuring_config(tmp_path, adv_method="alum_paper", max_steps=2)
    trainer = trained(classifier(dropout=0.0), settings, labelled_sentences())
    assert max(logged(trainer, "divergence")) < 1e-9
    assert logged(trainer, "adversarial_gain") == []
    printed = [line for line in capsys.readouterr().out.splitlines() if "learning_rate" in line]
    assert all(line.startswith("{'divergence': '") for line in printed)


@pytest.mark.parametrize("asked", [False, True])
def test_time_is_logged_where_it_is_asked_for(tmp_path, asked):
    trainer = trained(classifier(), config(tmp_path, adv_log_time=asked), labelled_sentences())
    shares = {name: value for name, value in trainer.state.log_history[0].items() if name.startswith("time_share")}
    assert bool(shares) == asked
    assert sum(shares.values()) == pytest.approx(1 if asked else 0)
