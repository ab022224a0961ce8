"""Call of the model by a loss that a Trainer computes itself: recorded in the clean pass, repeated in the others."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from alum.core.errors import InputError
from alum.models.compilation import not_compiled
from alum.models.inputs import Inputs, unlabelled
from alum.models.model_parts import pretrained_model


class RecordedCall:
    """One call of ``model``: its arguments, and what it returned.

    Passes beside it without gradients, such as those of a reference that has the same weights, do not count.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._arguments: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self.outputs: Any = None

    @contextmanager
    def recording(self, batch: Inputs, by: nn.Module) -> Iterator[None]:
        """Records the call that the loss makes in the ``with`` block; raises `InputError` unless it is exactly one."""
        with_graph = torch.is_grad_enabled()
        self._arguments = None

        @not_compiled
        def keep_arguments(module: nn.Module, args: Any, kwargs: Any) -> None:
            if torch.is_grad_enabled() != with_graph:
                return
            if self._arguments is not None:
                raise self._refused("more than one")
            self._arguments = tuple(map(_as_it_is, args)), dict(kwargs)

        @not_compiled
        def keep_outputs(module: nn.Module, args: Any, output: Any) -> None:
            if torch.is_grad_enabled() == with_graph:
                self.outputs = output

        handles = (
            self._model.register_forward_pre_hook(keep_arguments, with_kwargs=True),
            self._model.register_forward_hook(keep_outputs),
        )
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        if self._arguments is None:
            raise self._refused("no")

    @property
    def inputs(self) -> dict[str, Any]:
        """Inputs by name, be they keyword arguments or in a dictionary that is the first argument."""
        assert self._arguments is not None, "no call was recorded"
        args, kwargs = self._arguments
        return {**(args[0] if args and isinstance(args[0], Mapping) else {}), **kwargs}

    def repeated_by(self, model: Callable[..., Any], without: tuple[str, ...] = ()) -> Any:
        """Outputs of the same call, without labels and keyword arguments of the names in ``without``."""
        assert self._arguments is not None, "no call was recorded"
        args, kwargs = self._arguments
        rest = unlabelled(pretrained_model(self._model), kwargs)
        return model(*map(_as_it_is, args), **{name: value for name, value in rest.items() if name not in without})

    def _refused(self, number: str) -> InputError:
        if not torch.is_grad_enabled():
            return InputError(
                f"the loss makes {number} call of {type(self._model).__name__}, one of them perhaps for a reference "
                "with the same weights, and where the clean pass first runs without gradients (adv_clean_side 'first') "
                "they cannot be told apart. Choose adv_clean_side 'joint' or 'constant', or have the reference's log "
                "probabilities computed before (precompute_ref_log_probs)."
            )
        return InputError(
            f"the loss makes {number} call of {type(self._model).__name__} with gradients in a step, but an adversary "
            "perturbs the inputs of exactly one. Choose a loss that runs the model once on a batch (if it has a "
            "mini_batch_size, the whole batch), or adv_method 'standard'; in a loop of your own, HookedBatch takes any "
            "function of the model."
        )


def _as_it_is(argument: Any) -> Any:
    """Models of sentence-transformers write their outputs into the dictionary that they are given."""
    return dict(argument) if isinstance(argument, Mapping) else argument
