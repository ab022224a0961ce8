"""Methods that perturb the output embeddings of labels: which models they are for, and where these are in a batch."""

from torch import nn

from alum.core.errors import InputError
from alum.core.method_settings import Method
from alum.models.hooks.label_outputs import LabelRecording
from alum.models.inputs import Inputs
from alum.models.model_parts import output_embeddings
from alum.tasks.base import TaskKind


def check_output_embeddings(method: Method, model: nn.Module, kind: TaskKind) -> None:
    """Raises `InputError` for a model without output embeddings that ``method`` perturbs."""
    if not method.is_for_language_models or method.alpha == 0:
        return
    if kind.predicted_rows is None:
        raise InputError(
            f"method {method.name!r} perturbs the output embeddings of tokens that a language model predicts, and a "
            f"model of kind {kind.name} predicts none. Choose a method that perturbs the input, such as "
            "'alum_one_pass'."
        )
    output_embeddings(model)


def label_recording(method: Method, model: nn.Module, kind: TaskKind, inputs: Inputs) -> LabelRecording | None:
    """Recording of the passes on a batch; None for methods that perturb something else."""
    if not method.is_for_language_models or method.alpha == 0:
        return None
    assert kind.predicted_rows is not None
    if "labels" not in inputs:
        raise InputError(
            f"method {method.name!r} needs labels for the positions of a batch, which has only "
            f"{', '.join(sorted(inputs))}. Choose a method that perturbs the input, such as 'alum_one_pass'."
        )
    return LabelRecording(model, *kind.predicted_rows(inputs["labels"]))
