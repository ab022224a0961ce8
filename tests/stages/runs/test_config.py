"""Settings of the Trainer that can be seen to fail before any training."""

import pytest

from alum.core.errors import InputError
from alum.stages.finetuning.config import FinetuneConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"report_to": "nonsense"}, "unknown tracker in report_to 'nonsense': expected one of .*wandb"),
        ({"report_to": ["clearml"]}, "report_to names clearml, which is not installed: install it, or"),
        ({"report_to": "wandb"}, "report_to names wandb, which is not installed: pip install wandb, or"),
        ({"torch_compile_backend": "nope"}, "unknown torch_compile_backend 'nope': expected one of eager, aot_eager"),
        ({"accelerator_config": {"nope": 1}}, "cannot be made or begin with these settings: .*argument 'nope'"),
        ({"dataloader_persistent_workers": True}, "needs dataloader_num_workers of 1 or more"),
        ({"debug": "underflow_overflow"}, "fails on attention masks of truth values"),
        ({"eval_accumulation_steps": 0}, "eval_accumulation_steps must be 1 or more, not 0"),
        ({"prediction_loss_only": True}, "predictions of all rows together are scored"),
        ({"batch_eval_metrics": True}, "predictions of all rows together are scored"),
        ({"eval_do_concat_batches": False}, "predictions of all rows together are scored"),
        ({"label_names": ["nope"]}, "label_names are those of the task's kind"),
    ],
)
def test_what_is_not_there_is_refused_at_once(settings, message, tmp_path):
    with pytest.raises(InputError, match=message):
        FinetuneConfig(output_dir=str(tmp_path), use_cpu=True, **settings)


@pytest.mark.parametrize(
    "settings", [{"report_to": "all"}, {"report_to": "none"}, {"torch_compile_backend": "aot_eager"}]
)
def test_what_is_there_is_taken(settings, tmp_path):
    FinetuneConfig(output_dir=str(tmp_path), use_cpu=True, **settings)
