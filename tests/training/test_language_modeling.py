"""`LanguageModelTrainer`: what a batch is trained to predict, and the scores."""

import math

import pytest
import torch
from datasets import Dataset
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import TrainerCallback

from alum.data.pretraining.masking import MaskRate, TokenMasks
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.tasks.kinds.language_modeling import CAUSAL_LM, MASKED_LM
from alum.training.language_modeling import LanguageModelTrainer, Supervise, stacked
from alum.training.trainer import AlumTrainer
from tiny_models import language_model
from tiny_runs import config, logged, masked_sentences, trained
from tiny_texts import opinions

LENGTH = 8


@pytest.fixture(scope="module")
def tokenizer():
    tokenizer = train_wordpiece([row["text"] for row in opinions()], 60, LENGTH)
    assert len(tokenizer) <= 64  # the tiny models' vocabulary
    return tokenizer


def rows(tokenizer, count=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(len(tokenizer.all_special_ids), len(tokenizer), (count, LENGTH), generator=generator)
    words[:, 0], words[:, -1] = tokenizer.cls_token_id, tokenizer.sep_token_id
    return Dataset.from_dict({"input_ids": words.tolist()})


def trainer_of(tmp_path, tokenizer, model=None, supervise=None, kind=MASKED_LM, **settings):
    supervise = supervise or Supervise(TokenMasks(tokenizer), MaskRate(0.3, 0.3))
    model = model or language_model("bert", dropout=0.0)
    options = {"train_dataset": rows(tokenizer), "data_collator": stacked, "kind": kind, "supervise": supervise}
    return LanguageModelTrainer(model=model, args=config(tmp_path, **settings), processing_class=tokenizer, **options)


class Seen(TrainerCallback):
    """The inputs of every forward pass of the model in training."""

    def __init__(self, model):
        self.inputs = []
        model.register_forward_pre_hook(self._keep, with_kwargs=True)

    def _keep(self, model, args, kwargs):
        if model.training:
            self.inputs.append(kwargs)


# -- what is predicted -------------------------------------------------------------------------------------------------


def test_masks_differ_from_step_to_step_and_agree_from_run_to_run(tmp_path, tokenizer):
    runs = []
    for name in ("a", "b"):
        # One batch holds all rows: the text is the same at every step, up to the order of the rows.
        trainer = trainer_of(tmp_path / name, tokenizer, adv_method="standard", per_device_train_batch_size=32)
        seen = Seen(trainer.model)
        trainer.train()
        runs.append([inputs["input_ids"] for inputs in seen.inputs])
    assert len(runs[0]) == 4
    for one, other in zip(*runs, strict=True):
        assert torch.equal(one, other)
    masked = [(ids == tokenizer.mask_token_id) for ids in runs[0]]
    assert len({tuple(mask.flatten().tolist()) for mask in masked}) == 4


def test_a_row_has_the_masks_of_its_step_in_any_batch(tmp_path, tokenizer):
    found = []
    for sizes in (
        {"per_device_train_batch_size": 8},
        {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
    ):
        trainer = trainer_of(tmp_path, tokenizer, adv_method="standard", max_steps=2, **sizes)
        seen = Seen(trainer.model)
        trainer.train()
        found.append(torch.cat([inputs["input_ids"] for inputs in seen.inputs]))
    assert torch.equal(*found)


def test_the_mask_rate_follows_the_progress_of_training(tmp_path, tokenizer):
    supervise = Supervise(TokenMasks(tokenizer), MaskRate(0.05, 0.85))
    trainer = trainer_of(tmp_path, tokenizer, supervise=supervise, adv_method="standard", max_steps=8)
    shares = []
    predicted_rows = MASKED_LM.predicted_rows

    def count(labels):
        shares.append((labels != -100).float().mean().item() * LENGTH / (LENGTH - 2))
        return predicted_rows(labels)

    trainer.kind = MASKED_LM.__class__(**{**vars(MASKED_LM), "predicted_rows": count})
    trainer.train()
    of_steps = shares[:: len(shares) // 8]
    for step, share in enumerate(of_steps):  # 48 tokens each: three standard deviations are 0.22 at most
        assert share == pytest.approx(0.05 + 0.8 * step / 8, abs=0.22)


def test_a_decoder_predicts_every_next_token(tmp_path, tokenizer):
    model = language_model("gpt2", dropout=0.0)
    trainer = trainer_of(tmp_path, tokenizer, model, Supervise(), CAUSAL_LM, adv_method="standard", learning_rate=0.0)
    trainer.train()
    model.eval()
    ids = torch.tensor(rows(tokenizer)["input_ids"][:])
    with torch.no_grad():
        loss = model(input_ids=ids, labels=ids).loss.item()
    assert sum(logged(trainer, "loss")) / 4 == pytest.approx(loss, rel=1e-5)  # four batches of eight are all rows


# -- scores ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
def test_scores_are_means_over_all_predicted_tokens(tmp_path, tokenizer, architecture):
    model = language_model(architecture, dropout=0.0)
    ids = torch.tensor(rows(tokenizer, 10, seed=1)["input_ids"][:])
    labels = ids.clone()
    causal = architecture == "gpt2"
    if not causal:  # as many predicted tokens in a row as its number: the mean of batch means would be another
        labels[torch.arange(LENGTH) > torch.arange(10)[:, None] % 4] = -100
    table = Dataset.from_dict({"input_ids": ids.tolist(), **({} if causal else {"labels": labels.tolist()})})
    kind = CAUSAL_LM if causal else MASKED_LM
    supervise = Supervise() if causal else None
    trainer = trainer_of(tmp_path, tokenizer, model, supervise, kind, per_device_eval_batch_size=3)
    found = trainer.evaluate(table)
    with torch.no_grad():
        logits = model(input_ids=ids).logits
    if causal:
        logits, labels = logits[:, :-1], labels[:, 1:]
    kept = labels != -100
    loss = F.cross_entropy(logits[kept], labels[kept]).item()
    assert found["eval_loss"] == pytest.approx(loss, rel=1e-5)
    assert found["eval_perplexity"] == pytest.approx(math.exp(loss), rel=1e-5)
    assert found["eval_accuracy"] == pytest.approx((logits.argmax(-1) == labels)[kept].float().mean().item())
    assert found["eval_num_tokens"] == kept.sum().item()


def test_speed_and_where_the_time_goes_are_logged(tmp_path, tokenizer):
    trainer = trainer_of(tmp_path, tokenizer)
    trainer.train()
    last = [entry for entry in trainer.state.log_history if "learning_rate" in entry][-1]
    shares = {name: value for name, value in last.items() if name.startswith("time_share_")}
    assert set(shares) >= {f"time_share_{part}" for part in ("data", "clean", "adversary", "backward", "optimizer")}
    assert sum(shares.values()) == pytest.approx(1)
    assert last["tokens_per_second"] > 0


def test_rows_of_one_length_are_stacked():
    batch = stacked([{"input_ids": [1, 2]}, {"input_ids": [3, 4]}])
    assert batch["input_ids"].tolist() == [[1, 2], [3, 4]]
    assert batch["input_ids"].dtype == torch.int64


class Searches(TorchDispatchMode):
    """Counts searches for what is True, each of which waits for the device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.overloadpacket is torch.ops.aten.nonzero
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("method", ["alum_one_pass", "pgd"])
def test_a_step_searches_for_predicted_positions_once(tmp_path, method):
    counts = []

    class Counting(AlumTrainer):
        def training_step(self, *args, **kwargs):
            with Searches() as searches:
                loss = super().training_step(*args, **kwargs)
            counts.append(searches.count)
            return loss

    settings = config(tmp_path, adv_method=method, logging_strategy="no", max_grad_norm=0.0)
    trained(language_model(), settings, masked_sentences(), Counting)
    assert counts == [1] * 4
