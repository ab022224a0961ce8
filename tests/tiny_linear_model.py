"""A model whose worst perturbation is known in closed form: logits that are linear in the embeddings."""

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

LENGTH, HIDDEN, CLASSES = 5, 8, 2
VOCAB_SIZE = 20


class LinearModel(PreTrainedModel):
    """Every position has weights of its own; ``LENGTH`` tokens go in."""

    config_class = PretrainedConfig

    def __init__(self) -> None:
        super().__init__(PretrainedConfig(pad_token_id=0))
        generator = torch.Generator().manual_seed(0)
        self.embeddings = nn.Embedding(VOCAB_SIZE, HIDDEN)
        self.embeddings.weight.data = torch.randn(VOCAB_SIZE, HIDDEN, generator=generator)
        self.weight = nn.Parameter(0.1 * torch.randn(CLASSES, LENGTH, HIDDEN, generator=generator))

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> SequenceClassifierOutput:
        return SequenceClassifierOutput(logits=torch.einsum("blh,clh->bc", self.embeddings(input_ids), self.weight))

    def margin_lengths(self) -> Tensor:
        """``[LENGTH]``: how fast the margin between the two classes moves along its gradient, at each position."""
        return (self.weight[0] - self.weight[1]).norm(dim=-1).detach()
