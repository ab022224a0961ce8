"""Projected gradient descent on the embeddings, with restarts (Madry et al. 2018, arXiv:1706.06083)."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from alum.core.methods import METHODS, Method
from alum.core.perturbation import worst_case_perturbation
from alum.models.injection import Injection


@dataclass(frozen=True)
class EmbeddingPGD:
    """An attack inside a relative L2 ball around each token's embedding.

    ``step_size`` is a fraction of the radius. The first start is δ = 0, further ones are random.
    """

    epsilon: float
    num_steps: int = 10
    step_size: float = 0.25
    num_restarts: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        self._method(init_std=0.0)  # raises InputError for settings out of their range

    def __call__(
        self,
        model: nn.Module,
        inputs: Mapping[str, Any],
        mask: Tensor,
        loss: Callable[[Any], Tensor],
    ) -> Any:
        """The model's outputs under the strongest perturbation found.

        ``inputs`` go to the model as keywords, ``mask`` ``[batch, length]`` is True where tokens may be perturbed, and
        ``loss`` maps outputs to the ``[batch]`` losses that the attack raises.
        """
        injection = Injection(model)
        with torch.no_grad(), injection.recording() as recorded:
            worst = model(**inputs)
        embeddings, worst_loss = recorded(), loss(worst)

        def objective(delta: Tensor) -> Tensor:
            with injection.adding(delta):
                return loss(model(**inputs)).sum()

        generator = torch.Generator(embeddings.device).manual_seed(self.seed)
        for restart in range(self.num_restarts):
            method = self._method(init_std=0.0 if restart == 0 else self.epsilon / embeddings.shape[-1] ** 0.5)
            delta = worst_case_perturbation(objective, embeddings, mask, method, generator=generator).delta
            with torch.no_grad(), injection.adding(delta):
                found = model(**inputs)
            worst, worst_loss = _worse(worst, worst_loss, found, loss(found))
        return worst

    def _method(self, init_std: float) -> Method:
        return dataclasses.replace(
            METHODS["pgd"],
            epsilon=self.epsilon,
            num_steps=self.num_steps,
            step_size=self.step_size,
            init_std=init_std,
        )


def _worse(first: Any, first_loss: Tensor, second: Any, second_loss: Tensor) -> tuple[Any, Tensor]:
    """Per example, the outputs with the higher loss."""
    take = second_loss > first_loss
    for name, value in second.items():
        if isinstance(value, Tensor) and value.shape[:1] == take.shape:
            chosen = take.view(-1, *[1] * (value.dim() - 1))
            first[name] = torch.where(chosen, value, first[name])
    return first, torch.where(take, second_loss, first_loss)
