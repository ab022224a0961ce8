"""Processes without threads of their parent that start at once: forks of one that has imported torch and alum."""

import multiprocessing
from multiprocessing.context import ForkServerContext

_IMPORTED = ["transformers.trainer", "alum.data.pretraining.packing", "alum.stages.runs.folder"]


def fresh_processes() -> ForkServerContext:
    """Context of `multiprocessing`; what processes run must be functions of a module, as spawned ones are."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    return context
