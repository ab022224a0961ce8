"""Models that a perturbation does something to: MiniLM-L6 on sentences and a small GPT-2 on text, trained a little."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from benchmarks.directions import Scale, Subject, small_causal_lm
from benchmarks.finetuning import task_of
from benchmarks.gpu.lines import synchronize

CLASSIFIER, CAUSAL_LM = "classification", "causal_lm"


@dataclass(frozen=True)
class Sources:
    """Where the first model and the rows come from."""

    model: str
    tokenizer: PreTrainedTokenizerBase
    data: Path
    text: Path
    steps: dict[str, int]
    """Of training before anything is measured."""
    measured_batches: int

    def subject(self, name: str, device: torch.device) -> Subject:
        """On the device, in evaluation mode and fp32, with the batches to measure on."""
        torch.manual_seed(0)
        scale = Scale(self.steps[name], self.measured_batches)
        found = self._classifier(scale) if name == CLASSIFIER else small_causal_lm(self.text, self.tokenizer, scale)
        batches = [{key: value.to(device) for key, value in batch.items()} for batch in found.batches]
        nn.Module.to(found.model, device)
        warm = Subject(name, found.model, batches, found.learning_rate).warmed_up(scale)
        synchronize(device)
        return warm

    def _classifier(self, scale: Scale) -> Subject:
        num_batches = scale.warm_steps + scale.measured_batches
        task = task_of(self.data / "glue_sst2", "sst2", self.tokenizer, 16 * num_batches)
        model = AutoModelForSequenceClassification.from_pretrained(
            self.model, num_labels=task.num_labels, dtype=torch.float32
        )
        return Subject(CLASSIFIER, model, task.batches[1:], 1e-4)
