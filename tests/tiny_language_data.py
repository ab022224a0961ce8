"""A few sentences, and a tokenizer and a causal model that know their words."""

from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from alum.data.pretraining.tokenizer import train_byte_level_bpe
from tiny_models import language_model

SENTENCES = [
    "the cat sits by the river",
    "a dog barks",
    "the teacher reads a long letter in the garden",
    "it rains",
    "an animal rests",
    "it sleeps in the long grass",
    "someone reads",
    "the sun shines",
]
ANSWERS = [f" {text}" for text in reversed(SENTENCES)]


def causal_tokenizer() -> PreTrainedTokenizerFast:
    return train_byte_level_bpe(SENTENCES * 3, 330, 64, "causal_lm")


def causal_model(architecture: str = "llama", dropout: float = 0.0, **settings: Any) -> PreTrainedModel:
    return language_model(architecture, dropout, vocab_size=len(causal_tokenizer()), **settings)
