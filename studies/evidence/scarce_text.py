"""Causal language models from scratch on little text, trained past their optimum: what is the best loss of each arm?

The learning rate is constant after a short warm-up. After each epoch the loss is measured on other documents of the
same corpus; where it is the lowest so far, so is that of test documents and of another corpus. Training ends when it
has not fallen for some epochs.
"""

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from alum.data.pretraining.corpora import file_corpus
from alum.data.pretraining.packing import Packing
from alum.data.pretraining.tokenizer import train_byte_level_bpe
from benchmarks.records import progress
from studies.evidence.arms import TEXT_ARMS, Arm
from studies.evidence.training import Course, Training, device, strength

HELD_OUT_DOCUMENTS, NUM_BINS = 50, 20


@dataclass(frozen=True)
class ScarceText:
    """Sizes of model and data, and how long it is trained."""

    num_layers: int = 2
    hidden_size: int = 128
    vocab_size: int = 2000
    num_words: int = 50_000
    length_tokens: int = 64
    batch_size: int = 16
    learning_rate: float = 1e-3
    warmup_steps: int = 50
    dropout: float = 0.1
    epsilon: float = 0.3
    max_epochs: int = 40
    patience_epochs: int = 3
    max_eval_sequences: int = 1000

    arms = TEXT_ARMS

    def prepare(self, data: Path, file: Path) -> None:
        """Writes the sequences of all splits: documents of Brown in a fixed random order, and another text."""
        documents = list(file_corpus(data / "corpora" / "brown.txt"))
        random.Random(0).shuffle(documents)
        validation, test = documents[:HELD_OUT_DOCUMENTS], documents[HELD_OUT_DOCUMENTS : 2 * HELD_OUT_DOCUMENTS]
        training = list(first_words(documents[2 * HELD_OUT_DOCUMENTS :], self.num_words))
        tokenizer = train_byte_level_bpe(training, self.vocab_size, self.length_tokens, "causal_lm")
        packing = Packing(tokenizer, self.length_tokens, "causal_lm")
        other = file_corpus(data / "corpora" / "wikitext2_valid.txt")
        rows = {"training": list(packing.rows(training))}
        for name, texts in (("validation", validation), ("test", test), ("other", other)):
            rows[name] = list(islice(packing.rows(texts), self.max_eval_sequences))
        save_file({name: np.array(found, np.int16) for name, found in rows.items()}, file)

    def run(
        self, arm: Arm, seed: int, file: Path, reference: Mapping[str, Any] | None, deadline: float
    ) -> dict[str, Any]:
        """Trains an arm until its validation loss falls no more; its record."""
        splits = {name: torch.from_numpy(rows).long().to(device()) for name, rows in load_file(file).items()}
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(self._config(arm.dropout))
        nn.Module.to(model, device())
        course = Course(self.epsilon, self._learning_rate, device().type == "cuda", deadline)
        training = Training(model, arm, course, reference)
        epochs: list[dict[str, float]] = []
        scores: dict[str, dict[str, float]] = {}
        losses: list[float] = []
        while len(losses) < self.max_epochs and not _is_past_its_best(losses, self.patience_epochs):
            epochs.append(training.epoch(_batches(splits["training"], self.batch_size, 1000 * seed + len(epochs))))
            found = evaluated(model, splits["validation"], course.autocast)
            if found["loss"] < min(losses, default=math.inf):
                others = {name: evaluated(model, splits[name], course.autocast) for name in ("test", "other")}
                scores = {"validation": found, **others}
            losses.append(found["loss"])
            progress(f"  {arm.name}, seed {seed}, epoch {len(losses)}: {losses[-1]:.4f} nats")
        num_best = 1 + losses.index(min(losses))
        return {
            "best_epoch": num_best,
            **scores,
            "training_loss": epochs[num_best - 1]["training_loss"],
            **strength(epochs[:num_best]),
            "num_parameters": model.num_parameters(),
            "training_tokens": splits["training"].numel(),
            "seconds": training.seconds,
            "cost_in_standard_steps": training.cost_in_standard_steps,
            "cost_to_best": training.cost_in_standard_steps * num_best / len(losses),
            "validation_losses": losses,
        }

    def _learning_rate(self, step: int) -> float:
        return self.learning_rate * min(1.0, (step + 1) / self.warmup_steps)

    def _config(self, dropout_factor: float) -> GPT2Config:
        dropout = self.dropout * dropout_factor
        return GPT2Config(
            vocab_size=self.vocab_size,
            n_positions=self.length_tokens,
            n_embd=self.hidden_size,
            n_layer=self.num_layers,
            n_head=max(self.hidden_size // 64, 1),
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
            activation_function="gelu_pytorch_tanh",  # GPT-2's, in one operation
            bos_token_id=0,
            eos_token_id=0,
            use_cache=False,
        )


SCALES = {
    "2x128": ScarceText(),
    "6x512": ScarceText(6, 512, 8000, 150_000, 256, 32, learning_rate=5e-4, max_eval_sequences=400),
    "rehearsal": ScarceText(1, 32, 300, 2000, 16, 16, max_epochs=2, max_eval_sequences=8),
}


def first_words(documents: Iterable[str], num_words: int) -> Iterator[str]:
    """Documents as long as there are words left for them."""
    for document in documents:
        words = document.split(" ")[:num_words]
        num_words -= len(words)
        if words:
            yield " ".join(words)


def _is_past_its_best(losses: Sequence[float], patience_epochs: int) -> bool:
    return len(losses) > patience_epochs and min(losses[-patience_epochs:]) > min(losses)


def _batches(rows: Tensor, batch_size: int, seed: int) -> Iterator[dict[str, Tensor]]:
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).to(rows.device)
    for chosen in order.split(batch_size):
        yield {"input_ids": rows[chosen], "labels": rows[chosen]}


@torch.no_grad()
def evaluated(model: GPT2LMHeadModel, rows: Tensor, autocast: bool) -> dict[str, float]:
    """Mean loss of predicted tokens in nats, share of tokens that are the likeliest, and how far confidence is off."""
    model.eval()
    losses, confidences, right = [], [], []
    for part in rows.split(64):
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=autocast):
            logits = model(input_ids=part).logits[:, :-1]
        log_probs = logits.float().log_softmax(-1)
        highest, likeliest = log_probs.max(-1)
        losses.append(-log_probs.gather(-1, part[:, 1:, None]).flatten())
        confidences.append(highest.exp().flatten())
        right.append((likeliest == part[:, 1:]).float().flatten())
    loss, confidence, is_right = torch.cat(losses), torch.cat(confidences), torch.cat(right)
    order = confidence.argsort()
    gaps = (confidence - is_right)[order].tensor_split(NUM_BINS)
    error = sum(float(gap.sum().abs()) for gap in gaps) / len(order)
    mean_loss = float(loss.double().mean())
    if not math.isfinite(mean_loss):
        raise FloatingPointError(f"the loss is {mean_loss}")
    return {"loss": mean_loss, "accuracy": float(is_right.mean()), "expected_calibration_error": error}
