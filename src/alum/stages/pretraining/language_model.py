"""Language models to pre-train, with tokenizers: new ones, or checkpoints, which may lack the head."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from alum.core.errors import InputError
from alum.core.pretraining import Objective
from alum.data.pretraining.tokenizer import train_tokenizer
from alum.models.checkpoint import Checkpoint, name_causal_loss
from alum.models.from_scratch import config_from_scratch, num_blocks_of, objective_of, tokenizer_kind_of
from alum.models.loading.language_objectives import objectives_of
from alum.models.model_parts import check_block_number, check_layer
from alum.models.tokenization import Tokenization
from alum.models.tokenizer_fit import check_tokenizer_fits
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig


@dataclass(frozen=True)
class LanguageModel:
    """Language model with its tokenizer and the objective that it is trained with.

    ``new_weights`` are the parameters, by name, that a checkpoint did not hold.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    objective: Objective
    new_weights: frozenset[str] = frozenset()


def build_tokenizer(
    arguments: PretrainArguments, checkpoint: Checkpoint | None, texts: Iterable[str]
) -> PreTrainedTokenizerBase:
    """Loads the tokenizer that is named or the checkpoint's, or trains a new one on ``texts``."""
    if arguments.tokenizer_name:
        return arguments.checkpoint(arguments.tokenizer_name).tokenizer
    if checkpoint is not None:
        return checkpoint.tokenizer
    kind = arguments.tokenizer_type or tokenizer_kind_of(arguments.architecture)
    objective = arguments.objective or objective_of(arguments.architecture)
    return train_tokenizer(texts, kind, objective, arguments.vocab_size, arguments.length_tokens)


def objective_for(arguments: PretrainArguments, checkpoint: Checkpoint | None) -> Objective:
    """Pre-training objective of the model, the checkpoint's or a new one of the ``architecture``.

    Raises `InputError` where the model cannot be trained with the objective that was asked for.
    """
    if checkpoint is None:
        natural = objective_of(arguments.architecture)
        if arguments.objective not in (None, natural):
            raise InputError(f"{arguments.architecture} has the objective {natural}, not {arguments.objective}.")
        return natural
    config = checkpoint.config
    can = objectives_of(config)
    if not can:
        raise InputError(
            f"{checkpoint.name_or_path} ({config.model_type}) cannot be pre-trained here: expected an encoder "
            "such as BERT or a decoder such as GPT-2."
        )
    if arguments.objective is not None and arguments.objective not in can:
        raise InputError(
            f"{checkpoint.name_or_path} ({config.model_type}) can be trained with objective {' or '.join(can)}, not "
            f"{arguments.objective}."
        )
    return arguments.objective or can[0]


def check_adversary_fits(arguments: PretrainArguments, checkpoint: Checkpoint | None, config: PretrainConfig) -> None:
    """Checks that the model has the block that is to be perturbed; raises `InputError` where it has not."""
    method = config.method()
    if method.alpha == 0:
        return
    if checkpoint is not None:
        check_layer(method.layer, checkpoint.config, checkpoint.name_or_path)
        return
    for block in method.blocks:
        check_block_number(block, num_blocks_of(arguments.architecture), arguments.architecture)


def build_model(
    arguments: PretrainArguments,
    checkpoint: Checkpoint | None,
    objective: Objective,
    tokenizer: PreTrainedTokenizerBase,
) -> LanguageModel:
    """Makes the model, new or from the checkpoint; raises `InputError` where tokenizer or weights do not fit."""
    auto_class: Any = AutoModelForMaskedLM if objective == "masked_lm" else AutoModelForCausalLM
    length = arguments.length_tokens
    if checkpoint is None:
        model = auto_class.from_config(config_from_scratch(arguments.architecture, Tokenization(tokenizer, length)))
        if objective == "causal_lm":
            name_causal_loss(model)
        return LanguageModel(model, tokenizer, objective)
    checkpoint.input_length_tokens(length, length)  # raises where the model is shorter
    model, new_weights = checkpoint.model_and_new_weights(auto_class)
    check_tokenizer_fits(tokenizer, model.config)
    trainable = {parameter for parameter, _ in model.named_parameters()}
    return LanguageModel(model, tokenizer, objective, frozenset(new_weights & trainable))
