"""`AlumMixin` before Trainers that compute their loss themselves, in their own way of calling the model."""

import pytest
import torch
import torch.nn.functional as F
from transformers import Trainer

from alum.core.errors import InputError
from alum.training.trainer import AlumMixin, AlumTrainer
from tiny_models import classifier
from tiny_runs import config, labelled_sentences, logged, measuring_config, plain_config, trained, weights

EXACT = {"rtol": 0, "atol": 0}
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
FOUR_TIMES_TWO = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}


class MeanOfMicroBatch(Trainer):
    loss_is_scaled_for_ga = False

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = F.cross_entropy(outputs.logits, labels)
        return (loss, outputs) if return_outputs else loss


class SumOverStep(Trainer):
    loss_is_scaled_for_ga = True

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        count = len(labels) if num_items_in_batch is None else num_items_in_batch
        loss = F.cross_entropy(outputs.logits, labels, reduction="sum") / count
        return (loss, outputs) if return_outputs else loss


class Positional(MeanOfMicroBatch):
    """Gives the model its inputs by position, and asks it a second time without gradients."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        outputs = model(inputs["input_ids"], inputs["attention_mask"])
        with torch.no_grad():
            self.seen = model(**inputs).loss
        loss = F.cross_entropy(outputs.logits, inputs["labels"])
        return (loss, outputs) if return_outputs else loss


class Twice(Trainer):
    loss_is_scaled_for_ga = False

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        first, second = model(**inputs), model(**inputs)
        loss = (first.loss + second.loss) / 2
        return (loss, first) if return_outputs else loss


def alum(trainer_class):
    return type(f"Alum{trainer_class.__name__}", (AlumMixin, trainer_class), {})


OWN = [MeanOfMicroBatch, SumOverStep, Positional]


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("batches", [{}, FOUR_TIMES_TWO], ids=["at once", "accumulated"])
@pytest.mark.parametrize("own", [*OWN, Twice])
def test_without_an_adversary_it_is_that_trainers_bit_for_bit(tmp_path, own, batches):
    ours = trained(classifier(), config(tmp_path, adv_method="standard", **batches), labelled_sentences(), alum(own))
    plain = trained(classifier(), plain_config(tmp_path, **batches), labelled_sentences(), own)
    torch.testing.assert_close(weights(ours), weights(plain), **(CLOSE if own is SumOverStep else EXACT))


@pytest.mark.quick_cases(6)
@pytest.mark.parametrize("batches", [{}, FOUR_TIMES_TWO], ids=["at once", "accumulated"])
@pytest.mark.parametrize("method", ["alum", "alum_one_pass", "pgd"])
@pytest.mark.parametrize("own", OWN)
def test_the_same_loss_written_out_trains_as_the_models_own(tmp_path, own, method, batches):
    arguments = measuring_config(tmp_path, adv_method=method, max_steps=2, **batches)
    written = trained(classifier(dropout=0.0), arguments, labelled_sentences(), alum(own))
    models_own = trained(classifier(dropout=0.0), arguments, labelled_sentences())
    assert min(logged(written, "adversarial_gain")) > 2
    torch.testing.assert_close(weights(written), weights(models_own), **CLOSE)
    assert isinstance(models_own, AlumTrainer)


@pytest.mark.parametrize("method", ["alum", "alum_one_pass"])
def test_a_loss_that_calls_the_model_twice_is_refused_by_what_it_does(tmp_path, method):
    with pytest.raises(InputError, match=r"more than one call of BertForSequ.*a loss that runs the model once on a b"):
        trained(classifier(), config(tmp_path, adv_method=method), labelled_sentences(), alum(Twice))
