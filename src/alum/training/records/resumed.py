"""States of callbacks that checkpoints keep, so that a training that goes on ends as an undisturbed one."""

from typing import Any

from transformers import TrainerState
from transformers.trainer_callback import ExportableState


def taken_up(callback: ExportableState, state: TrainerState) -> dict[str, Any] | None:
    """Returns what the checkpoint that training goes on from kept of a callback; None where training begins anew.

    Called when training begins. From then on checkpoints keep the callback's state: the Trainer, when it saves, looks
    only for callbacks that the state knows.
    """
    states: dict[str, Any] = state.stateful_callbacks  # type: ignore[assignment]
    name = type(callback).__name__
    kept = states.get(name) if state.global_step else None
    states[name] = callback.state()
    return None if kept is None else kept["attributes"]
