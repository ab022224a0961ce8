"""Settings of pre-training.

Named as in the example scripts of transformers, where those have a name.
"""

from dataclasses import dataclass, field

from alum.core.errors import InputError
from alum.core.pretraining import DocumentUnit, Objective, TokenizerKind
from alum.models.from_scratch import ARCHITECTURES
from alum.stages.runs.settings import (
    CheckpointArguments,
    StageSettings,
    instead,
    one_for_a_list,
    require_one_or_more,
    require_vocab_size,
)

LENGTH_TOKENS = 128


@dataclass
class PretrainSettings(StageSettings):
    """Training settings of pre-training, with the defaults of BERT's (arXiv:1810.04805, appendix A.2).

    ALUM's pre-training from scratch takes them over from Devlin et al. 2019: Adam with learning rate 1e-4 after a
    warm-up of 1 % of the steps, then linear decay; weight decay 0.01; β 0.9 and 0.999. Their batches have 256
    sequences; set the batch size to what the machine holds.
    """

    learning_rate: float = instead(StageSettings, "learning_rate", 1e-4)
    weight_decay: float = instead(StageSettings, "weight_decay", 0.01)
    warmup_steps: float = instead(StageSettings, "warmup_steps", 0.01)
    per_device_train_batch_size: int = instead(StageSettings, "per_device_train_batch_size", 32)
    per_device_eval_batch_size: int = instead(StageSettings, "per_device_eval_batch_size", 32)
    num_train_epochs: float = instead(StageSettings, "num_train_epochs", 1.0)


@dataclass
class PretrainArguments(CheckpointArguments):
    """Settings of pre-training: the text, and the model, new (``architecture``) or a checkpoint to continue from."""

    train_file: list[str] = field(
        default_factory=list,
        metadata={"help": "UTF-8 text files, JSON lines (.jsonl) or Parquet; several are mixed. Or a dataset_name."},
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
    document_unit: DocumentUnit = field(
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
    preprocessing_num_workers: int = field(
        default=1, metadata={"help": "Processes that tokenize side by side; what they make does not depend on it."}
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
    objective: Objective | None = field(
        default=None, metadata={"help": "What is predicted: masked tokens or the next ones (default: the model's own)."}
    )
    tokenizer_name: str | None = field(
        default=None, metadata={"help": "Tokenizer; default: the checkpoint's, or one trained on the text."}
    )
    tokenizer_type: TokenizerKind | None = field(
        default=None, metadata={"help": "Kind of the tokenizer that is trained (default: the architecture's own)."}
    )
    vocab_size: int = field(default=8192, metadata={"help": "Size of the vocabulary that is trained on the text."})
    max_seq_length: int | None = field(
        default=None,
        metadata={"help": "Length of the packed sequences in tokens; default: 128, or the model's if that is less."},
    )
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

    @property
    def length_tokens(self) -> int:
        """Length of the packed sequences: ``max_seq_length``, or its default."""
        return LENGTH_TOKENS if self.max_seq_length is None else self.max_seq_length

    def __post_init__(self) -> None:
        one_for_a_list(self)
        require_one_or_more(self, "max_train_samples", "max_eval_samples", "preprocessing_num_workers")
        require_vocab_size(self.vocab_size)
        if self.head_warmup_steps < 0:
            raise InputError(f"head_warmup_steps must be 0 or more, not {self.head_warmup_steps}.")
