"""Tries every architecture of ``transformers`` that can be built small: each method at each place.

``make architectures`` runs it: in about ten minutes on two idle cores, into ``docs/benchmarks/architectures.json``, of
which `page` makes ``architectures.md``. ``--rehearse`` takes three.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from benchmarks.architectures.page import PAGE
from benchmarks.architectures.trials import quiet_with_one_thread, trials_of
from benchmarks.records import Record, parser

LANGUAGE_MODELS = (
    "bert-generation", "bitnet", "blenderbot", "codegen", "cohere", "cohere2", "ernie4_5", "falcon_mamba", "granite",
    "led", "lfm2", "longt5", "m2m_100", "mamba", "mamba2", "marian", "nanochat", "olmoe", "pegasus", "prophetnet",
    "rwkv", "switch_transformers", "xglm",
)  # fmt: skip
"""Architectures without a classifier of their own: the best known of more than a hundred."""
REHEARSAL = ("bert", "llama", "xlnet")


def main() -> None:
    given = parser(__doc__).parse_args()
    record = Record()
    names = (
        REHEARSAL if given.rehearse else (*sorted(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES), *LANGUAGE_MODELS)
    )
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), initializer=quiet_with_one_thread) as pool:
        found = []
        for trial in pool.map(trials_of, names):
            print(trial["architecture"], trial.get("not_tried", "tried"), flush=True)
            found.append(trial)
    print(PAGE.write_with(record.with_results(architectures=found), given.output_dir))


if __name__ == "__main__":
    main()
