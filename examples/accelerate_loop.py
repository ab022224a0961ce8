"""ALUM in a loop of one's own with accelerate: gradient accumulation, clipping, a schedule, any number of processes.

Runs offline in seconds, on made-up sentences and a tiny RoBERTa: python examples/accelerate_loop.py
On several devices: accelerate launch examples/accelerate_loop.py
"""

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset
from transformers import RobertaConfig, RobertaForSequenceClassification, get_linear_schedule_with_warmup, set_seed

from alum import AlumStep

VOCAB_SIZE, LENGTH, PAD = 64, 12, 1
EPOCHS, BATCH_SIZE, ACCUMULATED = 5, 16, 2


def sentences(count: int, seed: int) -> TensorDataset:
    """Random words; the label says whether most of them are from the upper half of the vocabulary."""
    words = torch.randint(PAD + 1, VOCAB_SIZE, (count, LENGTH), generator=torch.Generator().manual_seed(seed))
    return TensorDataset(words, ((words >= VOCAB_SIZE // 2).sum(dim=1) > LENGTH // 2).long())


def main() -> None:
    set_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    model = RobertaForSequenceClassification(RobertaConfig(vocab_size=VOCAB_SIZE, pad_token_id=PAD, **size))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    batches = DataLoader(sentences(1024, seed=0), batch_size=BATCH_SIZE, shuffle=True)
    schedule = get_linear_schedule_with_warmup(optimizer, 20, EPOCHS * len(batches) // ACCUMULATED)

    accelerator = Accelerator(gradient_accumulation_steps=ACCUMULATED, cpu=True)  # leave cpu out on other devices
    model, optimizer, batches, schedule = accelerator.prepare(model, optimizer, batches, schedule)
    step = AlumStep(model, "alum_virtual", epsilon=0.1, backward=accelerator.backward)

    for epoch in range(EPOCHS):
        model.train()
        for words, labels in batches:
            with accelerator.accumulate(model):
                result = step({"input_ids": words, "labels": labels})  # instead of accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
        accelerator.print(
            f"epoch {epoch + 1}: task loss {result.task_loss:.3f}, divergence {result.adversarial_loss:.5f}"
        )

    result = step({"input_ids": words, "labels": labels}, num_gain_draws=4)
    if result.diagnostics is not None:
        accelerator.print(f"adversarial gain {result.diagnostics.adversarial_gain:.0f}")

    model.eval()
    held_out = accelerator.prepare(DataLoader(sentences(256, seed=1), batch_size=64))
    right = total = 0
    for words, labels in held_out:
        with torch.no_grad():
            found = model(input_ids=words).logits.argmax(-1)
        found, labels = accelerator.gather_for_metrics((found, labels))
        right, total = right + int((found == labels).sum()), total + len(labels)
    accelerator.print(f"accuracy {right / total:.2f}")


if __name__ == "__main__":
    main()
