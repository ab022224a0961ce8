"""Pre-training objectives that a model's architecture allows: what it predicts must not be what it sees."""

from transformers import CONFIG_MAPPING, PretrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from alum.core.pretraining import Objective

SEEING_THE_NEXT = ("bert-generation", "xlnet")  # listed as causal models, they are not unless they are decoders


def objectives_of(config: PretrainedConfig) -> tuple[Objective, ...]:
    """Pre-training objectives that a model of this configuration can be trained with, none where it has no such head.

    >>> from transformers import BertConfig, GPT2Config
    >>> objectives_of(BertConfig()), objectives_of(BertConfig(is_decoder=True)), objectives_of(GPT2Config())
    (('masked_lm',), ('causal_lm',), ('causal_lm',))
    """
    is_decoder = getattr(config, "is_decoder", False)
    if config.is_encoder_decoder or (config.model_type in SEEING_THE_NEXT and not is_decoder):
        return ()
    # A type that transformers does not know comes with code of its own, and says for which heads it has some.
    own_heads = {} if config.model_type in CONFIG_MAPPING else getattr(config, "auto_map", {})
    predicts_masked = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES or "AutoModelForMaskedLM" in own_heads
    if predicts_masked and not is_decoder:  # predicting the next token would see it
        return ("masked_lm",)
    predicts_next = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or "AutoModelForCausalLM" in own_heads
    return ("causal_lm",) if predicts_next else ()
