"""Attacks MiniLM, fine-tuned on SST-2, and keeps what each attack changed: words and figures, no sentences.

    python -m studies.attacked_texts [--masked_lm LM] [--wordnet_dir DIR] [--word_vectors FILE]

The record, ``docs/attacked-texts.json``, has for each attacked row its number in SST-2's validation file, the words
that became others, by their place in the text, and what is known of how far the text still means the same. With the
data set at hand people can put the texts together again, and judge; it is not kept here. Similarities are MiniLM's,
and bound no attack.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from alum.attacks.text.table import TEXT_ATTACKS
from alum.data.writing import write_text
from alum.evaluation.validity.kept_meaning import VALIDITY_FIELDS
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.run import EvaluateResult, evaluate
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.run import finetune
from benchmarks.places import DATA, DOCS, ROOT, minilm, needed
from benchmarks.records import Record, progress

RESOURCES = {"masked_lm": ("masked_lm", "unmasked_lm"), "wordnet_dir": ("wordnet",), "word_vectors": ("word_vectors",)}


def attacks_with(given: Mapping[str, str | None]) -> list[str]:
    """Names of the attacks whose resources are given."""
    known = {need for setting, needs in RESOURCES.items() if given[setting] for need in needs} | {"gradients"}
    return [name for name, attack in TEXT_ATTACKS.items() if attack.needs <= known]


def trained(folder: Path, data: Path, max_steps: int) -> str:
    """Folder of the fine-tuned model, which is trained where it is not there yet."""
    if not (folder / "results.json").is_file():
        arguments = FinetuneArguments(
            model_name_or_path=minilm(),
            task="sst2",
            train_file=[str(data / "train.jsonl")],
            validation_file=str(data / "validation.jsonl"),
            max_seq_length=64,
        )
        config = FinetuneConfig(
            output_dir=str(folder),
            overwrite_output_dir=True,
            adv_method="standard",
            max_steps=max_steps,
            per_device_train_batch_size=16,
            learning_rate=1e-4,
            save_strategy="no",
            disable_tqdm=True,
        )
        finetune(arguments, config)
    return str(folder)


def record_of(result: EvaluateResult, num_rows: int) -> dict[str, Any]:
    """Figures of the attacks, and the first ``num_rows`` rows that each was tried on, without their texts."""
    scores = [score for score in result.results["scores"] if score["attack"] and score["group"] is None]
    attacks = []
    for attack in result.results["attacks"]:
        texts = [text for text in result.attacked_texts if text["attack"] == attack["name"]]
        tried = [text for text in texts if text["outcome"] != "skipped"][:num_rows]
        kept = ("row", "outcome", "label", "before", "after", "num_queries", *VALIDITY_FIELDS, "changes")
        figures = {
            score["metric"]: {name: score[name] for name in ("value", "low", "high", "num_rows")}
            for score in scores
            if score["attack"] == attack["name"]
        }
        described = {name: attack[name] for name in ("name", "source", "differs", "settings", "may_change_label")}
        # Folders of the machine that this ran on are nothing to anybody else.
        paths = {name: value for name, value in attack["settings"].items() if name not in RESOURCES}
        rows = [{name: text[name] for name in kept} for text in tried]
        attacks.append({**described, "settings": paths, "figures": figures, "rows": rows})
    return {"accuracy": result.score("accuracy"), "attacks": attacks}


def text_of(record: Mapping[str, Any]) -> str:
    """JSON with a line for each attacked row."""
    lines: dict[str, str] = {}

    def in_lines(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
        shown = ",\n".join(f"        {json.dumps(_rounded(row), ensure_ascii=False)}" for row in rows)
        lines[f'"{name}"'] = f"[\n{shown}\n      ]" if rows else "[]"
        return name

    attacks = [
        {**attack, "rows": in_lines(f"rows of {attack['name']}", attack["rows"])} for attack in record["attacks"]
    ]
    text = json.dumps({**record, "attacks": attacks}, indent=2, ensure_ascii=False)
    for name, rows in lines.items():
        text = text.replace(name, rows)
    return text + "\n"


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output_file", type=Path, default=DOCS / "attacked-texts.json")
    parser.add_argument("--runs_dir", type=Path, default=ROOT / "runs" / "attacked-texts")
    parser.add_argument("--num_rows", type=int, default=60)
    parser.add_argument("--max_steps", type=int, default=200)
    for setting in RESOURCES:
        parser.add_argument(f"--{setting}")
    given = vars(parser.parse_args())
    data = needed(DATA / "glue_sst2")
    resources = {setting: given[setting] for setting in RESOURCES}
    record, names = Record(), attacks_with(resources)
    model = trained(given["runs_dir"] / "model", data, given["max_steps"])
    progress(f"attacks: {', '.join(names)}")
    result = evaluate(
        EvaluateArguments(
            model_name_or_path=[f"minilm={model}"],
            suites=[f"sst2={data / 'validation.jsonl'}"],
            attacks=names,
            # Some rows are wrong before and never attacked.
            max_attacked_samples=given["num_rows"] * 4 // 3,
            similarity_model=minilm(),
            min_similarity=-1.0,
            num_examples=0,
            # Where the same command was stopped, it goes on.
            output_dir=str(given["runs_dir"] / "evaluation"),
            **resources,
        )
    )
    found = record_of(result, given["num_rows"])
    whole = record.with_results(suite="sst2", max_steps=given["max_steps"], **found)
    write_text(given["output_file"], text_of(whole))


if __name__ == "__main__":
    main()
