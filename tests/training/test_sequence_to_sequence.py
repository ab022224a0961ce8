"""`AlumMixin` in `Seq2SeqTrainer`: δ at the encoder's words, D over the tokens that the decoder learns."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForSeq2SeqLM, DataCollatorForSeq2Seq, Seq2SeqTrainer, Seq2SeqTrainingArguments

from alum.training.config import AlumConfig
from alum.training.step import AlumStep
from alum.training.trainer import AlumMixin
from plain_one_pass import ONE_STEP, assert_step, jeffreys, one_pass_gradients
from tiny_models import MASK, SEP, VOCAB_SIZE, headed
from tiny_runs import STEPS, logged, sentences, trained, weights

EXACT = {"rtol": 0, "atol": 0}


class AlumSeq2SeqTrainer(AlumMixin, Seq2SeqTrainer):
    pass


@dataclass
class Seq2SeqConfig(AlumConfig, Seq2SeqTrainingArguments):
    pass


def settings(folder, settings_class=Seq2SeqConfig, **changes):
    return settings_class(**{**STEPS, "max_steps": 2, "output_dir": str(folder), **changes})


def translations(count=16):
    """Sources of eight tokens, some padded, with one to five tokens to say for each."""
    generator = torch.Generator().manual_seed(3)
    return [{**row, "labels": _target(1 + index % 5, generator)} for index, row in enumerate(sentences(count))]


def _target(length, generator):
    words = torch.randint(MASK + 1, VOCAB_SIZE, (5,), generator=generator)
    words[length:] = -100
    words[length - 1] = SEP
    return words


def model_of(architecture, dropout=0.0):
    return headed(AutoModelForSeq2SeqLM, architecture, dropout)


@pytest.mark.parametrize("method", [{"adv_method": "standard"}, {"adv_method": "alum", "adv_alpha": 0.0}])
@pytest.mark.parametrize("architecture", ["t5", "bart"])
def test_without_an_adversary_it_is_the_trainers_bit_for_bit(tmp_path, architecture, method):
    ours = trained(model_of(architecture, 0.1), settings(tmp_path, **method), translations(), AlumSeq2SeqTrainer)
    theirs = settings(tmp_path, Seq2SeqTrainingArguments)
    plain = trained(model_of(architecture, 0.1), theirs, translations(), Seq2SeqTrainer)
    assert logged(ours, "loss") == logged(plain, "loss")
    torch.testing.assert_close(weights(ours), weights(plain), **EXACT)


@pytest.mark.parametrize("architecture", ["t5", "bart"])
def test_a_step_is_the_objective_written_out(tmp_path, architecture):
    rows = translations(8)
    model = model_of(architecture)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    batch = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    learnt = batch["labels"] != -100

    def loss_and_outputs():
        logits = model(**batch).logits[learnt]
        return F.cross_entropy(logits, batch["labels"][learnt]), logits

    place = model.get_encoder().get_input_embeddings()
    mask = batch["attention_mask"].bool()
    gradients = one_pass_gradients(place, mask, loss_and_outputs, jeffreys, dict(model.named_parameters()))
    assert_step(trained(model, settings(tmp_path, **ONE_STEP), rows, AlumSeq2SeqTrainer), before, gradients)


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize("method", ["alum", "alum_one_pass", "alum_virtual", "pgd", "r_drop"])
@pytest.mark.parametrize("architecture", ["t5", "bart"])
def test_four_micro_batches_are_one_batch(tmp_path, architecture, method):
    small, large = (
        trained(
            model_of(architecture), settings(tmp_path, adv_method=method, **sizes), translations(), AlumSeq2SeqTrainer
        )
        for sizes in ({"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}, {})
    )
    torch.testing.assert_close(weights(small), weights(large), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["t5", "bart"])
@pytest.mark.parametrize("method", ["alum", "alum_one_pass", "alum_virtual"])
def test_the_adversary_beats_noise(tmp_path, architecture, method):
    trainer = trained(model_of(architecture), settings(tmp_path, adv_method=method), translations(), AlumSeq2SeqTrainer)
    assert min(logged(trainer, "adversarial_gain")) > 2


def test_the_decoders_inputs_may_come_with_the_batch(tmp_path):
    rows = translations()
    finals = []
    for collator_model in (None, model_of("t5")):
        collator = DataCollatorForSeq2Seq(_Padding(), model=collator_model)
        arguments = settings(tmp_path, adv_method="alum", remove_unused_columns=False)
        finals.append(trained(model_of("t5"), arguments, rows, AlumSeq2SeqTrainer, data_collator=collator))
    torch.testing.assert_close(weights(finals[0]), weights(finals[1]), **EXACT)


class _Padding:
    """Rows here are of one length: nothing is to be padded."""

    padding_side = "right"

    def pad(self, features, **kwargs):
        return {name: torch.stack([torch.as_tensor(row[name]) for row in features]) for name in features[0]}


@pytest.mark.parametrize("architecture", ["t5", "bart"])
def test_generated_texts_are_scored_in_evaluation_as_by_the_trainer(tmp_path, architecture):
    def last_token(prediction):
        return {"sum_of_ids": float(np.where(prediction.predictions >= 0, prediction.predictions, 0).sum())}

    scores = []
    generating = {"predict_with_generate": True, "generation_max_length": 7, "eval_strategy": "steps", "eval_steps": 1}
    for trainer_class, arguments in (
        (AlumSeq2SeqTrainer, settings(tmp_path, adv_method="alum", adv_start_fraction=1.0, **generating)),
        (Seq2SeqTrainer, settings(tmp_path, Seq2SeqTrainingArguments, **generating)),
    ):
        rows = {"eval_dataset": translations(4), "compute_metrics": last_token}
        trainer = trained(model_of(architecture), arguments, translations(), trainer_class, **rows)
        names = ("eval_loss", "eval_sum_of_ids")
        evaluations = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
        scores.append([[entry[name] for name in names] for entry in evaluations])
    assert scores[0] == scores[1]
    assert len(scores[0]) == 2


def test_a_loop_of_ones_own_trains_them_too():
    rows = translations(8)
    batch = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    result = AlumStep(model_of("t5"), "alum")(batch, num_gain_draws=2)
    assert result.diagnostics is not None
    assert result.diagnostics.adversarial_gain > 2
