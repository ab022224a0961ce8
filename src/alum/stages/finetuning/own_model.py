"""A model in memory that is to be fine-tuned itself: its head and the rows' labels, matched by their names."""

import dataclasses
from collections.abc import Mapping

from transformers import PreTrainedModel

from alum.core.errors import InputError
from alum.evaluation.label_names import label_mapping, label_names_for
from alum.models.model_in_memory import ModelInMemory
from alum.models.model_parts import pretrained_model
from alum.stages.finetuning.task_data import TaskData
from alum.tasks.lookup import kind_of
from alum.tasks.rows import TaskRows


def in_labels_of(base: ModelInMemory, data: TaskData) -> TaskData:
    """Orders the labels of rows as a model's outputs are; they then give the outputs their names, where these differ.

    Raises `InputError` where the model's head is of another kind, or has another number of outputs.
    """
    kind = kind_of(pretrained_model(base.model))
    if kind.name != data.supervision.kind.name:
        raise InputError(
            f"expected a model for {data.supervision.kind.name}, as {data.supervision.auto_class.__name__} loads it, "
            f"but {base.name_or_path} is one for {kind.name}."
        )
    if not data.label_names:
        return data
    own = base.label_names
    names = label_names_for(own, data.label_names)  # in the order of the model's, where they are these
    try:
        labels = label_mapping(own, names, "the rows").labels
    except InputError:
        labels = ()
    if labels != tuple(range(len(own))):
        raise InputError(
            f"{base.name_or_path} has the outputs {', '.join(own)}, but the labels of the rows are "
            f"{', '.join(data.label_names)}: load it with num_labels={len(data.label_names)}, or give its path instead."
        )
    return dataclasses.replace(
        data, splits=_with_names(data.splits, names), unlabelled=_with_names(data.unlabelled, names)
    )


def named_by(model: PreTrainedModel, label_names: tuple[str, ...]) -> PreTrainedModel:
    """Writes the names of the labels that a model is trained on into its configuration."""
    if label_names:
        model.config.id2label = dict(enumerate(label_names))
        model.config.label2id = {name: index for index, name in enumerate(label_names)}
    return model


def _with_names(rows: Mapping[str, TaskRows], names: tuple[str, ...]) -> dict[str, TaskRows]:
    return {split: own.with_label_names(names) for split, own in rows.items()}
