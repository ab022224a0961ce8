"""Trains the cells of one engine, in one process or several, and writes how far each moved the weights."""

import argparse
import gc
import json
import logging
import os
import tempfile
import warnings
from pathlib import Path

import torch
import torch.distributed
from safetensors.torch import save_file

from alum.core.errors import InputError
from benchmarks.engines.cell import ENGINES, cells, change_of_weights
from benchmarks.records import progress


def measure(engine: str, file: Path, is_rehearsed: bool) -> None:
    """Into ``file`` the changes of weights, and beside it the words of what was refused or failed."""
    changes, words = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for cell in cells(engine, is_rehearsed):
            try:
                changes[str(cell)] = change_of_weights(engine, cell, folder)
            except InputError as error:
                words[str(cell)] = {"refused": str(error)}
            except Exception as error:  # a defect, to stand in the page
                words[str(cell)] = {"failed": f"{type(error).__name__}: {error}"}
    if int(os.environ.get("RANK", 0)) == 0:
        save_file(changes, file)
        file.with_suffix(".json").write_text(json.dumps(words), encoding="utf-8")


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("engine", choices=ENGINES)
    flags.add_argument("file", type=Path)
    flags.add_argument("--rehearse", action="store_true")
    given = flags.parse_args()
    torch.set_num_threads(1)
    gc.freeze()  # the Trainer collects garbage after each training: looking through all modules took longest
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore", FutureWarning)
    if "RANK" in os.environ:
        torch.distributed.init_process_group("gloo")
    progress(f"{given.engine}: {len(cells(given.engine, given.rehearse))} cells")
    measure(given.engine, given.file, given.rehearse)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
