"""Which operations the time of a step goes into."""

import os
from collections import Counter
from typing import Any

from torch.profiler import ProfilerActivity, profile

MATRIX_PRODUCTS, TABLES = "matrix products", "gradients of embedding tables"
REST = "all else: element by element, norms, copies"
# An operation is of the kind of the outermost one around it that stands here.
KINDS = {
    **dict.fromkeys(("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"), MATRIX_PRODUCTS),
    **dict.fromkeys(("aten::bernoulli_", "aten::native_dropout"), "drawing dropout masks"),
    "aten::embedding_dense_backward": TABLES,
    "torch::autograd::AccumulateGrad": "adding up gradients",
    **dict.fromkeys(("aten::_foreach_norm", "aten::_foreach_mul_"), "clipping"),
    "Optimizer.step#AdamW.step": "optimizer",
}
NAMES = (*dict.fromkeys(KINDS.values()), REST)


class OperationTimes:
    """``seconds`` of PyTorch's operations inside, by their kind; what Python does around them is not in it."""

    def __init__(self) -> None:
        self.seconds = Counter(dict.fromkeys(NAMES, 0.0))

    def __enter__(self) -> "OperationTimes":
        os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # or the profiler announces each start and stop
        self._profile = profile(activities=[ProfilerActivity.CPU])
        self._profile.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._profile.__exit__(None, None, None)
        for event in self._profile.events():
            if event.name.startswith(("aten::", "torch::autograd::AccumulateGrad")):
                self.seconds[_kind(event)] += event.self_cpu_time_total / 1e6


def _kind(event: Any) -> str:
    kind = REST
    while event is not None:
        kind = KINDS.get(event.name, kind)
        event = event.cpu_parent
    return kind
