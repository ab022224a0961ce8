"""ALUM in a training loop of one's own: one call instead of the forward and backward pass.

Runs offline in seconds, on made-up sentences and a tiny RoBERTa: python examples/plain_loop.py
"""

import torch
from torch import Tensor
from transformers import RobertaConfig, RobertaForSequenceClassification

from alum import AlumStep

VOCAB_SIZE, LENGTH, PAD = 64, 12, 1


def sentences(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random words; the label says whether most of them are from the upper half of the vocabulary."""
    words = torch.randint(PAD + 1, VOCAB_SIZE, (count, LENGTH), generator=torch.Generator().manual_seed(seed))
    return words, ((words >= VOCAB_SIZE // 2).sum(dim=1) > LENGTH // 2).long()


def main() -> None:
    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    model = RobertaForSequenceClassification(RobertaConfig(vocab_size=VOCAB_SIZE, pad_token_id=PAD, **size)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    step = AlumStep(model, "alum_one_pass", epsilon=0.03)

    words, labels = sentences(1024, seed=0)
    for epoch in range(4):
        for rows in torch.randperm(len(words)).split(32):
            result = step({"input_ids": words[rows], "labels": labels[rows]})  # instead of a loss and its backward()
            optimizer.step()
            optimizer.zero_grad()
        print(f"epoch {epoch + 1}: task loss {result.task_loss:.3f}, adversarial loss {result.adversarial_loss:.5f}")

    # Is it an adversary? How much further δ moves the outputs than noise of the same length does.
    result = step({"input_ids": words[:128], "labels": labels[:128]}, num_gain_draws=4)
    if result.diagnostics is not None:
        print(f"adversarial gain {result.diagnostics.adversarial_gain:.0f}")

    words, labels = sentences(128, seed=1)
    with torch.no_grad():
        found = model.eval()(words).logits.argmax(-1)
    print(f"accuracy {(found == labels).float().mean():.2f}")


if __name__ == "__main__":
    main()
