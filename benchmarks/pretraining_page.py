"""Makes the page on what a pre-training step costs from its record, and measures nothing."""

from collections.abc import Mapping
from typing import Any

from benchmarks.pages import Page
from benchmarks.places import DOCS
from benchmarks.tables import TIME, WORK, conditions, contenders_table, targets_table

VOCAB_SIZE, LENGTH_TOKENS, MASK_RATE = 30522, 128, 0.15


def parts(record: Mapping[str, Any]) -> dict[str, str]:
    return {
        "conditions": conditions(record, "make bench-pretrain"),
        "settings": f"Vocabulary: {VOCAB_SIZE:,}. A batch: {record['batch_size']} sequences of {LENGTH_TOKENS} tokens, "
        f"{MASK_RATE:.0%} of them predicted. Adversarial gain: after {record['warm_steps']} standard steps, by "
        f"{record['gain_draws']} random perturbations.",
        "sizes": "\n\n".join(map(_size, record["sizes"])),
        "targets": targets_table(record["targets"]) if record["targets"] else "Not measured.",
    }


def _size(size: Mapping[str, Any]) -> str:
    rows = size["rows"]
    return (
        f"## {size['size']}: layers x hidden, {size['num_parameters'] / 1e6:.1f} million parameters\n\n"
        f"{contenders_table(rows, (*TIME, *WORK))}\n\n"
        f"{rows[0]['held_bytes'] / 1e6:.0f} MB of the memory are weights and Adam's state."
    )


PAGE = Page(DOCS / "benchmarks" / "pretraining.md", parts)

if __name__ == "__main__":
    PAGE.command(__doc__)
