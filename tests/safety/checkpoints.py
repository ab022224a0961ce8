"""Cases of checkpoints that a run goes on from: pickles in them, with and without a manifest that has their digests."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from alum.training.checkpoint_files import write_manifest
from safety.case import FINETUNE, Case, instead
from safety.hostile import update_json, write_pickle, write_torch

CHECKPOINT = "checkpoint-1"
STATES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
_GOES_ON = instead(
    FINETUNE, max_steps="2", save_strategy="steps", save_steps="1", output_dir="run", resume_from_checkpoint="true"
)


def _case(tried: str, spoil: Callable[[Path], None], loads: tuple[str, ...] = (), by_name: bool = True) -> Case:
    def prepare(folder: Path) -> Sequence[str]:
        """The run of the good files has a checkpoint, its first."""
        spoil(folder / "run" / CHECKPOINT)
        return instead(_GOES_ON, resume_from_checkpoint=f"run/{CHECKPOINT}") if by_name else _GOES_ON

    return Case("checkpoint", tried, prepare, is_refused=True, loads=loads)


def _replaced(name: str, with_manifest: bool) -> Callable[[Path], None]:
    def spoil(checkpoint: Path) -> None:
        write_torch(checkpoint / name)
        if with_manifest:
            write_manifest(checkpoint)

    return spoil


def _plain_pickle(checkpoint: Path) -> None:
    write_pickle(checkpoint / "optimizer.pt")
    write_manifest(checkpoint)


def _without_manifest(checkpoint: Path) -> None:
    write_torch(checkpoint / "optimizer.pt")
    (checkpoint / "manifest.json").unlink()


def _pickled_weights(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    write_torch(checkpoint / "pytorch_model.bin")
    write_manifest(checkpoint)


def _index(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    update_json(checkpoint / "model.safetensors.index.json", {"weight_map": {"a": "pytorch_model-1.bin"}})
    write_torch(checkpoint / "pytorch_model-1.bin")
    write_manifest(checkpoint)


def _best_elsewhere(folder: Path) -> Sequence[str]:
    write_torch(folder / "elsewhere" / "pytorch_model.bin")
    checkpoint = folder / "run" / CHECKPOINT
    update_json(
        checkpoint / "trainer_state.json",
        {"best_model_checkpoint": "elsewhere", "best_metric": 2.0, "best_global_step": 1},
    )
    asked = {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 1}
    asked |= {"metric_for_best_model": "accuracy", "greater_is_better": True}
    settings = json.loads((checkpoint / "run.json").read_text())["config"]
    update_json(checkpoint / "run.json", {"config": {**settings, **asked}})
    write_manifest(checkpoint)
    return instead(
        _GOES_ON, load_best_model_at_end="true", eval_strategy="steps", eval_steps="1", metric_for_best_model="accuracy"
    )


def _as_a_model(folder: Path) -> Sequence[str]:
    for name in STATES:
        write_torch(folder / "run" / CHECKPOINT / name)
    return instead(FINETUNE, model_name_or_path=f"run/{CHECKPOINT}")


CASES = (
    *(_case(f"{name} is replaced", _replaced(name, with_manifest=False)) for name in STATES),
    _case("optimizer.pt is replaced; the newest whole one is asked for", _replaced("optimizer.pt", False), (), False),
    *(
        _case(f"{name} is replaced, and the manifest with it", _replaced(name, with_manifest=True),
              ("rng_state.pth", "optimizer.pt", "scheduler.pt"))
        for name in STATES
    ),
    _case("optimizer.pt is a plain pickle, by the manifest", _plain_pickle, ("rng_state.pth", "optimizer.pt")),
    _case("one without a manifest, of another program", _without_manifest),
    _case("pytorch_model.bin is added", _replaced("pytorch_model.bin", with_manifest=False)),
    _case("scaler.pt is added", _replaced("scaler.pt", with_manifest=False)),
    _case("pytorch_model.bin instead of safetensors, by the manifest", _pickled_weights),
    _case("an index names a pickle, by the manifest", _index),
    Case("checkpoint", "its state names a best checkpoint elsewhere, a pickle", _best_elsewhere, False,
         ("optimizer.pt", "scheduler.pt", "rng_state.pth")),
    Case("checkpoint", "states are replaced; it is taken as a model", _as_a_model, False),
)  # fmt: skip
