"""The same attack by TextAttack, timed. Runs in an environment of its own, without alum, since TextAttack cannot live
beside transformers 5; ``NLTK_DATA`` names a folder with the stop words.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from textattack import Attack
from textattack.attack_recipes import DeepWordBugGao2018
from textattack.augmentation import Augmenter
from textattack.constraints.pre_transformation import MinWordLength, RepeatModification, StopwordModification
from textattack.goal_functions import UntargetedClassification
from textattack.models.wrappers import HuggingFaceModelWrapper
from textattack.search_methods import GreedyWordSwapWIR
from textattack.transformations import (
    CompositeTransformation,
    WordSwapNeighboringCharacterSwap,
    WordSwapQWERTY,
    WordSwapRandomCharacterDeletion,
)
from transformers import AutoModelForSequenceClassification, AutoTokenizer

Row = dict[str, Any]


class Wrapper(HuggingFaceModelWrapper):
    """TextAttack's own, which pads each text to the length limit, and counts."""

    num_texts_run = 0

    def __call__(self, texts: Sequence[str]) -> Any:
        self.num_texts_run += len(texts)
        return super().__call__(texts)


class WrapperWithoutPadding(Wrapper):
    """Pads to the longest of a batch, as someone who has read TextAttack's source might write it."""

    def __call__(self, texts: Sequence[str]) -> Any:
        self.num_texts_run += len(texts)
        limit = self.tokenizer.model_max_length
        batch = self.tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        with torch.no_grad():
            return self.model(**batch).logits


def typos(wrapper: Wrapper) -> Attack:
    """What alum's ``typos`` does, of TextAttack's parts."""
    return Attack(
        UntargetedClassification(wrapper),
        [RepeatModification(), StopwordModification(), MinWordLength(min_length=4)],
        WordSwapQWERTY(random_one=True, skip_first_char=True, skip_last_char=True),
        GreedyWordSwapWIR(wir_method="unk"),
    )


ATTACKS: dict[str, Callable[[Wrapper], Attack]] = {"deepwordbug": DeepWordBugGao2018.build, "typos": typos}


def attacked(attack: Attack, rows: Sequence[Row]) -> list[Row]:
    results = (attack.attack(row["sentence"], row["label"]) for row in rows)
    return [record(result) for result in results]


def record(result: Any) -> Row:
    before, after = result.original_result, result.perturbed_result
    outcome = {"Successful": "succeeded", "Failed": "failed", "Skipped": "skipped"}
    return {
        "outcome": outcome[type(result).__name__.removesuffix("AttackResult")],
        "num_queries": result.num_queries,
        "perturbed": after.attacked_text.text,
        "clean_outputs": before.raw_output.tolist(),
        "outputs": after.raw_output.tolist(),
    }


def mistyped(rows: Sequence[Row], share_of_words: float) -> list[Row]:
    """Neighbouring keys, letters left out and letters swapped; TextAttack has no doubled letters."""
    kinds = (WordSwapQWERTY(), WordSwapRandomCharacterDeletion(), WordSwapNeighboringCharacterSwap())
    augmenter = Augmenter(
        CompositeTransformation(list(kinds)), [RepeatModification()], share_of_words, transformations_per_example=1
    )
    return [{"perturbed": augmenter.augment(row["sentence"])[0]} for row in rows]


def logits_of(model: Any, tokenizer: Any, texts: Sequence[str]) -> list[list[float]]:
    with torch.no_grad():
        return [model(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0].tolist() for text in texts]


def job_asked_for() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attack", choices=("deepwordbug", "typos", "noise", "none"), required=True)
    for name in ("model", "sentences", "output"):
        parser.add_argument(f"--{name}", required=True)
    for name, default in (("seed", 0), ("threads", 2), ("max_length_tokens", 64)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--share_of_words", type=float, default=0.1, help="with typing errors")
    parser.add_argument("--padding", choices=("max_length", "longest"), default="max_length")
    return parser.parse_args()


def main() -> None:
    job = job_asked_for()
    torch.set_num_threads(job.threads)
    random.seed(job.seed)
    np.random.seed(job.seed)
    torch.manual_seed(job.seed)
    rows = [json.loads(line) for line in Path(job.sentences).read_text(encoding="utf-8").splitlines()]
    model = AutoModelForSequenceClassification.from_pretrained(job.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(job.model)
    tokenizer.model_max_length = job.max_length_tokens
    wrapper = (Wrapper if job.padding == "max_length" else WrapperWithoutPadding)(model, tokenizer)
    attack = ATTACKS[job.attack](wrapper) if job.attack in ATTACKS else None
    wrapper(["The first pass takes longer than others."])
    wrapper.num_texts_run = 0
    load_average, start, start_of_work = os.getloadavg()[0], time.perf_counter(), time.process_time()
    if attack is not None:
        records = attacked(attack, rows)
    elif job.attack == "noise":
        records = mistyped(rows, job.share_of_words)
    else:
        records = [{"perturbed": row["sentence"]} for row in rows]
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - start_of_work
    if attack is None:
        logits = logits_of(model, tokenizer, [record["perturbed"] for record in records])
        records = [record | {"outputs": own} for record, own in zip(records, logits, strict=True)]
    packages = ("torch", "transformers", "textattack", "flair", "nltk")
    result = {
        "job": vars(job),
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "load_average": load_average,
        "num_texts_run": wrapper.num_texts_run,
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages},
        },
        "rows": records,
    }
    Path(job.output).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
