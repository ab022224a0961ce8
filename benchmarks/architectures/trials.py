"""A step of each method at each place of a small model: what it measures, or the words by which it is refused."""

import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from alum.core.errors import InputError
from alum.training.step import AlumStep
from benchmarks.architectures.small_models import rows_for, small_model

METHODS = ("alum", "alum_one_pass", "alum_virtual")
LAYERS = ("word", "embeddings", 1)
_MODEL_SECONDS, _STEP_SECONDS = 60, 60


def quiet_with_one_thread() -> None:
    """Sets up a process that does nothing but trials."""
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    warnings.simplefilter("ignore")


def trials_of(architecture: str) -> dict[str, Any]:
    """Record of an architecture: its class, and a gain, refusal or failure for each place and method."""
    try:
        with _time_limit(_MODEL_SECONDS):
            model = small_model(architecture)
            model(**rows_for(model)).loss.backward()
    except Exception as error:
        return {"architecture": architecture, "not_tried": _line(error)}
    places = {str(layer): {method: _trial(model, layer, method) for method in METHODS} for layer in LAYERS}
    return {"architecture": architecture, "class": type(model).__name__, "places": places}


def _trial(model: PreTrainedModel, layer: Any, method: str) -> dict[str, Any]:
    torch.manual_seed(0)
    model.zero_grad()
    try:
        with _time_limit(_STEP_SECONDS):
            result = AlumStep(model, method, layer=layer)(rows_for(model), num_gain_draws=4)
    except InputError as error:
        return {"refused": _line(error)}
    except Exception as error:
        return {"failed": _line(error)}
    assert result.diagnostics is not None
    found = result.diagnostics
    return {"divergence": float(found.divergence), "gain": float(found.adversarial_gain)}


def _line(error: Exception) -> str:
    words = " ".join(str(error).split())[:300]
    return words if isinstance(error, InputError) else f"{type(error).__name__}: {words}"


@contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"more than {seconds} s")

    former = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)
