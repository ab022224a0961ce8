"""Small random models of any architecture that ``transformers`` knows."""

from typing import Any

import torch
from torch import Tensor
from transformers import (
    CONFIG_MAPPING,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)

NUM_ROWS, NUM_TOKENS = 3, 8
_VOCABULARY = 64
_MOST_PARAMETERS = 5_000_000

# By the names that configurations have for them.
_WIDTH = ("hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embedding_size", "word_embed_proj_dim", "d_embed")
_INNER = (
    "intermediate_size", "ffn_dim", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim", "n_inner", "hidden_dim", "d_inner",
    "moe_intermediate_size", "shared_expert_intermediate_size", "ffn_hidden_size", "dff", "true_hidden_size",
    "dense_intermediate_size", "intermediate_size_mlp",
)  # fmt: skip
_TWO = (
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers", "encoder_layers", "decoder_layers",
    "num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads", "decoder_attention_heads",
    "num_key_value_heads", "num_kv_heads", "num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k",
)  # fmt: skip
_FOUR = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "moe_num_shared_experts")
_SIXTEEN = ("head_dim", "d_kv", "kv_lora_rank", "q_lora_rank", "v_head_dim", "qk_nope_head_dim", "sliding_window",
            "mamba_d_state", "state_size", "global_head_dim")  # fmt: skip
_EIGHT = ("qk_rope_head_dim", "mamba_d_head", "mamba_headdim")
_OTHERS: dict[str, Any] = {
    "vocab_size": _VOCABULARY, "max_position_embeddings": 64, "n_positions": 64, "max_seq_len": 64, "n_ctx": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2, "mask_token_id": 3,
    "decoder_start_token_id": 0, "num_labels": 2, "first_k_dense_replace": 0, "n_group": 1, "topk_group": 1,
}  # fmt: skip
_ATTENTION = ["full_attention", "full_attention"]

OWN: dict[str, dict[str, Any]] = {
    "reformer": {"attn_layers": ["local", "lsh"], "axial_pos_embds": False, "num_buckets": 2, "attention_head_size": 16,
                 "feed_forward_size": 32, "local_attn_chunk_length": 4, "lsh_attn_chunk_length": 4},
    "funnel": {"block_sizes": [1, 1], "d_head": 16},
    "mobilebert": {"intra_bottleneck_size": 32, "embedding_size": 32, "true_hidden_size": 32,
                   "num_feedforward_networks": 1},
    "longformer": {"attention_window": [4, 4]},
    "big_bird": {"attention_type": "original_full"},
    "bigbird_pegasus": {"attention_type": "original_full"},
    "convbert": {"conv_kernel_size": 3},
    "squeezebert": {"q_groups": 1, "k_groups": 1, "v_groups": 1, "post_attention_groups": 1, "intermediate_groups": 1,
                    "output_groups": 1, "embedding_size": 32},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "canine": {"num_hash_buckets": 64, "num_hash_functions": 2, "local_transformer_stride": 4, "downsampling_rate": 2},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "openai-gpt": {"pad_token_id": 0},
    "luke": {"entity_vocab_size": 8, "entity_emb_size": 16},
    "mamba": {"conv_kernel": 2},
    "gpt_oss": {"num_local_experts": 4},
    "rwkv": {"attention_hidden_size": 32, "context_length": 64},
    "mpt": {"expansion_ratio": 1},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "max_relative_positions": 8},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "nystromformer": {"segment_means_seq_len": 8, "num_landmarks": 8},
    "gptj": {"rotary_dim": 8},
    "ctrl": {"dff": 32},
    "rembert": {"input_embedding_size": 16, "output_embedding_size": 16},
    "bloom": {"hidden_size": 32},
    "fnet": {"tpu_short_seq_length": 8},
}  # fmt: skip
"""What an architecture needs besides small sizes."""


def small_model(architecture: str) -> PreTrainedModel:
    """A random model of two layers, 32 wide: a classifier where the architecture has one, else a language model."""
    config = _config_of(architecture)
    torch.manual_seed(0)
    with torch.no_grad():
        for auto_class in (
            AutoModelForSequenceClassification, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM,
        ):  # fmt: skip
            if type(config) in auto_class._model_mapping:
                model = auto_class.from_config(config)  # type: ignore[no-untyped-call]
                break
        else:
            raise ValueError("it is for no task with texts")
    assert isinstance(model, PreTrainedModel)
    if model.num_parameters() > _MOST_PARAMETERS:
        raise ValueError(f"its small model has {model.num_parameters():,} parameters")
    model.train()
    return model


def rows_for(model: PreTrainedModel) -> dict[str, Tensor]:
    """Rows of unequal length with labels."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(4, _VOCABULARY, (NUM_ROWS, NUM_TOKENS), generator=generator)
    mask = torch.ones_like(ids)
    mask[0, 6:] = 0
    ids[0, 6:] = 0
    ids[torch.arange(NUM_ROWS), mask.sum(-1) - 1] = _OTHERS["eos_token_id"]  # which some classifiers read from
    labels = torch.where(mask.bool(), ids, -100)
    if type(model).__name__.endswith("ForSequenceClassification"):
        labels = torch.arange(NUM_ROWS) % 2
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _config_of(architecture: str) -> PretrainedConfig:
    of = CONFIG_MAPPING[architecture]
    known = {**of().to_dict(), **dict.fromkeys(getattr(of, "attribute_map", {}))}
    sizes: dict[str, Any] = {
        **dict.fromkeys(_WIDTH, 32), **dict.fromkeys(_INNER, 32), **dict.fromkeys(_TWO, 2), **dict.fromkeys(_FOUR, 4),
        **dict.fromkeys(_SIXTEEN, 16), **dict.fromkeys(_EIGHT, 8), **_OTHERS, "layer_types": _ATTENTION,
    }  # fmt: skip
    always = {name: _OTHERS[name] for name in ("pad_token_id", "bos_token_id", "eos_token_id", "num_labels")}
    settings = {name: value for name, value in sizes.items() if name in known}
    if known.get("is_encoder_decoder"):
        always["decoder_start_token_id"] = 0
    config: PretrainedConfig = of(**{**settings, **always, **OWN.get(architecture, {})})
    return config
