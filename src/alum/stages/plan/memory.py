"""Memory of a training step on each device, from what its passes keep and how the model's state is spread."""

from dataclasses import dataclass

from alum.core.measures.pass_counts import pass_counts
from alum.core.method_settings import Method
from alum.stages.plan.devices import Strategy
from alum.stages.plan.dry_passes import PassCosts

FP32_BYTES = 4
ADAM_BYTES = 8
"""Two moments of each weight, in fp32."""
OUTPUTS_OF_A_LOSS = 4.5
"""Tensors as large as the fp32 logits that are alive when a loss over them is back-propagated: the logits, in the
precision of the pass and in fp32, their log-softmax, and the gradients of both."""


@dataclass(frozen=True)
class Memory:
    """Bytes on one device: ``state`` is there between steps, ``step`` is the most that a step has beside it."""

    state: float
    step: float

    @property
    def total(self) -> float:
        return self.state + self.step


def memory_of(method: Method, costs: PassCosts, strategy: Strategy, num_devices: int, accumulates: bool) -> Memory:
    """Memory of AdamW training of fp32 weights, with passes in whatever precision ``costs`` were counted in.

    Without accumulation gradients come as graphs go, and the larger of both counts; methods that back-propagate one
    graph before the next one grows have the first one's gradients, and its outputs, beside the second. What libraries
    and fragments take is not counted: some hundred megabytes on a GPU.
    """
    spread = max(num_devices, 1)
    weights = FP32_BYTES * costs.num_parameters
    shared = weights / spread
    shares = {
        "ddp": (weights, weights, 2.0 * weights),
        "zero1": (weights, weights, 2.0 * shared),
        "zero2": (weights, shared, 2.0 * shared),
        "zero3": (shared, shared, 2.0 * shared),
        "fsdp": (shared, shared, 2.0 * shared),
    }
    held_weights, gradients, moments = shares[strategy] if spread > 1 else shares["ddp"]
    state = held_weights + moments + (weights if method.has_proximal_term else 0.0)
    gathered, freed = 0.0, 0.0
    if spread > 1 and held_weights < weights:
        gathered = 2.0 * FP32_BYTES * costs.largest_block_parameters  # one that runs, and the next
        freed = costs.cast_bytes  # of weights that are gathered anew in the backward pass
    buckets = weights if spread > 1 and strategy == "ddp" else 0.0
    counts = pass_counts(method)
    of_loss = OUTPUTS_OF_A_LOSS * costs.output_bytes_in_fp32
    # The losses' own are gone when the last block of the first graph is back-propagated.
    in_block = costs.recomputed_bytes + costs.largest_bytes
    graphs = counts.graphs * (costs.graph_bytes - freed) + max(counts.graphs * of_loss, in_block)
    if counts.to_x:
        beside = counts.graphs_beside_ascent * (costs.graph_bytes - freed + of_loss)
        graphs = max(graphs, beside + costs.ascent_graph_bytes - freed + max(of_loss, in_block))
    if accumulates:
        step = graphs + gradients
    elif method.has_one_graph:
        step = graphs + costs.output_bytes + gradients * costs.parameters_above_x / costs.num_parameters
    else:
        step = max(graphs, gradients + costs.recomputed_bytes)
    return Memory(state, step + gathered + buckets)
