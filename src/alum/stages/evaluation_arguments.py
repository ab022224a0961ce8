"""The settings of the stages that measure models, named as those of the others."""

from dataclasses import dataclass, field
from typing import Literal

from alum.attacks.text_attacks import TEXT_ATTACKS
from alum.core.errors import InputError
from alum.stages.arguments import require_one_or_more


@dataclass(kw_only=True)
class TextAttackArguments:
    """What attacks on texts are told, whether it is one text or a suite that they attack."""

    masked_lm: str | None = field(
        default=None, metadata={"help": "Masked language model whose predictions the attack masked_lm puts in."}
    )
    wordnet_dir: str | None = field(
        default=None, metadata={"help": "Folder of the WordNet database (index.noun, data.noun, …) for wordnet."}
    )
    similarity_model: str | None = field(
        default=None, metadata={"help": "Encoder that keeps changed texts similar to the original; default: none."}
    )
    min_similarity: float | None = field(
        default=None,
        metadata={"help": "Least cosine similarity of a changed text by the similarity_model; default: 0.8."},
    )
    trust_remote_code: bool = field(default=False, metadata={"help": "Run code that comes with a checkpoint."})

    def __post_init__(self) -> None:
        if self.min_similarity is None:
            return
        if self.similarity_model is None:
            raise InputError("min_similarity needs an encoder to measure it by: name one with --similarity_model.")
        if not -1 <= self.min_similarity <= 1:
            raise InputError(f"min_similarity must lie in [-1, 1], not {self.min_similarity}.")

    @property
    def least_similarity(self) -> float:
        """What is set, or what it is where nothing is."""
        return 0.8 if self.min_similarity is None else self.min_similarity


@dataclass
class EvaluateArguments:
    """A fine-tuned model and rows to test it on, clean and attacked."""

    model_name_or_path: str = field(metadata={"help": "Fine-tuned checkpoint: a folder or a model id."})
    output_dir: str | None = field(default=None, metadata={"help": "Folder for results.json; none writes nothing."})
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Write to a folder that holds something; the old one is moved aside."}
    )
    task: str | None = field(default=None, metadata={"help": "Named task; alum tasks lists them."})
    suite: str = field(
        default="clean,typing,pgd",
        metadata={"help": "What to evaluate, with commas: clean, typing (errors), pgd (on the embeddings), gain."},
    )
    kind: str | None = field(
        default=None, metadata={"help": "Kind of a task of one's own: sentence_classification, pair_classification, …"}
    )
    data_dir: str | None = field(default=None, metadata={"help": "Folder with validation.jsonl (.csv, .parquet)."})
    validation_file: str | None = field(default=None, metadata={"help": "Rows to evaluate on."})
    text_columns: str | None = field(
        default=None, metadata={"help": "Column of the text, or two with a comma for pairs; default: the task's."}
    )
    label_column: str | None = field(default=None, metadata={"help": "Column of the label; default: the task's."})
    choice_columns: str | None = field(
        default=None, metadata={"help": "Multiple choice: the columns of the choices with commas, or one of lists."}
    )
    max_seq_length: int | None = field(default=None, metadata={"help": "Longest input in tokens; default: the task's."})
    max_eval_samples: int | None = field(default=None, metadata={"help": "Use only so many rows."})
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Rows in a batch."})
    typing_error_rate: float = field(default=0.05, metadata={"help": "Share of the letters that are mistyped."})
    epsilon: float = field(default=0.03, metadata={"help": "Radius of the attack, relative to the embeddings."})
    num_steps: int = field(default=10, metadata={"help": "Steps of the attack."})
    seed: int = field(default=0, metadata={"help": "Seed of the typing errors."})
    trust_remote_code: bool = field(default=False, metadata={"help": "Run code that comes with a checkpoint."})

    def __post_init__(self) -> None:
        require_one_or_more(self, "max_seq_length", "max_eval_samples", "per_device_eval_batch_size", "num_steps")
        if not 0 <= self.typing_error_rate <= 1:
            raise InputError(f"typing_error_rate must lie in [0, 1], not {self.typing_error_rate}.")


@dataclass
class AttackArguments(TextAttackArguments):
    """A fine-tuned classifier and one text, or a pair, to attack it with."""

    model_name_or_path: str = field(metadata={"help": "Fine-tuned checkpoint: a folder or a model id."})
    text: str = field(metadata={"help": "The text, or the first one of a pair."})
    text_pair: str | None = field(default=None, metadata={"help": "The second text of a pair."})
    attacked_text: Literal["first", "last", "both"] = field(
        default="last", metadata={"help": "Which text of a pair may be changed."}
    )
    attack: str = field(default="deepwordbug", metadata={"help": f"How words are changed: {', '.join(TEXT_ATTACKS)}."})
    label: str | None = field(
        default=None, metadata={"help": "The right label, which the attack turns; default: the model's answer."}
    )
    max_changed_words: float | None = field(
        default=None, metadata={"help": "Share of the words that may be changed; default: the attack's own."}
    )
    max_queries: int = field(default=5000, metadata={"help": "How many texts the model may be asked about."})
    max_seq_length: int | None = field(
        default=None, metadata={"help": "Longest input in tokens; default: 512, or the model's if that is less."}
    )
    seed: int = field(default=0, metadata={"help": "Seed of the changes."})

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_or_more(self, "max_queries", "max_seq_length")
        if self.max_changed_words is not None and not 0 < self.max_changed_words <= 1:
            raise InputError(f"max_changed_words must lie in (0, 1], not {self.max_changed_words}.")
