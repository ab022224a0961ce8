"""The settings of each stage, named as in the example scripts of transformers where those have a name."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from transformers import TrainingArguments

from alum.core.errors import InputError
from alum.models.architectures import ARCHITECTURES
from alum.training.config import AlumConfig

_FIELDS = {f.name: f for f in dataclasses.fields(TrainingArguments)} | {
    f.name: f for f in dataclasses.fields(AlumConfig)
}


def _instead(name: str, default: Any) -> Any:
    """The field of `AlumConfig` called ``name`` with its help and another default."""
    return field(default=default, metadata=dict(_FIELDS[name].metadata))


def require_one_or_more(settings: Any, *names: str) -> None:
    """Raises `InputError` where a count is given that is below 1."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise InputError(f"{name} must be 1 or more, not {value}.")


@dataclass
class StageConfig(AlumConfig):
    """What both training stages set differently from TrainingArguments."""

    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Start anew in a folder that holds a run; the old one is moved aside."}
    )
    count_flops_every: int = field(
        default=0, metadata={"help": "Count the FLOPs of every n-th step for the records; 0 counts none."}
    )
    max_minutes: float | None = field(
        default=None,
        metadata={"help": "Stop after so many minutes of training, with a checkpoint to go on from and exit code 3."},
    )
    save_minutes: float | None = field(
        default=None, metadata={"help": "Save a checkpoint also whenever so many minutes have passed since the last."}
    )
    # HfArgumentParser reads a union of three only with None first.
    report_to: None | str | list[str] = _instead("report_to", "none")  # noqa: RUF036
    logging_steps: float = _instead("logging_steps", 50)
    warmup_steps: float = _instead("warmup_steps", 0.1)
    save_total_limit: int | None = _instead("save_total_limit", 2)
    max_grad_norm: float = _instead("max_grad_norm", 1.0)
    logging_nan_inf_filter: bool = _instead("logging_nan_inf_filter", False)

    def __post_init__(self) -> None:
        asked_for = self.output_dir
        super().__post_init__()
        self.output_dir = asked_for  # TrainingArguments writes to a folder of its own choice where none was given
        require_one_or_more(
            self, "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"
        )
        if not 0 <= self.learning_rate < float("inf"):
            raise InputError(f"learning_rate must be 0 or more and finite, not {self.learning_rate}.")
        for name in ("seed", "data_seed"):
            seed = getattr(self, name)
            if seed is not None and not 0 <= seed < 2**32:
                raise InputError(f"{name} must lie in [0, 2^32), not {seed}.")
        if self.max_steps == 0 or (self.max_steps < 0 and not self.num_train_epochs > 0):
            raise InputError(
                f"nothing to train: max_steps is {self.max_steps} and num_train_epochs {self.num_train_epochs}. "
                "One of them must be above 0."
            )
        if self.count_flops_every < 0:
            raise InputError(f"count_flops_every must be 0 or more, not {self.count_flops_every}.")
        for name in ("max_minutes", "save_minutes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"{name} must be above 0, not {value}.")


@dataclass
class PretrainConfig(StageConfig):
    """Pre-training: Adam as in Devlin et al. 2019, appendix A.2 (arXiv:1810.04805), whose settings ALUM's pre-training
    from scratch takes over: learning rate 1e-4 after a warm-up of 1 % of the steps, then linear decay; weight decay
    0.01; β 0.9 and 0.999. Their batches have 256 sequences; set the batch size to what the machine holds."""

    learning_rate: float = _instead("learning_rate", 1e-4)
    weight_decay: float = _instead("weight_decay", 0.01)
    warmup_steps: float = _instead("warmup_steps", 0.01)
    per_device_train_batch_size: int = _instead("per_device_train_batch_size", 32)
    per_device_eval_batch_size: int = _instead("per_device_eval_batch_size", 32)
    num_train_epochs: float = _instead("num_train_epochs", 1.0)

    def __post_init__(self) -> None:
        # TrainingArguments takes all but losses for better the greater they are.
        if self.greater_is_better is None and str(self.metric_for_best_model).endswith("perplexity"):
            self.greater_is_better = False
        super().__post_init__()
        for name, needed in (
            ("dataloader_drop_last", False),
            ("eval_do_concat_batches", True),
            ("batch_eval_metrics", False),
        ):
            if getattr(self, name) is not needed:
                raise InputError(
                    f"{name} must stay {needed} in pre-training: validation scores are over all sequences."
                )


@dataclass
class FinetuneConfig(StageConfig):
    """Fine-tuning: arXiv:2004.08994, section 4.1, has learning rates of 5e-6 to 3e-5, warm-up 0.1 and clipping at 1."""

    learning_rate: float = _instead("learning_rate", 3e-5)
    per_device_train_batch_size: int = _instead("per_device_train_batch_size", 16)
    per_device_eval_batch_size: int = _instead("per_device_eval_batch_size", 64)
    early_stopping_patience: int = field(
        default=0, metadata={"help": "Stop after so many evaluations without a better metric; 0 never stops early."}
    )
    train_sampling_strategy: str = _instead("train_sampling_strategy", "group_by_length")

    def __post_init__(self) -> None:
        # TrainingArguments then takes the loss where nothing was said.
        self.asked_for_best_metric = self.metric_for_best_model is not None
        super().__post_init__()


@dataclass
class PretrainArguments:
    """Text, and a model to train on it: from scratch (``architecture``) or continued (``model_name_or_path``)."""

    train_file: list[str] = field(
        default_factory=list, metadata={"help": "UTF-8 text files, JSON lines (.jsonl) or Parquet; several are mixed."}
    )
    validation_file: list[str] = field(
        default_factory=list,
        metadata={"help": "Text to validate on, each file by itself; default: every 20th training document."},
    )
    dataset_name: str | None = field(default=None, metadata={"help": "Data set on the hub, instead of files."})
    dataset_config_name: str | None = field(default=None, metadata={"help": "Its configuration."})
    dataset_split: str = field(default="train", metadata={"help": "Its split."})
    train_weights: list[float] = field(
        default_factory=list,
        metadata={"help": "How often each corpus is seen in an epoch (streaming: its share of the sequences)."},
    )
    document_unit: Literal["block", "line", "file"] = field(
        default="block",
        metadata={"help": "A document of a text file: a block between blank lines, a line, or all of it."},
    )
    text_column: str = field(default="text", metadata={"help": "Column of the text, but in text files."})
    streaming: bool = field(
        default=False, metadata={"help": "Tokenize while training instead of once before it; needs max_steps."}
    )
    cache_dir: str | None = field(
        default=None, metadata={"help": "Folder for tokenized corpora; default: $ALUM_CACHE or ~/.cache/alum."}
    )
    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Checkpoint to continue from; without it a model is trained from scratch."}
    )
    head_warmup_steps: int = field(
        default=200,
        metadata={"help": "Steps that train a new language-model head alone, where the checkpoint has none."},
    )
    architecture: str = field(
        default="bert-tiny", metadata={"help": f"Model to train from scratch: {', '.join(ARCHITECTURES)}."}
    )
    objective: Literal["masked_lm", "causal_lm"] | None = field(
        default=None, metadata={"help": "What is predicted: masked tokens or the next ones (default: the model's own)."}
    )
    tokenizer_name: str | None = field(
        default=None, metadata={"help": "Tokenizer; default: the checkpoint's, or one trained on the text."}
    )
    tokenizer_type: Literal["wordpiece", "byte_level_bpe"] | None = field(
        default=None, metadata={"help": "Kind of the tokenizer that is trained (default: the architecture's own)."}
    )
    vocab_size: int = field(default=8192, metadata={"help": "Size of the vocabulary that is trained on the text."})
    max_seq_length: int = field(default=128, metadata={"help": "Length of the packed sequences in tokens."})
    attention_within_documents: bool = field(
        default=False, metadata={"help": "No attention from one document of a sequence to another."}
    )
    mlm_probability: str = field(
        default="0.15",
        metadata={"help": "Share of the tokens that are predicted; 0.05:0.25 grows from the first to the last step."},
    )
    whole_word_masking: bool = field(default=False, metadata={"help": "Mask all tokens of a word or none."})
    max_train_samples: int | None = field(default=None, metadata={"help": "Use only so many training sequences."})
    max_eval_samples: int | None = field(
        default=None, metadata={"help": "Use only so many sequences of each validation text."}
    )
    trust_remote_code: bool = field(default=False, metadata={"help": "Run code that comes with a checkpoint."})

    def __post_init__(self) -> None:
        require_one_or_more(self, "max_train_samples", "max_eval_samples")
        if self.head_warmup_steps < 0:
            raise InputError(f"head_warmup_steps must be 0 or more, not {self.head_warmup_steps}.")


@dataclass
class FinetuneArguments:
    """A model and a task: a named one, or local files with their columns."""

    model_name_or_path: str = field(metadata={"help": "Checkpoint to fine-tune: a folder or a model id."})
    task: str | None = field(default=None, metadata={"help": "Named task; alum tasks lists them."})
    kind: str | None = field(
        default=None, metadata={"help": "Kind of a task of one's own: sentence_classification, pair_classification, …"}
    )
    data_dir: str | None = field(
        default=None, metadata={"help": "Folder with train.jsonl (.csv, .parquet) and validation.jsonl."}
    )
    train_file: str | None = field(default=None, metadata={"help": "Training rows: JSON lines, CSV or Parquet."})
    validation_file: str | None = field(default=None, metadata={"help": "Validation rows."})
    test_file: str | None = field(default=None, metadata={"help": "Rows to predict after training."})
    text_columns: str | None = field(
        default=None, metadata={"help": "Column of the text, or two with a comma for pairs; default: the task's."}
    )
    label_column: str | None = field(default=None, metadata={"help": "Column of the label; default: the task's."})
    choice_columns: str | None = field(
        default=None, metadata={"help": "Multiple choice: the columns of the choices with commas, or one of lists."}
    )
    max_seq_length: int | None = field(default=None, metadata={"help": "Longest input in tokens; default: the task's."})
    max_train_samples: int | None = field(default=None, metadata={"help": "Use only so many training rows."})
    max_eval_samples: int | None = field(default=None, metadata={"help": "Use only so many validation rows."})
    trust_remote_code: bool = field(default=False, metadata={"help": "Run code that comes with a checkpoint."})

    def __post_init__(self) -> None:
        require_one_or_more(self, "max_seq_length", "max_train_samples", "max_eval_samples")


@dataclass
class DemoArguments:
    """The main job: all three stages on the documentation of the installed packages."""

    output_dir: str = field(default="demo-run", metadata={"help": "Folder for models, records and tables."})
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Start anew in a folder that holds a run; the old one is moved aside."}
    )
    fast: bool = field(default=False, metadata={"help": "A smaller run, in at most 90 seconds."})
    adv_method: str = field(default="alum_one_pass", metadata={"help": "The method to hold against standard."})
    seed: int = field(default=0, metadata={"help": "Random seed."})
