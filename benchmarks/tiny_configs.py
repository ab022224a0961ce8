"""Configurations of models small enough for a page of hundreds of trainings, without dropout."""

from typing import Any

from transformers import BertConfig, GPT2Config


def tiny_bert(vocab_size: int, num_layers: int, **settings: Any) -> BertConfig:
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=num_layers,
        num_attention_heads=2,
        max_position_embeddings=16,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **settings,
    )


def tiny_gpt2(vocab_size: int, num_layers: int, **settings: Any) -> GPT2Config:
    return GPT2Config(
        vocab_size=vocab_size,
        n_embd=32,
        n_layer=num_layers,
        n_head=2,
        n_positions=16,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        **settings,
    )
