"""Runs whose records are kept: what is finished is not run again when a study goes on."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.run import finetune
from alum.stages.runs.environment import environment
from benchmarks.places import DATA, DOCS, ROOT, needed
from benchmarks.tables import versions


@dataclass(frozen=True)
class Folders:
    """Where a study reads, keeps its runs, and writes its page."""

    data: Path
    runs: Path
    docs: Path


def folders_of(study: str, rehearse: bool = False) -> Folders:
    """Makes a study's folders; a rehearsal begins anew each time, and its page stays with its runs."""
    runs = ROOT / "runs" / f"{'rehearse' if rehearse else 'study'}-{study}"
    if rehearse:
        shutil.rmtree(runs, ignore_errors=True)
    folders = Folders(needed(DATA), runs, runs if rehearse else DOCS / "studies")
    runs.mkdir(parents=True, exist_ok=True)
    return folders


# -- runs --------------------------------------------------------------------------------------------------------------


def is_finished(folder: Path) -> bool:
    return (folder / "results.json").is_file()


def record_of(folder: Path) -> dict[str, Any]:
    """What a finished run came to."""
    return dict(json.loads((folder / "results.json").read_text(encoding="utf-8")))


def finetuned(folder: Path, arguments: FinetuneArguments, **settings: Any) -> dict[str, Any]:
    """The record of a fine-tuning run, which is made unless it is there."""
    if not is_finished(folder):
        finetune(arguments, FinetuneConfig(**_into(folder), **settings))
    return record_of(folder)


def _into(folder: Path) -> dict[str, Any]:
    return {"output_dir": str(folder), "overwrite_output_dir": True, "save_strategy": "no", "disable_tqdm": True}


# -- the record of a study ---------------------------------------------------------------------------------------------


def study_record(**results: Any) -> dict[str, Any]:
    return {"date": str(date.today()), **results, "environment": environment()}


def conditions(record: Mapping[str, Any], command: str, minutes: str) -> str:
    """The sentence that says where, when and with what a study was made, and how long that took."""
    machine = record["environment"]
    return (
        f"`{command}`, {record['date']}: {machine['processors']} processors ({machine['platform']}); "
        f"{versions(machine)}; {minutes}."
    )
