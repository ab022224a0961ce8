"""Settings of a run: how ``run.json`` has them, and which of them a run that goes on shares with its beginning."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Set
from enum import Enum
from pathlib import Path
from typing import Any

from alum.core.errors import InputError
from alum.data.values import as_json

OF_LENGTH = {"max_steps", "num_train_epochs"}
OF_MEASURES = {
    "do_predict", "eval_accumulation_steps", "eval_use_gather_object", "max_eval_samples", "per_device_eval_batch_size",
    "test_file", "validation",
}  # fmt: skip
"""Settings that decide what is measured of the trained model, and ``validation``, the rows."""
_OF_SAVING = {"save_steps", "save_strategy"}
_OF_THE_CHOICE_OF_THE_BEST = {*_OF_SAVING, "max_eval_samples", "validation"}
AROUND_TRAINING = {
    # folders, and where a run goes on
    "cache_dir", "output_dir", "overwrite_output_dir", "resume_from_checkpoint",
    # how long a process runs, and what it saves
    *_OF_SAVING, "enable_jit_checkpoint", "max_minutes", "save_minutes", "save_on_each_node", "save_only_model",
    "save_total_limit", "restore_callback_states_from_checkpoint",
    # what is logged and shown, and where
    "adv_gain_draws", "adv_log_time", "count_flops_every", "debug", "disable_tqdm", "include_num_input_tokens_seen",
    "log_level", "log_level_replica", "log_on_each_node", "logging_first_step", "logging_nan_inf_filter",
    "logging_steps", "logging_strategy", "project", "report_to", "run_name", "skip_memory_metrics",
    "trackio_bucket_id", "trackio_space_id", "trackio_static_space_id",
    # uploads
    "hub_always_push", "hub_model_id", "hub_private_repo", "hub_revision", "hub_strategy", "push_to_hub",
    # how machines load rows and talk to each other
    "preprocessing_num_workers",
    "dataloader_multiprocessing_context", "dataloader_num_workers", "dataloader_persistent_workers",
    "dataloader_pin_memory", "dataloader_prefetch_factor", "ddp_backend", "ddp_broadcast_buffers", "ddp_bucket_cap_mb",
    "ddp_find_unused_parameters", "ddp_static_graph", "ddp_timeout", "local_rank", "torch_empty_cache_steps", "use_cpu",
    # of example scripts, without effect here
    "do_eval", "do_train",
}  # fmt: skip
"""Settings that may be others where a run goes on, since they change neither weights nor measures.

Whatever is in none of these lists decides the weights. Evaluations on the way do: each draws from the random state.
"""

OF_SPREAD = {"devices_per_process", "gradient_accumulation_steps", "num_processes", "per_device_train_batch_size"}
"""Settings whose product is the number of rows of a step."""


def may_change(config: Mapping[str, Any]) -> Set[str]:
    """Names of settings that may be others where a training goes on with the settings ``config``."""
    changeable = OF_LENGTH | OF_MEASURES | AROUND_TRAINING
    return changeable - _OF_THE_CHOICE_OF_THE_BEST if config["load_best_model_at_end"] else changeable


def check_rows_of_step(folder: Path, former: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]]) -> bool:
    """Says whether steps are spread over other processes or micro-batches than in the record ``former`` of a run.

    Raises `InputError` where they then have another number of rows.
    """
    was, now = (
        {
            name: value
            for part in ("config", "devices")
            for name, value in one.get(part, {}).items()
            if name in OF_SPREAD
        }
        for one in (former, settings)
    )
    if was == now or not was.keys() == now.keys() == OF_SPREAD:
        return False
    if (rows := math.prod(was.values())) != math.prod(now.values()):
        raise InputError(
            f"each step of the run in {folder} has {rows} rows, and would now have {math.prod(now.values())} "
            f"({now['num_processes']} processes of {now['devices_per_process']} device, per_device_train_batch_size "
            f"{now['per_device_train_batch_size']}, gradient_accumulation_steps {now['gradient_accumulation_steps']}): "
            f"give numbers whose product is {rows}, for instance by more gradient_accumulation_steps."
        )
    return True


def recorded(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings in groups as ``run.json`` has them, without secrets: dataclasses are groups, and values are JSON's."""
    groups = {name: _settings(value) for name, value in settings.items()}
    found: dict[str, dict[str, Any]] = as_json(json.loads(json.dumps(groups, default=plain)))
    return found


def differences(former: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]], but: Set[str]) -> list[str]:
    """Says of each setting but those in ``but`` that was another in the record ``former``, what it was and is."""
    return [
        f"{name} was {former[group][name]!r} and is {value!r}"
        for group, values in settings.items()
        for name, value in values.items()
        if name in former.get(group, {}) and former[group][name] != value and name not in but
    ]


def check_unchanged(
    folder: Path, former: Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]], but: Set[str]
) -> None:
    """Raises `InputError` where settings but those in ``but`` are others than in the record ``former`` of a run."""
    if changed := differences(former, settings, but):
        raise InputError(
            f"the run in {folder} cannot go on with other settings: {'; '.join(changed)}. Give those that it began "
            "with, or start another run in another folder."
        )


def check_is_record(file: Path, record: Mapping[str, Any], command: str, groups: Set[str]) -> None:
    """Raises `InputError` where a file is no record of a run by ``command`` with its groups of settings."""
    if record.get("command") != command or not all(isinstance(record.get(group), dict) for group in groups):
        raise InputError(
            f"{file} is no record of a run by alum {command}, so that its settings cannot be compared with those given "
            "now: name the folder of such a run, or start anew by --overwrite_output_dir."
        )


def _settings(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    return {k: v for k, v in value.items() if not re.search("token$", k)} if isinstance(value, dict) else value


def plain(value: Any) -> Any:
    """Value for JSON of one that it does not know: that of an enumeration, or the text."""
    return value.value if isinstance(value, Enum) else str(value)
