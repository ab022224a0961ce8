"""One attack of alum's on a file of sentences, timed: the sentences side by side, as ``alum evaluate`` runs them."""

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alum.attacks.text.protocol import AttackResult, Misclassified
from alum.attacks.text.searches.settings import SearchSettings
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.table import text_attack_named
from alum.attacks.text.typing_noise import with_typing_errors
from alum.evaluation.kinds.sequence_classification import ClassifierVictim
from alum.models.text_model import TextModel
from alum.models.tokenization import Tokenization
from alum.stages.runs.environment import environment

ERROR_RATE = 0.05  # of letters mistyped


@dataclass(frozen=True)
class Job:
    """What both programs are told on their command lines."""

    attack: str
    model: str
    sentences: str
    output: str
    seed: int = 0
    threads: int = 2
    max_length_tokens: int = 64


def load(job: Job) -> ClassifierVictim:
    torch.set_num_threads(job.threads)
    model = AutoModelForSequenceClassification.from_pretrained(job.model).eval()
    tokenization = Tokenization(AutoTokenizer.from_pretrained(job.model), job.max_length_tokens)
    return ClassifierVictim(TextModel(model, tokenization))


def attacked(job: Job, victim: ClassifierVictim, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    settings = SearchSettings(unknown_word=victim.text_model.tokenizer.unk_token, seed=job.seed)
    search = text_attack_named(job.attack).search(settings)
    examples = [((row["sentence"],), Misclassified(row["label"])) for row in rows]
    searches = (search(example, goal, victim.characters_read(example)) for example, goal in examples)
    results = dict(run_searches(victim, searches))
    return [_record(results[number]) for number in range(len(rows))]


def _record(result: AttackResult) -> dict[str, Any]:
    return {
        "outcome": result.outcome,
        "num_queries": result.num_queries,
        "perturbed": result.perturbed[0],
        "clean_outputs": result.clean_outputs,
        "outputs": result.adversarial_outputs,
    }


def mistyped(job: Job, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"perturbed": with_typing_errors(row["sentence"], ERROR_RATE, job.seed)} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("attack", "model", "sentences", "output"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("seed", "threads", "max_length_tokens"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Job, name))
    job = Job(**vars(parser.parse_args()))
    rows = [json.loads(line) for line in Path(job.sentences).read_text(encoding="utf-8").splitlines()]
    victim = load(job)
    victim([("The first pass takes longer than others.",)])
    num_asked = victim.cache.num_asked
    load_average, start, start_of_work = os.getloadavg()[0], time.perf_counter(), time.process_time()
    records = mistyped(job, rows) if job.attack == "noise" else attacked(job, victim, rows)
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - start_of_work
    if job.attack == "noise":
        probs = victim([(record["perturbed"],) for record in records])
        records = [record | {"outputs": own.tolist()} for record, own in zip(records, probs, strict=True)]
    result = {
        "job": asdict(job),
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "load_average": load_average,
        "num_texts_run": victim.cache.num_asked - num_asked,
        "versions": {name: environment()[name] for name in ("python", "torch", "transformers", "alum")},
        "rows": records,
    }
    Path(job.output).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
