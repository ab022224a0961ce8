"""Memory that ``alum plan`` says beside the peaks that were measured on a GPU (``docs/benchmarks/gpu.json``)."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from transformers import GPT2Config

from alum.core.methods import METHODS
from alum.reports.tables import show_table
from alum.stages.plan.dry_passes import BatchShape, pass_costs
from alum.stages.plan.memory import memory_of
from benchmarks.gpu.cost import CAUSAL_LM, CLASSIFIER, FULL
from benchmarks.trainings import bert_config


def rows(record: Path) -> Iterator[tuple[str, str, float, float]]:
    """Task, method, and bytes as planned and as measured."""
    work = [cell for cell in json.loads(record.read_text())["cost"]["cells"] if cell["part"] == "work"]
    classifier = bert_config(FULL.vocab_size[CLASSIFIER], FULL.hidden_size, FULL.num_layers, head_size=64)
    words, length = FULL.vocab_size[CAUSAL_LM], FULL.shape[CAUSAL_LM][1]
    causal = GPT2Config(vocab_size=words, n_positions=length, bos_token_id=1, eos_token_id=1)
    for task, config, head in (
        (CLASSIFIER, classifier, "sequence_classification"),
        (CAUSAL_LM, causal, "causal_lm"),
    ):
        costs = pass_costs(config, BatchShape(head, *FULL.shape[task], "word", "bf16", fused_attention=True))
        for cell in work:
            if cell["task"] == task and cell["contender"] in METHODS:
                memory = memory_of(METHODS[cell["contender"]], costs, "ddp", num_devices=1, accumulates=False)
                yield task, cell["contender"], memory.total, cell["peak_bytes"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", type=Path, default=Path("docs/benchmarks/gpu.json"))
    cells = [
        [task, method, f"{planned / 1e9:.2f}", f"{measured / 1e9:.2f}", f"{planned / measured - 1:+.1%}"]
        for task, method, planned, measured in rows(parser.parse_args().record)
    ]
    show_table("Gigabytes of a step", ("task", "method", "planned", "measured", "error"), cells, num_text_columns=2)


if __name__ == "__main__":
    main()
