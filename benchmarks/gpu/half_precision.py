"""Whether alum's steps in half precision on a GPU are those in fp32, and those of the CPU. ``make bench-gpu`` runs it.

MiniLM-L6 fine-tuned a little and a small GPT-2 trained a little from scratch: every method's divergence, gain and
gradients in three precisions; what must be exact under shared dropout masks; ten steps beside the CPU's. Each figure
is a line in ``gpu_half_precision.jsonl``, of which `page` makes the page. ``--rehearse`` takes few steps.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from alum.core.methods import METHODS
from alum.models.checkpoint import Checkpoint
from benchmarks.directions import BATCH_SIZE, Subject
from benchmarks.gpu import identities
from benchmarks.gpu.lines import Lines, flags_of
from benchmarks.gpu.precision import PRECISIONS, Steps, steps_in
from benchmarks.gpu.subjects import CAUSAL_LM, CLASSIFIER, Sources
from benchmarks.places import DATA, minilm, needed

FILE_NAME = "gpu_half_precision.jsonl"


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    classifier_steps: int
    causal_steps: int
    measured_batches: int
    gain_draws: int
    steps_beside_cpu: int


FULL, REHEARSAL = Scale(60, 100, 4, 8, 10), Scale(1, 1, 1, 1, 1)


def measure_identities(subject: Subject, lines: Lines) -> None:
    for attention in identities.ATTENTIONS:
        for precision in PRECISIONS:
            where = {"task": subject.name, "attention": attention, "precision": precision}
            repeated = partial(identities.repeated_pass, subject, precision)
            cell = {"part": "repeated pass", **where}
            lines.measure(cell, partial(identities.attending, subject, attention, repeated))
            for step in identities.WITHOUT_DELTA:
                zero = partial(identities.without_delta, subject, step, precision)
                cell = {"part": "without delta", **where, "step": step}
                lines.measure(cell, partial(identities.attending, subject, attention, zero))


def measure_precisions(subject: Subject, num_gain_draws: int, lines: Lines) -> None:
    for name, row in METHODS.items():
        if row.is_for_language_models and subject.name != CAUSAL_LM:
            continue  # refused: it has no output embeddings of tokens
        exact: list[Steps] = []  # of this method alone: a gradient is as large as the model
        for precision in PRECISIONS:
            cell = {"part": "precision", "task": subject.name, "method": name, "precision": precision}
            lines.measure(cell, partial(figures_beside, exact, subject, (name, precision), num_gain_draws))


def figures_beside(
    exact: list[Steps], subject: Subject, method_and_precision: tuple[str, str], num_gain_draws: int
) -> dict[str, Any]:
    """Figures of a method's steps, with the cosine of their gradients to those in fp32, which ``exact`` keeps."""
    method, precision = method_and_precision
    steps = steps_in(subject, method, precision, num_gain_draws)
    if precision == "fp32":
        exact.append(steps)
    return {**steps.figures(), "cosine": steps.cosine(exact[0]) if exact else None}


def measure_beside_cpu(subject: Subject, num_steps: int, lines: Lines) -> None:
    for method in (*identities.WITHOUT_NOISE, "alum"):
        cell = {"part": "beside cpu", "task": subject.name, "method": method}
        lines.measure(cell, partial(identities.beside_cpu, subject, method, num_steps))


def main() -> None:
    flags = flags_of(__doc__, seconds=60.0)
    flags.add_argument("--model", help="folder of a BERT model with its tokenizer (default: MiniLM-L6)")
    flags.add_argument("--data", type=Path, default=DATA, help="folder that holds glue_sst2")
    flags.add_argument("--text", type=Path, help="text to train the causal model on (default: Brown, in --data)")
    given = flags.parse_args()
    text = given.text or given.data / "corpora" / "brown.txt"
    needed(given.data / "glue_sst2", "set ALUM_DATA to the folder that holds it, or give --data")
    needed(text, "set ALUM_DATA to the folder that holds corpora, or give --text")
    torch.set_float32_matmul_precision("highest")  # fp32 is fp32, without TF32
    scale, device = REHEARSAL if given.rehearse else FULL, torch.device(given.device)
    model = given.model or minilm()
    steps = {CLASSIFIER: scale.classifier_steps, CAUSAL_LM: scale.causal_steps}
    sources = Sources(model, Checkpoint(model).tokenizer, given.data, text, steps, scale.measured_batches)
    settings = {"device": given.device, "batch_size": BATCH_SIZE, **asdict(scale)}
    lines = Lines(given.output_dir / FILE_NAME, given.seconds, settings)
    subjects: list[Subject] = []
    for name in steps:

        def prepared(name: str = name) -> dict[str, Any]:
            subjects.append(sources.subject(name, device))
            return {"num_parameters": subjects[-1].model.num_parameters()}

        lines.measure({"part": "training before", "task": name}, prepared)
    for subject in subjects:
        measure_precisions(subject, scale.gain_draws, lines)
    for subject in subjects:
        measure_identities(subject, lines)
    for subject in reversed(subjects):  # the small one first
        measure_beside_cpu(subject, scale.steps_beside_cpu, lines)
    lines.close()


if __name__ == "__main__":
    main()
