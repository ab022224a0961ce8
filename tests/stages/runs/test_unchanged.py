import dataclasses

import pytest

from alum.core.errors import InputError
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig
from alum.stages.runs.unchanged import (
    AROUND_TRAINING,
    OF_LENGTH,
    OF_MEASURES,
    check_is_record,
    check_unchanged,
    may_change,
    recorded,
)
from tiny_stages import finetune_config

CONFIGS = (FinetuneConfig, PretrainConfig, FinetuneArguments, PretrainArguments)
# Each of them changes an update of the weights by its definition, or which rows, masks or random numbers it is made of.
DECIDE_THE_WEIGHTS = [
    "adam_beta1", "adam_beta2", "adam_epsilon", "adv_alpha", "adv_epsilon", "adv_layer", "adv_method",
    "adv_start_fraction", "architecture", "bf16", "data_seed", "dataloader_drop_last", "early_stopping_patience",
    "eval_steps", "eval_strategy", "fp16", "gradient_accumulation_steps", "head_warmup_steps", "ignore_data_skip",
    "label_column", "label_smoothing_factor", "learning_rate", "load_best_model_at_end", "lr_scheduler_kwargs",
    "lr_scheduler_type", "max_grad_norm", "max_seq_length", "max_train_samples", "metric_for_best_model",
    "mlm_probability", "model_name_or_path", "neftune_noise_alpha", "optim", "optim_args", "padding_free",
    "per_device_train_batch_size", "seed", "train_sampling_strategy", "train_weights", "warmup_steps", "weight_decay",
]  # fmt: skip


def settings(folder, **given):
    return recorded({"config": finetune_config(folder, **given)})


def test_what_may_change_are_settings_that_there_are():
    names = {field.name for config in CONFIGS for field in dataclasses.fields(config)}
    assert names | {"validation"} >= OF_LENGTH | OF_MEASURES | AROUND_TRAINING


@pytest.mark.parametrize("name", DECIDE_THE_WEIGHTS)
def test_settings_that_decide_the_weights_may_not(tmp_path, name):
    assert name in {field.name for config in CONFIGS for field in dataclasses.fields(config)}
    assert name not in may_change(settings(tmp_path)["config"])


def test_when_checkpoints_come_decides_where_the_best_of_them_is_kept(tmp_path):
    best = {"load_best_model_at_end": True, "eval_strategy": "epoch", "save_strategy": "epoch"}
    for given, is_free in (({}, True), (best, False)):
        names = may_change(settings(tmp_path, **given)["config"])
        assert {name: name in names for name in ("save_steps", "validation")} == dict.fromkeys(
            ("save_steps", "validation"), is_free
        )


def test_all_that_changed_is_named(tmp_path):
    former = settings(tmp_path)
    now = settings(tmp_path / "other", adam_epsilon=1e-6, label_smoothing_factor=0.1, logging_steps=1)
    with pytest.raises(InputError) as error:
        check_unchanged(tmp_path, former, now, may_change(now["config"]))
    assert "other settings: adam_epsilon was 1e-08 and is 1e-06; label_smoothing_factor was 0.0 and is 0.1." in str(
        error.value
    )


@pytest.mark.parametrize("record", [{}, {"command": "finetune"}, {"command": "pretrain", "config": {}}])
def test_a_record_that_settings_cannot_be_held_against(tmp_path, record):
    with pytest.raises(InputError, match=r"run\.json is no record of a run by alum finetune"):
        check_is_record(tmp_path / "run.json", record, "finetune", {"config"})
