"""Checks that a tokenizer and a model belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alum.core.errors import InputError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

# They count positions from pad_token_id + 1 on, and take them from the tokens that are not padding.
OFFSET_POSITIONS = frozenset(
    {
        "camembert",
        "data2vec-text",
        "ibert",
        "longformer",
        "luke",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)


def _of_text(model_config: PretrainedConfig) -> PretrainedConfig:
    """Configuration of the part of a model that reads text; the model's own where it names what is none."""
    found = model_config.get_text_config()
    return found if hasattr(found, "model_type") else model_config


def num_embeddings_needed(tokenizer: PreTrainedTokenizerBase) -> int:
    """Number of embeddings that a tokenizer needs: its highest id + 1, more than it has pieces if ids have gaps."""
    return max(tokenizer.get_vocab().values()) + 1


def check_tokenizer_fits(tokenizer: PreTrainedTokenizerBase, model_config: PretrainedConfig) -> None:
    """Raises `InputError` where an id of the tokenizer has no embedding, or padding would count as positions."""
    config = _of_text(model_config)
    num_embeddings = getattr(config, "vocab_size", None)  # CANINE hashes characters and has none
    if num_embeddings is not None and num_embeddings_needed(tokenizer) > num_embeddings:
        vocabulary = tokenizer.get_vocab()
        last = max(vocabulary, key=vocabulary.__getitem__)
        raise InputError(
            f"the tokenizer has {len(tokenizer)} pieces, but the model only {num_embeddings} embeddings: "
            f"there is none for {last!r}, number {vocabulary[last]}. Give the model's own tokenizer."
        )
    if config.model_type in OFFSET_POSITIONS and tokenizer.pad_token_id != config.pad_token_id:
        raise InputError(
            f"the tokenizer pads with id {tokenizer.pad_token_id}, but the model counts positions from its padding id "
            f"{config.pad_token_id} on: they do not belong together. Give the model's own tokenizer."
        )


def check_padding(model_config: PretrainedConfig, name: str) -> None:
    """Raises `InputError` for a configuration whose padding token has no embedding, or lacks one that it needs."""
    config = _of_text(model_config)
    padding, num_embeddings = getattr(config, "pad_token_id", None), getattr(config, "vocab_size", None)
    if padding is None and config.model_type in OFFSET_POSITIONS:
        raise InputError(
            f"{name} names no pad_token_id in its config.json, and {config.model_type} counts positions from it on: "
            "write the id of the tokenizer's padding token there."
        )
    if isinstance(padding, int) and isinstance(num_embeddings, int) and padding >= num_embeddings:
        raise InputError(
            f"{name} names {padding} as its pad_token_id in config.json, but has only {num_embeddings} embeddings: "
            "write the id of the tokenizer's padding token there."
        )


def take_padding_of(tokenizer: PreTrainedTokenizerBase, model_config: PretrainedConfig) -> bool:
    """Gives a tokenizer without a padding token the model's, else the end-of-sequence token; whether it took one."""
    if tokenizer.pad_token_id is not None:
        return False
    padding = _of_text(model_config).pad_token_id
    if padding is None or not 0 <= padding < num_embeddings_needed(tokenizer):
        padding = tokenizer.eos_token_id
    if padding is None:
        return False
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(padding)
    return True


def require_padding(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises `InputError` for a tokenizer without a padding token."""
    if tokenizer.pad_token_id is None:
        raise InputError(
            "the tokenizer has neither a padding nor an end-of-sequence token, so that texts of several lengths make "
            "no batch: name one as pad_token in its tokenizer_config.json."
        )
