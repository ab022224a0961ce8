"""Models and losses of sentence-transformers: scores of pairs, and embeddings of several columns in one pass."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from alum.core.errors import InputError
from alum.models.inputs import Inputs
from alum.tasks.base import TaskKind
from alum.tasks.kinds.regression import REGRESSION
from alum.tasks.kinds.sequence_classification import MULTI_LABEL_CLASSIFICATION, SEQUENCE_CLASSIFICATION
from alum.tasks.kinds.text_embedding import TEXT_EMBEDDING, TEXT_EMBEDDING_DIRECTION

_KIND_OF_LOSS = {
    "BinaryCrossEntropyLoss": MULTI_LABEL_CLASSIFICATION,  # one label, yes or no
    "CrossEntropyLoss": SEQUENCE_CLASSIFICATION,
}
_INSIDE_THE_MODEL = ("AdaptiveLayerLoss", "Matryoshka2dLoss")


def kind_of_cross_encoder(trainer: Any) -> TaskKind:
    """Finds what the scores of a `CrossEncoderTrainer` stand for, by its loss: yes or no, classes, or numbers."""
    return _one_kind([_KIND_OF_LOSS.get(type(loss).__name__, REGRESSION) for loss in _losses(trainer)])


def kind_of_embeddings(trainer: Any) -> TaskKind:
    """Finds how embeddings of a `SentenceTransformerTrainer` are compared, by the model's similarity."""
    by_cosine = getattr(trainer.model, "similarity_fn_name", None) in (None, "cosine")
    return TEXT_EMBEDDING_DIRECTION if by_cosine else TEXT_EMBEDDING


def _losses(trainer: Any) -> list[Any]:
    return list(trainer.loss.values()) if isinstance(trainer.loss, dict) else [trainer.loss]


def _one_kind(kinds: list[TaskKind]) -> TaskKind:
    if any(kind is not kinds[0] for kind in kinds):
        raise InputError(
            "the losses of the data sets stand for different outputs "
            f"({', '.join(sorted({kind.name for kind in kinds}))}), and the adversary moves one kind: give the trainer "
            "one (kind=…), or one kind of loss to all of them."
        )
    return kinds[0]


class Columns:
    """One pass over all columns of a batch, from which a loss is answered that has one for each column.

    δ is then one tensor, with a row for each text. ``trainer`` is a `SentenceTransformerTrainer`.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._model: nn.Module = trainer.model
        self._merged: dict[str, Any] = {}
        self.outputs: Any = None
        for loss in _losses(trainer):
            if type(loss).__name__ in _INSIDE_THE_MODEL:
                raise InputError(
                    f"{type(loss).__name__} takes embeddings from inside the model, which an adversarial pass does not "
                    "show it. Choose a loss of the last layer's embeddings, MatryoshkaLoss among them."
                )

    @property
    def inputs(self) -> dict[str, Any]:
        return self._merged

    @contextmanager
    def recording(self, batch: Inputs, by: nn.Module) -> Iterator[None]:
        """Runs ``by`` on the columns of ``batch``; the model then answers with what belongs to a column."""
        from sentence_transformers.base.losses.merged_forward import column_merging_disabled

        columns, _ = self._trainer.collect_features({k: v for k, v in batch.items() if k != "dataset_name"})
        self._merged = _merged(columns)
        self.outputs = self.repeated_by(by)
        with_graph, forward = torch.is_grad_enabled(), self._model.forward
        num_answers = 0

        def answer(features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
            nonlocal num_answers
            if torch.is_grad_enabled() != with_graph:  # beside the pass, such as a cached loss's first one
                return forward(features, **kwargs)  # type: ignore[no-any-return]
            number = next((i for i, c in enumerate(columns) if c["input_ids"] is features.get("input_ids")), None)
            if number is None:
                raise _refused(self._trainer)
            num_answers += 1
            features.update(_rows_of(self.outputs, number, len(columns)))
            return features

        self._model.forward = answer
        try:
            with column_merging_disabled():
                yield
        finally:
            del self._model.forward
        if not num_answers:
            raise _refused(self._trainer)

    def repeated_by(self, model: Callable[..., Any]) -> Any:
        return model(dict(self._merged))


def _merged(columns: list[dict[str, Any]]) -> dict[str, Any]:
    from sentence_transformers.base.losses.merged_forward import merge_feature_batches

    columns = [dict(column) for column in columns]
    merged: dict[str, Any] | None = columns[0] if len(columns) == 1 else merge_feature_batches(columns)
    if merged is None or not isinstance(merged.get("input_ids"), Tensor):
        raise InputError(
            "the columns of a batch cannot be embedded in one pass, which an adversary needs: they must all be texts "
            f"with as many rows and the same inputs, but have {[sorted(column) for column in columns]}. Give all "
            "columns the same prompt, or none, and no images."
        )
    return merged


def _rows_of(outputs: Mapping[str, Any], number: int, num_columns: int) -> dict[str, Any]:
    return {
        name: values.chunk(num_columns)[number]
        for name, values in outputs.items()
        if isinstance(values, Tensor) and name.endswith(("_embedding", "_embeddings"))
    }


def _refused(trainer: Any) -> InputError:
    names = ", ".join(sorted({type(loss).__name__ for loss in _losses(trainer)}))
    return InputError(
        f"{names} does not embed each column of the batch once, with gradients, in the forward pass (cached losses do "
        "so in parts, in the backward pass), so that no perturbation of the batch is what it trains on. Choose a loss "
        "that does, such as MultipleNegativesRankingLoss for its cached one, or adv_method 'standard'."
    )
