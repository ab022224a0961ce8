"""Plan of a run: FLOPs, memory, time and sizes of files, for each method beside standard training."""

import dataclasses
from dataclasses import asdict, dataclass
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import CONFIG_MAPPING, PretrainedConfig, PreTrainedTokenizerFast

from alum.core.errors import InputError
from alum.core.measures.pass_counts import pass_counts
from alum.core.method_settings import Layers, Method
from alum.core.methods import METHODS
from alum.models.checkpoint import input_length_tokens
from alum.models.from_scratch import config_from_scratch, published_vocab_size_of
from alum.models.loading.block_counts import check_blocks
from alum.models.loading.language_objectives import objectives_of
from alum.models.tokenization import Tokenization
from alum.stages.held_folder import held
from alum.stages.plan.arguments import PlanArguments
from alum.stages.plan.devices import DEVICES
from alum.stages.plan.dry_passes import BatchShape, PassCosts, pass_costs
from alum.stages.plan.memory import ADAM_BYTES, FP32_BYTES, memory_of
from alum.stages.runs.folder import write_json

OF_ANY_MODEL = ("sequence_classification",)
"""Heads that do not depend on what a model was pre-trained for."""


@dataclass(frozen=True)
class MethodPlan:
    """Costs of training with one method; bytes are those of one device, FLOPs and seconds those of a step.

    ``hours`` are for all tokens, of whose steps ``adversarial_share`` have the adversary, None where their number was
    not given. Standard training reads ``in_standard_steps`` times as many tokens at the cost of adversarial steps.
    """

    method: str
    in_standard_steps: float
    step_flops: float
    step_seconds: float
    state_bytes: float
    step_bytes: float
    fits: bool
    hours: float | None


@dataclass(frozen=True)
class PlanResult:
    """Plan of a model on devices: a row for each method, and what does not depend on it."""

    model: str
    head: str
    num_parameters: int
    tokens_per_step: int
    model_bytes: int
    """Size of the model as it is saved, in fp32."""
    checkpoint_bytes: int
    """Size of a checkpoint to go on from: the model and AdamW's state."""
    device: str
    device_bytes: float
    num_devices: int
    methods: tuple[MethodPlan, ...]


def plan(arguments: PlanArguments) -> PlanResult:
    """Works out what a run will take, without weights, data or devices.

    FLOPs are those of matrix products and attention, of full rows, and time follows from them alone: loading data,
    saving and evaluating are not in it. Memory is of AdamW. Raises `InputError` for
    models, heads and settings that cannot be planned for, and for a file that another process writes to.
    """
    with held(arguments.output_file, "name another file"):
        config = _config(arguments)
        length = input_length_tokens(config, _model(arguments), arguments.max_seq_length, arguments.length_tokens)
        arguments = dataclasses.replace(arguments, max_seq_length=length)
        result = _planned_for_all(config, arguments)
        if arguments.output_file is not None:
            file = Path(arguments.output_file)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, {"settings": asdict(arguments), **asdict(result)})
    return result


def _planned_for_all(config: PretrainedConfig, arguments: PlanArguments) -> PlanResult:
    head = _head(arguments, config)
    costs_by_place: dict[Layers, PassCosts] = {}
    rows = []
    for name in arguments.methods:
        method = _method(name, arguments)
        if method.layer not in costs_by_place:
            shape = _shape(arguments, head, method)
            costs_by_place[method.layer] = pass_costs(config, shape)
        rows.append(_planned(method, costs_by_place[method.layer], arguments))
    weights = next(iter(costs_by_place.values())).num_parameters
    return PlanResult(
        model=_model(arguments),
        head=head,
        num_parameters=weights,
        tokens_per_step=_tokens_per_step(arguments),
        model_bytes=FP32_BYTES * weights,
        checkpoint_bytes=(FP32_BYTES + ADAM_BYTES) * weights,
        device=arguments.device,
        device_bytes=DEVICES[arguments.device].memory_bytes,
        num_devices=arguments.num_devices,
        methods=tuple(rows),
    )


def step_flops(method: Method, costs: PassCosts) -> int:
    """FLOPs of a step on one batch. What lies below x is run for passes of their own alone, and differentiated once."""
    counts = pass_counts(method)
    anew = (counts.forward - counts.from_x) * costs.forward_flops + counts.from_x * costs.forward_from_x_flops
    backward = costs.backward_flops + (counts.backward - 1) * costs.backward_to_x_flops
    return anew + backward + counts.to_x * costs.ascent_backward_flops


def _planned(method: Method, costs: PassCosts, arguments: PlanArguments) -> MethodPlan:
    accumulates = arguments.gradient_accumulation_steps > 1
    device = DEVICES[arguments.device]
    memory = memory_of(method, costs, arguments.strategy, arguments.num_devices, accumulates)
    flops = step_flops(method, costs) * arguments.gradient_accumulation_steps
    seconds = flops / (arguments.utilisation * device.flops(arguments.precision))
    standard = step_flops(METHODS["standard"], costs) * arguments.gradient_accumulation_steps
    hours = None
    if arguments.num_tokens is not None:
        share = arguments.adversarial_share
        mean_seconds = seconds * (share + (1 - share) * standard / flops)
        hours = arguments.num_tokens / _tokens_per_step(arguments) * mean_seconds / 3600
    return MethodPlan(
        method=method.name,
        in_standard_steps=flops / standard,
        step_flops=flops,
        step_seconds=seconds,
        state_bytes=memory.state,
        step_bytes=memory.step,
        fits=memory.total <= device.memory_bytes,
        hours=hours,
    )


def _tokens_per_step(arguments: PlanArguments) -> int:
    rows = arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * arguments.num_devices
    return rows * arguments.length_tokens


def _method(name: str, arguments: PlanArguments) -> Method:
    method = METHODS[name]
    if arguments.num_steps is None or method.num_steps == 0 or method.gradient == "task_backward":
        return method
    return dataclasses.replace(method, num_steps=arguments.num_steps)


def _shape(arguments: PlanArguments, head: str, method: Method) -> BatchShape:
    return BatchShape(
        head=head,
        num_rows=arguments.per_device_train_batch_size,
        length_tokens=arguments.length_tokens,
        layer=method.layer,
        precision=arguments.precision,
        fused_attention=True,
        checkpointing=arguments.activation_checkpointing,
    )


def _config(arguments: PlanArguments) -> PretrainedConfig:
    if arguments.model_name_or_path is not None:
        config = arguments.checkpoint(arguments.model_name_or_path).config
        check_blocks(config, arguments.model_name_or_path)
    else:
        assert arguments.architecture is not None, "arguments have one of both"
        num_words = arguments.vocab_size or published_vocab_size_of(arguments.architecture)
        words = {f"{number}": number for number in range(num_words)}
        marks = dict.fromkeys(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), "0")
        stand_in = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(words, unk_token="0")), **marks)
        config = config_from_scratch(arguments.architecture, Tokenization(stand_in, arguments.length_tokens))
    if config.model_type not in CONFIG_MAPPING:
        raise InputError(
            f"{_model(arguments)} comes with code of its own, which is not run to plan: plan for an architecture of "
            "transformers of the same shape."
        )
    return config


def _model(arguments: PlanArguments) -> str:
    return str(arguments.model_name_or_path or arguments.architecture)


def _head(arguments: PlanArguments, config: PretrainedConfig) -> str:
    heads = (*objectives_of(config), *OF_ANY_MODEL)
    if arguments.head is not None and arguments.head not in heads:
        raise InputError(f"a {config.model_type} has no head {arguments.head!r}: choose {' or '.join(heads)}.")
    return arguments.head or heads[0]
