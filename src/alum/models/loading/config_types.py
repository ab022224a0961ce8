"""Values of a ``config.json`` that are of another type than every model takes them to be."""

import torch
from transformers import PretrainedConfig

from alum.core.errors import InputError


def check_types(config: PretrainedConfig, name_or_path: str) -> None:
    """Raises `InputError` for a dtype that is none, and a part for texts that is no configuration.

    transformers passes both on as they are read, to fail far from here.
    """
    if not isinstance(config.get_text_config(), PretrainedConfig):
        raise InputError(
            f"the config.json of {name_or_path} has a part for texts (text_config, say) that a {config.model_type} "
            "does not have: remove it."
        )
    if not isinstance(config.dtype, torch.dtype | None):
        raise InputError(
            f"the config.json of {name_or_path} names {config.dtype!r} as its dtype: expected 'float32', 'bfloat16' or "
            "'float16'."
        )
