"""Settings of the stage that says what a run will take."""

from dataclasses import dataclass, field

from alum.core.errors import InputError, unknown_name
from alum.core.methods import METHODS
from alum.stages.plan.devices import DEVICES, Precision, Strategy
from alum.stages.runs.settings import CheckpointArguments, one_for_a_list, require_one_or_more, require_vocab_size

_LENGTH_TOKENS = 128


@dataclass(kw_only=True)
class PlanArguments(CheckpointArguments):
    """Settings of `plan`: a model, a batch, how much is read, and on what."""

    model_name_or_path: str | None = field(
        default=None,
        metadata={"help": "Checkpoint whose configuration is planned for: a folder or a model id. Or an architecture."},
    )
    architecture: str | None = field(
        default=None, metadata={"help": "Model from scratch instead, as alum pretrain names it: bert-base."}
    )
    vocab_size: int | None = field(
        default=None, metadata={"help": "Size of an architecture's vocabulary; default: as it was published."}
    )
    head: str | None = field(
        default=None,
        metadata={"help": "masked_lm, causal_lm or sequence_classification; default: the architecture's objective."},
    )
    methods: list[str] = field(
        default_factory=lambda: ["standard", "alum_one_pass", "alum_virtual", "alum"],
        metadata={"help": "Training methods to plan for, in the order of the table."},
    )
    num_steps: int | None = field(
        default=None, metadata={"help": "Steps of ascent, of methods that may have more than one; default: their own."}
    )
    max_seq_length: int | None = field(
        default=None, metadata={"help": "Tokens of a row; default: 128, or the model's if that is less."}
    )
    per_device_train_batch_size: int = field(default=32, metadata={"help": "Rows in a batch, on each device."})
    gradient_accumulation_steps: int = field(default=1, metadata={"help": "Batches whose gradients make one step."})
    num_tokens: float | None = field(
        default=None, metadata={"help": "Tokens that are read in all, such as 13e9; default: time and cost of a step."}
    )
    adversarial_share: float = field(
        default=1.0, metadata={"help": "Share of the steps that have the adversary: 0.5 where it begins half way."}
    )
    device: str = field(default="h100", metadata={"help": f"Accelerator: {', '.join(DEVICES)}."})
    num_devices: int = field(default=1, metadata={"help": "Number of devices, each with batches of its own."})
    strategy: Strategy = field(
        default="ddp",
        metadata={"help": "What each of several devices holds of weights, gradients and the optimizer's state."},
    )
    precision: Precision = field(default="bf16", metadata={"help": "Precision of passes; weights are fp32."})
    activation_checkpointing: bool = field(
        default=False, metadata={"help": "Blocks keep what they are given alone, and run again in backward passes."}
    )
    utilisation: float = field(
        default=0.4, metadata={"help": "Share of the device's operations per second that training reaches."}
    )
    output_file: str | None = field(default=None, metadata={"help": "JSON file for the plan; none: no file."})

    @property
    def length_tokens(self) -> int:
        """Tokens of a row: ``max_seq_length``, or its default."""
        return _LENGTH_TOKENS if self.max_seq_length is None else self.max_seq_length

    def __post_init__(self) -> None:
        one_for_a_list(self)
        require_one_or_more(
            self,
            "vocab_size",
            "max_seq_length",
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "num_tokens",
            "num_devices",
        )
        require_vocab_size(self.vocab_size)
        if (self.model_name_or_path is None) == (self.architecture is None):
            raise InputError("expected a model to plan for: give --model_name_or_path or --architecture, one of them.")
        if self.architecture is None and self.vocab_size is not None:
            raise InputError("vocab_size is for an architecture, and a checkpoint has its own: leave one of them out.")
        for name in self.methods:
            if name not in METHODS:
                raise unknown_name("method", name, METHODS)
        if self.num_devices > 1 and self.strategy != "ddp":
            self._refuse_methods_that_do_not_spread()
        if not self.methods:
            raise InputError("expected one or more methods: give --methods standard alum, say.")
        if self.device not in DEVICES:
            raise unknown_name("device", self.device, DEVICES)
        for name in ("utilisation", "adversarial_share"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(f"{name} must lie in (0, 1], not {getattr(self, name)}.")

    def _refuse_methods_that_do_not_spread(self) -> None:
        """As training does (`alum.training.combinations`)."""
        for method in map(METHODS.get, self.methods):
            assert method is not None, "names were looked up"
            back_propagates_twice = self.strategy == "zero3" and method.has_one_graph
            if back_propagates_twice or method.has_proximal_term:
                raise InputError(
                    f"method {method.name!r} does not train with strategy {self.strategy!r}: leave it out of methods, "
                    "or choose 'ddp'" + ("." if method.has_proximal_term else ", 'zero2' or 'fsdp'.")
                )
