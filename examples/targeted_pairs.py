"""A decoder learns to refuse, also where the prompt's embeddings are perturbed towards an answer that it must not give.

Continuous adversarial training with pairs of answers, after Xhonneux et al. 2024, arXiv:2405.15589: δ on the prompt
raises the likelihood of the bad answer; at that δ the model is trained towards the safe answer and away from the bad
one, and beside it to answer other prompts as before. The attack is `worst_case_perturbation` with an objective of one's
own.
Runs offline in seconds, on made-up prompts and a tiny Llama: python examples/targeted_pairs.py
"""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from alum import Injection, method_named
from alum.core.divergences import symmetric_kl
from alum.core.perturbation import random_perturbation_like, worst_case_perturbation

VOCAB_SIZE, LENGTH = 64, 8
END, SURE, SORRY, NO, FIRST_WORD, FIRST_HARMLESS = 1, 2, 3, 4, 8, 16
FLOOR = -10.0  # log-likelihood from which on the bad answer is not pushed further away

Loss = Callable[[LlamaForCausalLM, Tensor, Tensor], Tensor]


def prompts(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random words, and whether one of them is forbidden: it is in every second prompt."""
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(FIRST_HARMLESS, VOCAB_SIZE, (count, LENGTH), generator=generator)
    is_harmful = torch.arange(count) % 2 == 0
    place = torch.randint(LENGTH, (count,), generator=generator)
    forbidden = torch.randint(FIRST_WORD, FIRST_HARMLESS, (count,), generator=generator)
    words[is_harmful, place[is_harmful]] = forbidden[is_harmful]
    return words, is_harmful


def helpful(words: Tensor) -> Tensor:
    """Answers that do what is asked: right for harmless prompts, bad for others."""
    last = words[:, -1]
    return torch.stack((last, torch.full_like(last, SURE), torch.full_like(last, END)), dim=1)


def refusals(words: Tensor) -> Tensor:
    return torch.tensor([SORRY, NO, END]).expand(len(words), 3)


def logits_of(model: LlamaForCausalLM, words: Tensor, answers: Tensor, delta: Tensor | None = None) -> Tensor:
    """Logits of the answers' tokens, where δ ``[batch, prompt and answer, hidden]`` is added to the embeddings."""
    tokens = torch.cat((words, answers), dim=1)
    if delta is None:
        logits = model(tokens).logits
    else:
        with Injection(model).adding(delta):
            logits = model(tokens).logits
    return logits[:, LENGTH - 1 : -1]


def log_likelihoods(model: LlamaForCausalLM, words: Tensor, answers: Tensor, delta: Tensor | None = None) -> Tensor:
    log_probs = logits_of(model, words, answers, delta).log_softmax(-1)
    return log_probs.gather(-1, answers.unsqueeze(-1)).squeeze(-1).sum(-1)


def attack(model: LlamaForCausalLM, words: Tensor, num_steps: int = 3) -> Tensor:
    """δ on the prompts' embeddings that makes the bad answer likely."""
    bad = helpful(words)
    tokens = torch.cat((words, bad), dim=1)
    is_prompt = (torch.arange(tokens.shape[1]) < LENGTH).expand(tokens.shape)
    method = method_named("pgd", epsilon=0.4, num_steps=num_steps, step_size=2 / num_steps)
    embeddings = model.get_input_embeddings()(tokens).detach()
    return worst_case_perturbation(
        lambda delta: log_likelihoods(model, words, bad, delta).sum(), embeddings, is_prompt, method
    ).delta


def helpful_loss(model: LlamaForCausalLM, words: Tensor, is_harmful: Tensor) -> Tensor:
    return -log_likelihoods(model, words, helpful(words)).mean()


def pairs_loss(model: LlamaForCausalLM, words: Tensor, is_harmful: Tensor, attacked: bool) -> Tensor:
    """Towards the refusal and away from the bad answer for harmful prompts; for others towards the helpful answer."""
    harmful = words[is_harmful]
    delta = attack(model, harmful) if attacked else None
    towards = -log_likelihoods(model, harmful, refusals(harmful), delta).mean()
    away = log_likelihoods(model, harmful, helpful(harmful), delta).clamp_min(FLOOR).mean()
    return towards + away + helpful_loss(model, words[~is_harmful], is_harmful)


def train(model: LlamaForCausalLM, loss: Loss, num_steps: int) -> LlamaForCausalLM:
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    words, is_harmful = prompts(2048, seed=0)
    for step in range(num_steps):
        rows = torch.randperm(len(words), generator=torch.Generator().manual_seed(step))[:32]
        loss(model, words[rows], is_harmful[rows]).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def prefers_bad(model: LlamaForCausalLM, words: Tensor, delta: Tensor | None = None) -> Tensor:
    """Whether the helpful answer is likelier than the refusal."""
    with torch.no_grad():
        helps = log_likelihoods(model, words, helpful(words), delta)
        return helps > log_likelihoods(model, words, refusals(words), delta)


def gain_of(model: LlamaForCausalLM, words: Tensor, delta: Tensor) -> float:
    """How much further δ moves the answer's distributions than noise of the same length does."""
    with torch.no_grad():
        clean, moved, noised = (
            logits_of(model, words, helpful(words), each) for each in (None, delta, random_perturbation_like(delta))
        )
        return float(symmetric_kl(moved, clean).mean() / symmetric_kl(noised, clean).mean())


def main() -> None:
    torch.manual_seed(0)
    size = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    base = train(LlamaForCausalLM(LlamaConfig(vocab_size=VOCAB_SIZE, **size)), helpful_loss, 150)
    words, is_harmful = prompts(256, seed=1)
    for name, attacked in (("pairs", False), ("pairs, attacked", True)):
        model = train(copy.deepcopy(base), partial(pairs_loss, attacked=attacked), 250)
        delta = attack(model, words[is_harmful], num_steps=10)
        right = (prefers_bad(model, words) != is_harmful).float().mean()
        success = prefers_bad(model, words[is_harmful], delta).float().mean()
        print(f"trained on {name}: attack success rate {success:.2f}, accuracy without attack {right:.2f}")
    print(f"adversarial gain {gain_of(model, words[is_harmful], delta):.0f}")
    print(f"accuracy {right:.2f}")


if __name__ == "__main__":
    main()
