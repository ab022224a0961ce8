"""Settings of the stage that measures models on the tasks of AdvGLUE."""

from dataclasses import dataclass, field

from alum.core.errors import InputError, unknown_name
from alum.stages.runs.settings import CheckpointArguments, one_for_a_list, require_one_or_more

ADV_GLUE_TASKS = ("sst2", "qqp", "mnli", "mnli_mismatched", "qnli", "rte")
"""Tasks of AdvGLUE (Wang et al. 2021, arXiv:2111.02840); the suite of each is called adv_TASK."""


@dataclass(kw_only=True)
class AdvGlueArguments(CheckpointArguments):
    """Settings of `advglue`: the fine-tuned model of each task, and where the rows are."""

    models: list[str] = field(
        metadata={"help": "Fine-tuned checkpoint of each task, TASK=PATH; mnli's also for mnli_mismatched."}
    )
    data_dir: str | None = field(
        default=None,
        metadata={"help": "Folder with adv_TASK, or adv_glue_TASK, a file or folder each; default: from the hub."},
    )
    output_dir: str | None = field(
        default=None, metadata={"help": "Folder for adv_glue.json and each task's evaluation; none: no files."}
    )
    max_seq_length: int | None = field(
        default=None, metadata={"help": "Longest input in tokens; default: the model's, 128 at most."}
    )
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Rows in a batch."})

    def __post_init__(self) -> None:
        one_for_a_list(self)
        require_one_or_more(self, "max_seq_length", "per_device_eval_batch_size")
        _ = self.model_by_task

    @property
    def model_by_task(self) -> dict[str, str]:
        """Path or id of each task's model; raises `InputError` for what is no task, or none at all."""
        found: dict[str, str] = {}
        for word in self.models:
            task, _, path = word.partition("=")
            if not path:
                raise InputError(f"expected a model as TASK=PATH, as qqp=runs/qqp, not {word!r}.")
            if task not in ADV_GLUE_TASKS:
                raise unknown_name("task of AdvGLUE", task, ADV_GLUE_TASKS)
            if task in found:
                raise InputError(f"two models for {task}: expected one for each task.")
            found[task] = path
        if not found:
            raise InputError("no model: give --models TASK=PATH, the fine-tuned checkpoint of each task.")
        if "mnli" in found:
            found.setdefault("mnli_mismatched", found["mnli"])
        return found
