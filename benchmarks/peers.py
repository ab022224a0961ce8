"""What people would use instead of alum, each as a Trainer: two packages from PyPI and three papers.

The packages are used as their READMEs say, as far as that runs with this transformers; what had to be done otherwise
stands at each. The papers' algorithms are written down here in the plainest way that is still right, on BERT's word
embeddings as ``inputs_embeds``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BertForSequenceClassification, Trainer

from alum.core.divergences import symmetric_kl

Classifier: TypeAlias = BertForSequenceClassification
Inputs: TypeAlias = Mapping[str, Tensor]
LogitsAt: TypeAlias = Callable[[Tensor | float], Tensor]
FromEmbeddings: TypeAlias = Callable[[Tensor], Tensor]
Regularizer: TypeAlias = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Attack:
    """Logits as a function of the perturbation, where the peer puts it, and the perturbation that it found."""

    logits_at: LogitsAt
    delta: Tensor


class Peer(Trainer):
    """The Trainer with the step of another implementation, for classifiers of BERT's architecture."""

    def compute_loss(self, model: nn.Module, inputs: Inputs, *_: Any, **__: Any) -> Tensor:
        return self.loss(classifier(model), inputs)

    def loss(self, model: Classifier, inputs: Inputs) -> Tensor:
        """What a step descends, clean and adversarial together."""
        raise NotImplementedError

    def attack(self, model: Classifier, inputs: Inputs) -> Attack:
        """What the peer does to this batch, found without touching the gradients of the weights."""
        raise NotImplementedError


def classifier(model: nn.Module | None) -> Classifier:
    """The model itself, known to be of the architecture that the peers are written for."""
    assert isinstance(model, BertForSequenceClassification)
    return model


def _others(inputs: Inputs) -> dict[str, Tensor]:
    return {name: value for name, value in inputs.items() if name not in ("input_ids", "labels")}


# -- from the papers ---------------------------------------------------------------------------------------------------


def _at_words(model: Classifier, inputs: Inputs, words: Tensor) -> LogitsAt:
    def logits_at(delta: Tensor | float) -> Tensor:
        logits: Tensor = model(inputs_embeds=words + delta, **_others(inputs)).logits
        return logits

    return logits_at


def _words(model: Classifier, inputs: Inputs) -> Tensor:
    words: Tensor = model.get_input_embeddings()(inputs["input_ids"])
    return words


def _gradient(value: Tensor, delta: Tensor) -> Tensor:
    gradient: Tensor = torch.autograd.grad(value, delta)[0]
    return gradient


def _length(delta: Tensor) -> Tensor:
    """Of all of a sentence's vectors together, ``[batch, 1, 1]``."""
    lengths: Tensor = delta.flatten(1).norm(dim=1)
    return lengths.view(-1, 1, 1)


class Recipe(Peer):
    """ALUM, Algorithm 1 of arXiv:2004.08994, with K = 1 and the constants of its section 4.1: three forward passes, of
    which two are back-propagated together."""

    init_std, step_size, epsilon, alpha = 1e-5, 1e-3, 1e-5, 1.0

    def loss(self, model: Classifier, inputs: Inputs) -> Tensor:
        words = _words(model, inputs)
        logits_at = _at_words(model, inputs, words)
        logits = logits_at(0.0)
        delta = self._delta(_at_words(model, inputs, words.detach()), words, logits)
        divergence = symmetric_kl(logits_at(delta), logits).mean()
        return F.cross_entropy(logits, inputs["labels"]) + self.alpha * divergence

    def attack(self, model: Classifier, inputs: Inputs) -> Attack:
        words = _words(model, inputs).detach()
        logits_at = _at_words(model, inputs, words)
        return Attack(logits_at, self._delta(logits_at, words, logits_at(0.0)))

    def _delta(self, logits_at: LogitsAt, words: Tensor, logits: Tensor) -> Tensor:
        delta = (self.init_std * torch.randn_like(words)).requires_grad_()
        gradient = _gradient(symmetric_kl(logits_at(delta), logits.detach()).sum(), delta)
        return (delta + self.step_size * gradient).detach().clamp(-self.epsilon, self.epsilon)


class FreeLB(Peer):
    """FreeLB, Algorithm 1 of arXiv:1909.11764, with K = 3: each ascent step's backward pass also yields a third of the
    gradients of the weights. Step size and radius are among those of its appendix B for GLUE; dropout is drawn anew in
    each pass."""

    num_steps, step_size, epsilon = 3, 0.1, 0.15

    def training_step(self, model: nn.Module, inputs: Inputs, *_: Any, **__: Any) -> Tensor:
        model.train()
        inputs = self._prepare_inputs(dict(inputs))
        total, delta = torch.zeros(()), None
        for _step in range(self.num_steps):
            words = _words(classifier(model), inputs)
            delta = self._start(words, inputs) if delta is None else delta
            logits = _at_words(classifier(model), inputs, words)(delta.requires_grad_())
            loss = F.cross_entropy(logits, inputs["labels"]) / self.num_steps
            self.accelerator.backward(loss)
            total += loss.detach()
            assert delta.grad is not None
            delta = self._next(delta.detach(), delta.grad)
        return total

    def attack(self, model: Classifier, inputs: Inputs) -> Attack:
        words = _words(model, inputs).detach()
        logits_at = _at_words(model, inputs, words)
        delta = self._start(words, inputs)
        for _step in range(self.num_steps - 1):  # the last pass trains on what the steps before it found
            delta.requires_grad_()
            gradient = _gradient(F.cross_entropy(logits_at(delta), inputs["labels"]), delta)
            delta = self._next(delta.detach(), gradient)
        return Attack(logits_at, delta)

    def _start(self, words: Tensor, inputs: Inputs) -> Tensor:
        mask = inputs["attention_mask"].unsqueeze(-1)
        num_coordinates = mask.sum(dim=1, keepdim=True) * words.shape[-1]
        return torch.empty_like(words).uniform_(-self.epsilon, self.epsilon).detach() * mask / num_coordinates.sqrt()

    def _next(self, delta: Tensor, gradient: Tensor) -> Tensor:
        delta = delta + self.step_size * gradient / _length(gradient).clamp_min(1e-30)
        return delta * (self.epsilon / _length(delta).clamp_min(1e-30)).clamp_max(1.0)


class PGD(Peer):
    """Adversarial training on the worst point that projected gradient ascent finds, arXiv:1706.06083, with K = 3 on
    embeddings: nothing but the adversarial loss is trained on. Radius and step are those of alum's `pgd`: a share of
    the mean length of the sentence's word vectors, in a ball for each token."""

    num_steps, step_size, epsilon = 3, 0.5, 0.03

    def loss(self, model: Classifier, inputs: Inputs) -> Tensor:
        words = _words(model, inputs)
        delta = self._delta(_at_words(model, inputs, words.detach()), words.detach(), inputs)
        return F.cross_entropy(_at_words(model, inputs, words)(delta), inputs["labels"])

    def attack(self, model: Classifier, inputs: Inputs) -> Attack:
        words = _words(model, inputs).detach()
        logits_at = _at_words(model, inputs, words)
        return Attack(logits_at, self._delta(logits_at, words, inputs))

    def _delta(self, logits_at: LogitsAt, words: Tensor, inputs: Inputs) -> Tensor:
        mask = inputs["attention_mask"].unsqueeze(-1)
        lengths = words.norm(dim=-1, keepdim=True) * mask
        radius = self.epsilon * lengths.sum(dim=1, keepdim=True) / mask.sum(dim=1, keepdim=True)
        delta = torch.zeros_like(words)
        for _step in range(self.num_steps):
            delta.requires_grad_()
            gradient = _gradient(F.cross_entropy(logits_at(delta), inputs["labels"]), delta) * mask
            direction = gradient / gradient.norm(dim=-1, keepdim=True).clamp_min(1e-30)
            delta = delta.detach() + self.step_size * radius * direction
            delta = delta * (radius / delta.norm(dim=-1, keepdim=True).clamp_min(1e-30)).clamp_max(1.0)
        return delta


# -- from PyPI ---------------------------------------------------------------------------------------------------------


def _embeddings(model: Classifier, inputs: Inputs) -> Tensor:
    """Of words, positions and types, normed: what BERT's first block gets."""
    embeddings: Tensor = model.bert.embeddings(inputs["input_ids"], inputs["token_type_ids"])
    return embeddings


class SmartPytorch(Peer):
    """smart-pytorch 0.0.4 as its README's BERT example has it, with the package's own constants and weight 1.

    Otherwise than there the attention mask is given, since sentences in a batch are padded. As there, what the
    embeddings module returns goes back in as ``inputs_embeds``: positions, types and LayerNorm are applied twice.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from smart_pytorch import SMARTLoss

        super().__init__(*args, **kwargs)
        self._loss_class: Callable[..., Regularizer] = SMARTLoss

    def loss(self, model: Classifier, inputs: Inputs) -> Tensor:
        outputs = model(**inputs)
        task_loss: Tensor = outputs.loss
        embeddings = _embeddings(model, inputs)
        state = F.log_softmax(outputs.logits, dim=1)
        return task_loss + self._regularizer(self._log_probs_from(model, inputs))(embeddings, state)

    def attack(self, model: Classifier, inputs: Inputs) -> Attack:
        embeddings = _embeddings(model, inputs).detach()
        evaluate = self._log_probs_from(model, inputs)
        return _regularizer_attack(self._regularizer, evaluate, embeddings)

    def _regularizer(self, evaluate: FromEmbeddings) -> Regularizer:
        return self._loss_class(eval_fn=evaluate, loss_fn=_log_kl)

    def _log_probs_from(self, model: Classifier, inputs: Inputs) -> FromEmbeddings:
        def evaluate(embeddings: Tensor) -> Tensor:
            pooled = model.bert(inputs_embeds=embeddings, attention_mask=inputs["attention_mask"])[1]
            return F.log_softmax(model.classifier(pooled), dim=1)

        return evaluate


def _log_kl(log_probs: Tensor, log_targets: Tensor) -> Tensor:
    return F.kl_div(log_probs, log_targets, reduction="batchmean", log_target=True)


class VatPytorch(Peer):
    """SMART of vat-pytorch 0.0.9 as its README has it, from its extracted model on, with weight 1.

    The README's example does not run with transformers 5: ``get_extended_attention_mask`` is gone, and blocks return a
    tensor, whose ``[0]`` is the batch's first sentence. Here the mask is made by hand and the ``[0]`` left out; BERT's
    pooler and dropout stand before the classifier, which in RoBERTa, the README's model, has its own.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        import vat_pytorch

        super().__init__(*args, **kwargs)
        self._loss_class: Callable[..., Regularizer] = vat_pytorch.SMARTLoss
        self._divergences = {"loss_fn": vat_pytorch.kl_loss, "loss_last_fn": vat_pytorch.sym_kl_loss}

    def loss(self, model: Classifier, inputs: Inputs) -> Tensor:
        embeddings = _embeddings(model, inputs)
        extracted = self._extracted(model, inputs)
        logits = extracted(embeddings)
        return F.cross_entropy(logits, inputs["labels"]) + self._regularizer(extracted)(embeddings, logits)

    def attack(self, model: Classifier, inputs: Inputs) -> Attack:
        embeddings = _embeddings(model, inputs).detach()
        return _regularizer_attack(self._regularizer, self._extracted(model, inputs), embeddings)

    def _regularizer(self, extracted: FromEmbeddings) -> Regularizer:
        return self._loss_class(model=extracted, **self._divergences)

    def _extracted(self, model: Classifier, inputs: Inputs) -> FromEmbeddings:
        keeps = inputs["attention_mask"][:, None, None, :].float()
        pooler = model.bert.pooler
        assert pooler is not None
        mask = (1.0 - keeps) * torch.finfo(torch.float32).min

        def extracted(hidden: Tensor) -> Tensor:
            for layer in model.bert.encoder.layer:
                hidden = layer(hidden, attention_mask=mask)
            logits: Tensor = model.classifier(model.dropout(pooler(hidden)))
            return logits

        return extracted


def _regularizer_attack(
    regularizer: Callable[[FromEmbeddings], Regularizer],
    evaluate: FromEmbeddings,
    embeddings: Tensor,
) -> Attack:
    """The perturbation with which a regularizer of these packages evaluates last."""
    evaluated: list[Tensor] = []

    def recorded(perturbed: Tensor) -> Tensor:
        evaluated.append(perturbed)
        return evaluate(perturbed)

    regularizer(recorded)(embeddings, evaluate(embeddings))
    return Attack(lambda delta: evaluate(embeddings + delta), (evaluated[-1] - embeddings).detach())


PEERS: dict[str, type[Peer]] = {
    "ALUM, Algorithm 1": Recipe,
    "FreeLB, K = 3": FreeLB,
    "PGD, K = 3": PGD,
    "smart-pytorch": SmartPytorch,
    "vat-pytorch": VatPytorch,
}


def peers_here() -> dict[str, type[Peer]]:
    """Those whose package, if they need one, is installed."""
    needs = {SmartPytorch: "smart_pytorch", VatPytorch: "vat_pytorch"}
    return {name: peer for name, peer in PEERS.items() if peer not in needs or find_spec(needs[peer]) is not None}
