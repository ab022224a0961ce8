"""Random models of every architecture, small enough for unit tests, and batches for them."""

import functools
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import (
    AlbertConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BartConfig,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    GPT2Config,
    LlamaConfig,
    ModernBertConfig,
    MPNetConfig,
    PretrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    T5Config,
)

PAD, CLS, SEP, MASK, VOCAB_SIZE = 0, 1, 2, 3, 64

_SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64}
_ENCODER = {**_SHAPE, "intermediate_size": 32}

CONFIGS: dict[str, Callable[..., PretrainedConfig]] = {
    "bert": functools.partial(BertConfig, **_ENCODER),
    "roberta": functools.partial(RobertaConfig, **_ENCODER),
    "distilbert": functools.partial(DistilBertConfig, dim=32, hidden_dim=32, n_layers=2, n_heads=2),
    "albert": functools.partial(AlbertConfig, **_ENCODER, embedding_size=16),
    "electra": functools.partial(ElectraConfig, **_ENCODER, embedding_size=16),
    "deberta-v2": functools.partial(
        DebertaV2Config,
        **_ENCODER,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
        conv_kernel_size=3,
        norm_rel_ebd="layer_norm",
    ),
    "mpnet": functools.partial(MPNetConfig, **_ENCODER),
    "modernbert": functools.partial(ModernBertConfig, **_ENCODER),
    "gpt2": functools.partial(GPT2Config, n_embd=32, n_layer=2, n_head=2, n_positions=64),
    "llama": functools.partial(LlamaConfig, **_ENCODER, num_key_value_heads=2),
    "t5": functools.partial(T5Config, d_model=32, d_kv=16, d_ff=32, num_layers=2, num_heads=2),
    "bart": functools.partial(
        BartConfig,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=64,
    ),
}
ARCHITECTURES = tuple(CONFIGS)
CAUSAL = ("gpt2", "llama")
LANGUAGE_MODELS = tuple(name for name in ARCHITECTURES if name not in ("t5", "bart"))


def config_of(architecture: str, dropout: float = 0.1, **settings: Any) -> PretrainedConfig:
    """Every kind of dropout that the architecture has is set to ``dropout``, except that of whole layers."""
    special = {"pad_token_id": PAD, "bos_token_id": CLS, "eos_token_id": SEP}
    if architecture == "modernbert":
        special |= {"cls_token_id": CLS, "sep_token_id": SEP}
    if architecture in ("t5", "bart"):
        special["decoder_start_token_id"] = PAD
    config = CONFIGS[architecture](**{"vocab_size": VOCAB_SIZE, **special, **settings})
    for name, value in config.to_dict().items():
        if "drop" in name and "layerdrop" not in name and (isinstance(value, float) or value is None):
            setattr(config, name, dropout)
    return config


def classifier(architecture: str = "bert", dropout: float = 0.1, seed: int = 0, **settings: Any) -> PreTrainedModel:
    return _built(AutoModelForSequenceClassification, config_of(architecture, dropout, **settings), seed)


def language_model(architecture: str = "bert", dropout: float = 0.1, seed: int = 0, **settings: Any) -> PreTrainedModel:
    """With a masked language modelling head, or a causal one for a decoder."""
    auto_class = AutoModelForCausalLM if architecture in CAUSAL else AutoModelForMaskedLM
    return _built(auto_class, config_of(architecture, dropout, **settings), seed)


def headed(auto_class: Any, architecture: str = "bert", dropout: float = 0.1, **settings: Any) -> PreTrainedModel:
    """With the head of one of transformers' auto classes."""
    return _built(auto_class, config_of(architecture, dropout, **settings), seed=0)


def token_batch(
    lengths: tuple[int, ...] = (9, 6), padding: Literal["left", "right"] = "right", seed: int = 0
) -> dict[str, Tensor]:
    """[CLS] words [SEP] in random words, padded to the longest."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.full((len(lengths), max(lengths)), PAD)
    attention_mask = torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        here = slice(0, length) if padding == "right" else slice(max(lengths) - length, None)
        words = torch.randint(MASK + 1, VOCAB_SIZE, (length - 2,), generator=generator)
        ids[row, here] = torch.cat((torch.tensor([CLS]), words, torch.tensor([SEP])))
        attention_mask[row, here] = 1
    return {"input_ids": ids, "attention_mask": attention_mask}


def _built(auto_class: Any, config: PretrainedConfig, seed: int) -> PreTrainedModel:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: PreTrainedModel = auto_class.from_config(config)
        # Larger than the usual 0.02, which in so small a model leaves hardly any gradient.
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()
