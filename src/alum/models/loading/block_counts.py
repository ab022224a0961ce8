"""Refusal of configurations whose number of blocks is none that a model has, before one is built."""

from transformers import PretrainedConfig

from alum.core.errors import InputError

MOST_BLOCKS = 10_000
"""More than any model has; a number far beyond would be built without end, until memory is out."""
_NAMES = ("num_hidden_layers", "encoder_layers", "decoder_layers", "num_decoder_layers")


def check_blocks(config: PretrainedConfig, name_or_path: str) -> None:
    """Raises `InputError` for a number of blocks below 1 or beyond `MOST_BLOCKS`."""
    for part in (config, config.get_text_config()):
        for name in _NAMES:
            found = getattr(part, name, None)
            if isinstance(found, int) and not 1 <= found <= MOST_BLOCKS:
                raise InputError(
                    f"{name_or_path} has {found} blocks by its config.json ({name}): expected 1 to {MOST_BLOCKS:,}. "
                    "Give the configuration that its weights were saved with."
                )
