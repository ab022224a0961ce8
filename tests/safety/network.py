"""Every command in a fresh process that may ask for the network: on files of one's own, none does.

Nothing says "offline" in its environment. The process's audit hook notes each socket of the internet, each look-up of a
name and each connection, and refuses it. Commands run one after another, so that libraries are imported once: what an
import asks for is noted with the command that comes first.
"""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from safety.case import ASKED, ATTACK, COMPARE, EVALUATE, FINETUNE, PRETRAIN, RADIUS, STUDY
from safety.watch import Seen, Watch

COMMANDS: Mapping[str, Sequence[str]] = {
    "pretrain": PRETRAIN,
    "pretrain from scratch": (
        *(word for word in PRETRAIN if word not in ("--model_name_or_path", "model")),
        "--architecture", "bert-tiny", "--vocab_size", "200",
    ),
    "finetune": FINETUNE,
    "evaluate": EVALUATE,
    "evaluate, other words": (
        *EVALUATE[: EVALUATE.index("typing")], "masked_lm", "--masked_lm", "model", "--max_eval_samples", "2",
        "--similarity_model", "model", "--min_similarity", "-1",
    ),
    "attack": ATTACK,
    "radius": RADIUS,
    "augment": ("augment", "--data_file", "rows.jsonl", "--output_file", "augmented.jsonl", "--text_columns", "text",
                "--changes", "typing"),
    "checklist": ("checklist", "--tests", "typo", *ASKED),
    "reduce": ("reduce", *ASKED),
    "triggers": ("triggers", "--num_words", "1", *ASKED),
    "plan": ("plan", "--model_name_or_path", "classifier", "--methods", "standard"),
    "advglue": ("advglue", "--models", "sst2=opinions", "--data_dir", "adv_glue"),
    "completion": ("completion", "bash"),
    "study": STUDY,
    "compare": COMPARE,
    "demo": ("demo", "--fast", "--output_dir", "out"),
    "methods": ("methods",),
    "tasks": ("tasks",),
    "suites": ("suites",),
    "env": ("env",),
    "--help": ("finetune", "--help"),
}  # fmt: skip
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")


def addresses_asked_for(
    commands: Mapping[str, Sequence[str]], folder: Path, home: Path
) -> dict[str, tuple[int, list[str]]]:
    """Runs ``alum`` with the words of each command in a folder; returns exit codes, and what was asked of the network.

    ``home`` is an empty folder, for the caches that a new machine has not yet.
    """
    variables = {name: value for name, value in os.environ.items() if name not in OFFLINE}
    variables |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    variables |= {"HOME": str(home), "HF_HOME": str(home / "hub"), "ALUM_CACHE": str(home / "alum")}
    (home / "commands.json").write_text(json.dumps({name: list(words) for name, words in commands.items()}))
    process = [sys.executable, "-m", "safety.network", str(home)]
    subprocess.run(process, cwd=folder, env=variables, stdout=subprocess.DEVNULL, check=True)
    return {name: (code, asked) for name, (code, asked) in json.loads((home / "seen.json").read_text()).items()}


def main() -> None:
    home, watch = Path(sys.argv[1]), Watch()
    watch.seen = Seen()
    from alum.cli.main import main as alum
    from alum.stages.demo import run

    few = {"passages_per_package": 60, "finetune_rows_per_package": 12, "finetune_epochs": 1, "eval_rows": 8}
    run.FAST = dataclasses.replace(run.FAST, pretrain_steps=2, continual_steps=2, max_seq_length=16, **few)
    found, variables = {}, dict(os.environ)
    for name, words in json.loads((home / "commands.json").read_text()).items():
        try:
            code = alum(words)
        except SystemExit as ended:  # of helps
            code = int(ended.code or 0)
        found[name] = (code, watch.seen.addresses)
        watch.seen = Seen()
        os.environ.clear()
        os.environ.update(variables)
    (home / "seen.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
