"""A new head of a language model, trained alone first, with checkpoints of its own in the folder of the run."""

import dataclasses
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import set_seed
from transformers.trainer_utils import SaveStrategy

from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig
from alum.stages.pretraining.language_model import LanguageModel
from alum.stages.runs.stopping import Interrupted
from alum.training.callbacks import SaveEveryMinutes, StopCleanly
from alum.training.checkpoint_files import checkpoints_in, newest_whole_checkpoint
from alum.training.language_modeling import LanguageModelTrainer
from alum.training.records.console import use_own_console

logger = logging.getLogger(__name__)

_FOLDER = ".head"  # in the folder of the run
_LEARNING_RATE = 1e-3  # of a head alone, on features that stay as they are


def warm_up_head(
    language_model: LanguageModel,
    arguments: PretrainArguments,
    config: PretrainConfig,
    folder: Path,
    of_every_trainer: Mapping[str, Any],
    begin: float,
) -> None:
    """Trains a new head alone first, so that its random start does not pull at weights that are already trained.

    Goes on from the newest whole checkpoint that a warm-up in the run's ``folder`` has left, and ends as if it had
    never been stopped, with the random state that the seed gives. ``max_minutes`` count from ``begin``, a time of
    `time.monotonic`. Raises `Interrupted` where it is stopped, with a checkpoint written.
    """
    steps, model = arguments.head_warmup_steps, language_model.model
    if not language_model.new_weights or not steps:
        return
    logger.warning(
        "%s has no language-model head. A new one, tied to the embeddings, is trained alone for %d steps first "
        "(--head_warmup_steps).",
        arguments.model_name_or_path,
        steps,
    )
    former = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in language_model.new_weights
    try:
        trainer = LanguageModelTrainer(model, _head_config(config, steps, folder), **of_every_trainer)
        _train(trainer, config, folder, begin)
    except BaseException:
        if config.should_save and not has_warm_up(folder):  # nothing to go on with: nothing is left
            remove_warm_up(folder)
        raise
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad = former[name]
    set_seed(config.seed)


def has_warm_up(folder: Path) -> bool:
    """Whether a warm-up has left checkpoints in the folder of a run."""
    return bool(checkpoints_in(folder / _FOLDER))


def remove_warm_up(folder: Path) -> None:
    """Removes the checkpoints of a warm-up from the folder of a run that has some of its own, or is finished."""
    shutil.rmtree(folder / _FOLDER, ignore_errors=True)


def _train(trainer: LanguageModelTrainer, config: PretrainConfig, folder: Path, begin: float) -> None:
    stop, console = StopCleanly(config.max_minutes, begin), use_own_console(trainer)
    trainer.add_callback(stop)
    if config.save_minutes is not None:
        trainer.add_callback(SaveEveryMinutes(config.save_minutes))
    checkpoint = newest_whole_checkpoint(folder / _FOLDER)
    try:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    finally:  # where training failed
        stop.give_back()
        console.close()
    if stop.stopped_at_step is not None:
        raise Interrupted(
            f"stopped at step {stop.stopped_at_step} of {trainer.state.max_steps} of the new head, which is trained "
            "alone first: go on with --resume_from_checkpoint auto.",
            stop.exit_code,
        )


def _head_config(config: PretrainConfig, steps: int, folder: Path) -> PretrainConfig:
    """Settings of the warm-up: those of the run, but those of its method and of what is measured and pushed."""
    of_method = {field.name: field.default for field in dataclasses.fields(config) if field.name.startswith("adv_")}
    changes: dict[str, Any] = {
        **of_method,
        "adv_method": "standard",
        "output_dir": str(folder / _FOLDER),
        "max_steps": steps,
        "learning_rate": _LEARNING_RATE,
        "warmup_steps": 0.1,
        "lr_scheduler_type": "constant_with_warmup",
        "save_strategy": SaveStrategy.STEPS if config.save_strategy == SaveStrategy.BEST else config.save_strategy,
        "save_total_limit": 1,
        "save_only_model": False,  # it could not be gone on with
        "eval_strategy": "no",
        "load_best_model_at_end": False,
        "push_to_hub": False,
    }
    return dataclasses.replace(config, **changes)
