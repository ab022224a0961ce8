"""Settings of the stages that measure models: `evaluate` and `attack`."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

from alum.attacks.text.base import NAMED_BY, Bound, Need, TextAttack
from alum.attacks.text.searches.settings import UNKNOWN_WORD, SearchSettings, Similarity
from alum.attacks.text.table import TEXT_ATTACKS, text_attack_named
from alum.core.errors import InputError
from alum.stages.runs.settings import CheckpointArguments, one_for_a_list, require_one_or_more, require_seeds
from alum.tasks.prompts import AskedAnswers

MIN_SIMILARITY = 0.8


@dataclass(kw_only=True)
class TextAttackArguments(CheckpointArguments):
    """Settings of attacks on texts, whether they attack one text or the rows of suites."""

    prompt: str | None = field(
        default=None,
        metadata={"help": "Causal LMs: prompt of the texts, as 'Review: {sentence} Opinion:'; default: texts alone."},
    )
    answers: list[str] = field(
        default_factory=list,
        metadata={"help": "Causal LMs: answers to the prompt, ANSWER or LABEL=ANSWER; the likeliest is the label."},
    )
    masked_lm: str | None = field(
        default=None,
        metadata={"help": "Masked language model, whose words masked_lm and bert_attack put in."},
    )
    wordnet_dir: str | None = field(
        default=None,
        metadata={"help": "Folder of the WordNet database (index.noun, …): synonyms for wordnet, parts of speech."},
    )
    word_vectors: str | None = field(
        default=None,
        metadata={"help": "Text file of word vectors, as counter-fitted ones, for textfooler, a2t and hotflip."},
    )
    similarity_model: str | None = field(
        default=None,
        metadata={"help": "Encoder that keeps changed texts similar to the original; default: none."},
    )
    min_similarity: float | None = field(
        default=None,
        metadata={"help": "Least cosine similarity of a changed text by the similarity_model; default: 0.8."},
    )
    max_changed_words: float | None = field(
        default=None,
        metadata={
            "help": "Attacks on texts: share of the words changed at most, one at least; default: the attack's own."
        },
    )
    max_queries: int | None = field(
        default=None,
        metadata={"help": "Attacks on texts: how often a model may be asked about a row; default: any number."},
    )
    seed: int = field(default=0, metadata={"help": "Seed of the changes."})

    def __post_init__(self) -> None:
        one_for_a_list(self)
        _ = self.asked_answers
        require_one_or_more(self, "max_queries")
        require_seeds(self, "seed")
        if self.max_changed_words is not None and not 0 < self.max_changed_words <= 1:
            raise InputError(f"max_changed_words must lie in (0, 1], not {self.max_changed_words}.")
        if self.min_similarity is None:
            return
        if self.similarity_model is None:
            raise InputError("min_similarity needs an encoder to measure it by: name one with --similarity_model.")
        if not -1 <= self.min_similarity <= 1:
            raise InputError(f"min_similarity must lie in [-1, 1], not {self.min_similarity}.")

    def check_resources(
        self, attacks: Sequence[TextAttack], named: Sequence[str] = (), measured: Collection[str] = ()
    ) -> None:
        """Checks that these attacks have what they need, and that all that is given is for one of them.

        All attacks that are asked for are called ``named``, where there are others than these; settings that
        something else is ``measured`` by are not idle. An encoder bounds every attack on texts. Raises `InputError`.
        """
        # Some stages have settings for changes that no attack searches among.
        named_by = {need: name for need, name in NAMED_BY.items() if name is None or hasattr(self, name)}
        given: set[Need] = {need for need, name in named_by.items() if name is None or getattr(self, name) is not None}
        for attack in attacks:
            attack.check_needs(given)
        has_effect = {NAMED_BY[need] for attack in attacks for need in attack.needs | attack.uses} | set(measured)
        if attacks:
            has_effect.add("similarity_model")
        of = ", ".join(named or [attack.name for attack in attacks]) or "an evaluation without attacks"
        for name in (*dict.fromkeys(filter(None, named_by.values())), "similarity_model"):
            if getattr(self, name) is not None and name not in has_effect:
                raise InputError(f"{name} {getattr(self, name)} has no effect on {of}: leave it out.")

    @property
    def asked_answers(self) -> AskedAnswers | None:
        """Answers that a causal language model chooses between; None where it is not asked to."""
        return AskedAnswers.of(self.prompt, self.answers)

    @property
    def least_similarity(self) -> float:
        """Least cosine similarity of a changed text to the original: ``min_similarity``, or its default."""
        return MIN_SIMILARITY if self.min_similarity is None else self.min_similarity

    @property
    def bounds(self) -> frozenset[Bound]:
        """Bounds on the meaning of changed texts: word vectors, and an encoder unless its bound was lowered."""
        found: set[Bound] = set() if self.word_vectors is None else {"word_vectors"}
        if self.similarity_model is not None and self.least_similarity >= MIN_SIMILARITY:
            found.add("similarity")
        return frozenset(found)

    def search_settings(
        self, attacked_texts: tuple[int, ...], unknown_word: str | None, similarity: Similarity | None
    ) -> SearchSettings:
        """Settings of an attack's search by these arguments.

        ``attacked_texts`` are the indices of the texts that may be changed; ``unknown_word`` is that of the victim's
        tokenizer, None where it has none; ``similarity`` is the loaded ``similarity_model``.
        """
        return SearchSettings(
            unknown_word=unknown_word or UNKNOWN_WORD,
            attacked_texts=attacked_texts,
            max_changed_words=self.max_changed_words,
            max_queries=self.max_queries,
            similarity=similarity,
            min_similarity=self.least_similarity,
            seed=self.seed,
        )


@dataclass(kw_only=True)
class EvaluateArguments(TextAttackArguments):
    """Settings of an evaluation: fine-tuned models, and suites to measure them on, clean and under attack."""

    model_name_or_path: list[str] = field(
        metadata={"help": "Fine-tuned checkpoints, each a folder, a model id or NAME=PATH; the first is the baseline."}
    )
    suites: list[str] = field(
        default_factory=list,
        metadata={
            "help": "What to measure on: NAME (from the hub, or in data_dir) or NAME=PATH; alum suites lists them."
        },
    )
    attacks: list[str] = field(
        default_factory=lambda: ["typing", "pgd"],
        metadata={
            "help": f"none, or some of typing (errors), misspellings (from a list), pgd (on the embeddings), "
            f"{', '.join(TEXT_ATTACKS)}."
        },
    )
    masked_lm: str | None = field(
        default=None,
        metadata={
            "help": "Masked language model: words for masked_lm and bert_attack, and how well changed words fit."
        },
    )
    similarity_model: str | None = field(
        default=None,
        metadata={
            "help": "Encoder that keeps changed texts similar to the original, and says how much; default: none."
        },
    )
    output_dir: str | None = field(
        default=None,
        metadata={"help": "Folder for results.json, report.html and a record of each row; none: no files."},
    )
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Write to a folder that holds something; the old one is moved aside."}
    )
    data_dir: str | None = field(
        default=None, metadata={"help": "Folder with a folder or file of each suite's name; of one suite, its own."}
    )
    validation_file: str | None = field(
        default=None, metadata={"help": "Rows of your own: JSON lines, CSV or Parquet. Say what its columns mean."}
    )
    kind: str | None = field(
        default=None, metadata={"help": "Kind of a task of one's own: sentence_classification, pair_classification, …"}
    )
    text_columns: str | None = field(
        default=None, metadata={"help": "Column of the text, or two with a comma for pairs; default: the suite's."}
    )
    label_column: str | None = field(default=None, metadata={"help": "Column of the label; default: the suite's."})
    choice_columns: str | None = field(
        default=None, metadata={"help": "Multiple choice: the columns of the choices with commas, or one of lists."}
    )
    group_column: str | None = field(
        default=None, metadata={"help": "Column by whose values rows are also scored apart; default: the suite's."}
    )
    cluster_column: str | None = field(
        default=None,
        metadata={
            "help": "Column whose values rows share that are drawn together, as the two of a counterfactual pair; "
            "default: the suite's."
        },
    )
    max_seq_length: int | None = field(
        default=None,
        metadata={"help": "Longest input in tokens; default: the suite's, or the model's if that is less."},
    )
    max_eval_samples: int | None = field(
        default=None, metadata={"help": "Measure on so many rows of each suite, drawn with the seed."}
    )
    max_attacked_samples: int | None = field(
        default=None, metadata={"help": "Attack only so many of them: attacks take far longer than clean scores."}
    )
    attacked_suites: list[str] = field(
        default_factory=list, metadata={"help": "Attack the rows of these suites only; default: of all."}
    )
    per_device_eval_batch_size: int = field(default=64, metadata={"help": "Rows in a batch."})
    typing_error_rate: float = field(default=0.05, metadata={"help": "typing: share of the letters that are mistyped."})
    misspellings: str | None = field(
        default=None,
        metadata={"help": "misspellings: file of them, a word and its misspellings a line, or misspelling->word."},
    )
    misspelled_word_share: float = field(
        default=0.2,
        metadata={
            "help": "misspellings: share of the words that are looked up; more until one of a text is misspelled."
        },
    )
    epsilons: list[float] = field(
        default_factory=lambda: [0.01, 0.03, 0.1, 0.3],
        metadata={"help": "pgd: radii, relative to the mean length of a text's embeddings."},
    )
    num_steps: int = field(default=10, metadata={"help": "pgd: steps of each start."})
    num_restarts: int = field(default=1, metadata={"help": "pgd: starts, the further ones random."})
    check_gradient_masking: bool = field(
        default=True, metadata={"help": "pgd: check that the model's gradients do not lead the attack nowhere."}
    )
    adversarial_gain: bool = field(
        default=False, metadata={"help": "Also measure the adversarial gain of each method's perturbation."}
    )
    tolerance: float = field(
        default=0.5, metadata={"help": "Regression: an answer that is further off than this is wrong."}
    )
    num_examples: int = field(default=20, metadata={"help": "Attacked texts in the report, for each model and attack."})
    seed: int = field(default=0, metadata={"help": "Seed of samples, noise and attacks."})

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_or_more(
            self,
            "max_seq_length",
            "max_eval_samples",
            "max_attacked_samples",
            "per_device_eval_batch_size",
            "num_steps",
            "num_restarts",
        )
        if not 0 <= self.typing_error_rate <= 1:
            raise InputError(f"typing_error_rate must lie in [0, 1], not {self.typing_error_rate}.")
        if not 0 < self.misspelled_word_share <= 1:
            raise InputError(f"misspelled_word_share must lie in (0, 1], not {self.misspelled_word_share}.")
        for epsilon in self.epsilons:
            if not 0 < epsilon < math.inf:
                raise InputError(f"epsilons must be above 0 and finite, not {epsilon}.")
        if not self.tolerance >= 0 or self.num_examples < 0:
            raise InputError(
                f"tolerance and num_examples must be 0 or more, not {self.tolerance} and {self.num_examples}."
            )


@dataclass
class AttackArguments(TextAttackArguments):
    """Settings of the attack on a single text or pair: the fine-tuned classifier, the text and the attack."""

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
    max_queries: int = field(
        default=5000, kw_only=True, metadata={"help": "How many texts the model may be asked about."}
    )
    max_seq_length: int | None = field(
        default=None, metadata={"help": "Longest input in tokens; default: 512, or the model's if that is less."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_one_or_more(self, "max_seq_length")
        self.check_resources([text_attack_named(self.attack)])
