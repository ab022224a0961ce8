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


def num_embeddings_needed(tokenizer: PreTrainedTokenizerBase) -> int:
    """Number of embeddings that a tokenizer needs: its highest id + 1, more than it has pieces if ids have gaps."""
    return max(tokenizer.get_vocab().values()) + 1


def check_tokenizer_fits(tokenizer: PreTrainedTokenizerBase, model_config: PretrainedConfig) -> None:
    """Raises `InputError` where an id of the tokenizer has no embedding, or padding would count as positions."""
    config = model_config.get_text_config()
    if num_embeddings_needed(tokenizer) > config.vocab_size:
        vocabulary = tokenizer.get_vocab()
        last = max(vocabulary, key=vocabulary.__getitem__)
        raise InputError(
            f"the tokenizer has {len(tokenizer)} pieces, but the model only {config.vocab_size} embeddings: "
            f"there is none for {last!r}, number {vocabulary[last]}. Give the model's own tokenizer."
        )
    if config.model_type in OFFSET_POSITIONS and tokenizer.pad_token_id != config.pad_token_id:
        raise InputError(
            f"the tokenizer pads with id {tokenizer.pad_token_id}, but the model counts positions from its padding id "
            f"{config.pad_token_id} on: they do not belong together. Give the model's own tokenizer."
        )
