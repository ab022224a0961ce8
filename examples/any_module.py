"""ALUM for a module that transformers knows nothing of: a GRU over word embeddings.

What is needed is the module to perturb, a forward pass with the loss and one without, and a divergence between outputs.
Runs offline in seconds: python examples/any_module.py
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alum import AlumResult, HookedBatch, Injection, alum_loss, method_named
from alum.core.divergences import symmetric_kl

VOCAB_SIZE, LENGTH, PAD = 64, 12, 0


class Reader(nn.Module):
    """Two classes from the last state of a GRU."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.Embedding(VOCAB_SIZE, 32, padding_idx=PAD)
        self.dropout = nn.Dropout(0.1)
        self.reader = nn.GRU(32, 32, batch_first=True)
        self.head = nn.Linear(32, 2)

    def forward(self, words: Tensor) -> Tensor:
        _, last_state = self.reader(self.dropout(self.embeddings(words)))
        logits: Tensor = self.head(last_state[-1])
        return logits


def sentences(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random words; the label says whether most of them are from the upper half of the vocabulary."""
    words = torch.randint(PAD + 1, VOCAB_SIZE, (count, LENGTH), generator=torch.Generator().manual_seed(seed))
    return words, ((words >= VOCAB_SIZE // 2).sum(dim=1) > LENGTH // 2).long()


def alum_step(model: Reader, words: Tensor, labels: Tensor) -> AlumResult:
    """Fills the gradients of the task loss and the adversarial term."""

    def with_loss() -> tuple[Tensor, Tensor]:
        logits = model(words)
        return F.cross_entropy(logits, labels), logits

    batch = HookedBatch(
        model=model,
        injection=Injection(model, model.embeddings),
        mask=words != PAD,
        run=lambda: model(words),
        run_with_loss=with_loss,
        compared=lambda logits: logits,
        distance=symmetric_kl,
    )
    result = alum_loss(batch, method_named("alum_one_pass", epsilon=0.05), num_gain_draws=2)
    result.loss.backward()
    return result


def main() -> None:
    torch.manual_seed(0)
    model = Reader()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    words, labels = sentences(1024, seed=0)
    for epoch in range(4):
        for rows in torch.randperm(len(words)).split(32):
            result = alum_step(model, words[rows], labels[rows])
            optimizer.step()
            optimizer.zero_grad()
        gain = result.diagnostics.adversarial_gain if result.diagnostics is not None else 1.0
        print(f"epoch {epoch + 1}: task loss {result.task_loss:.3f}, adversarial gain {gain:.0f}")

    words, labels = sentences(128, seed=1)
    with torch.no_grad():
        found = model.eval()(words).argmax(-1)
    print(f"accuracy {(found == labels).float().mean():.2f}")


if __name__ == "__main__":
    main()
