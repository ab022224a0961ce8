"""Checkpoints and tokenizers from the hub or a local folder, with errors that a user can act on."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from alum.core.errors import InputError
from alum.models.tokenizer_fit import OFFSET_POSITIONS


def load_tokenizer(name_or_path: str, trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """The tokenizer of a model id or folder; raises `InputError` where there is none."""
    _check_folder(name_or_path, "config.json", "tokenizer_config.json")
    try:
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise _not_loaded("tokenizer", name_or_path, error) from None
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # transformers makes an empty one where the files are missing
        raise InputError(
            f"{name_or_path} holds no tokenizer: expected tokenizer.json or the files of a vocabulary. Name one with "
            "--tokenizer_name, or save it beside the model."
        )
    return tokenizer


def load_config(name_or_path: str, trust_remote_code: bool = False) -> PretrainedConfig:
    """The configuration of an id or folder; raises `InputError` where there is none."""
    _check_folder(name_or_path)
    try:
        config = AutoConfig.from_pretrained(name_or_path, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise _not_loaded("model", name_or_path, error) from None
    assert isinstance(config, PretrainedConfig)
    return config


def load_model(auto_class: Any, name_or_path: str, trust_remote_code: bool = False, **config: Any) -> PreTrainedModel:
    """The model of an id or folder with the head of ``auto_class``, a new one if need be, from safetensors only.

    Pickled weights can run code when they are loaded, so they are refused. Raises `InputError` where nothing can be
    loaded.
    """
    return load_model_and_new_weights(auto_class, name_or_path, trust_remote_code, **config)[0]


def load_trained_model(auto_class: Any, name_or_path: str, trust_remote_code: bool = False) -> PreTrainedModel:
    """As `load_model`, but raises `InputError` where the head has not been trained."""
    model, new_weights = load_model_and_new_weights(auto_class, name_or_path, trust_remote_code)
    if new_weights:
        raise InputError(
            f"{name_or_path} has not been fine-tuned: it lacks {', '.join(sorted(new_weights))}. "
            "Give a model that alum finetune has made, or one of the same kind."
        )
    return model


def load_model_and_new_weights(
    auto_class: Any, name_or_path: str, trust_remote_code: bool = False, **config: Any
) -> tuple[PreTrainedModel, set[str]]:
    """As `load_model`, with the names of the weights that the checkpoint does not hold."""
    _check_folder(name_or_path)
    # Its report of new and unused weights is long, and a new head is what fine-tuning asks for.
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        model, report = auto_class.from_pretrained(
            name_or_path,
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
            output_loading_info=True,
            **config,
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise _not_loaded("model", name_or_path, error) from None
    finally:
        logging.set_verbosity(verbosity)
    assert isinstance(model, PreTrainedModel)
    if auto_class is AutoModelForCausalLM:
        name_causal_loss(model)
    return model, set(report["missing_keys"])


def name_causal_loss(model: PreTrainedModel) -> None:
    """Says which loss a causal model has where its class is called ``…LMHeadModel`` and transformers cannot tell.

    It takes this one then, too, but with a warning that leaves users in doubt.
    """
    if getattr(model, "loss_type", None) is None:
        model.loss_type = "ForCausalLM"


def input_length_tokens(name_or_path: str, asked: int | None, default: int, trust_remote_code: bool = False) -> int:
    """The longest input for a model: what was asked for, else ``default`` or the model's positions if those are fewer.

    Raises `InputError` where more is asked for than the model has.
    """
    config = load_config(name_or_path, trust_remote_code)
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if positions is not None and getattr(config, "model_type", "") in OFFSET_POSITIONS:
        positions -= config.pad_token_id + 1
    if positions is None:
        return asked or default
    if asked is not None and asked > positions:
        raise InputError(f"max_seq_length {asked} is more than the {positions} positions of {name_or_path}.")
    return asked or min(default, positions)


def _check_folder(name_or_path: str, *one_of: str) -> None:
    path = Path(name_or_path)
    if path.is_dir() and not any((path / name).is_file() for name in one_of or ("config.json",)):
        raise InputError(
            f"{path} holds no model: expected a folder with config.json, model.safetensors and a tokenizer, "
            "as save_pretrained writes it."
        )
    if path.is_file():
        raise InputError(f"{path} is a file: expected a model's folder or the id of a model on the hub.")
    if path.is_absolute() and not path.exists():
        raise InputError(f"no folder at {path}: expected a model's folder or the id of a model on the hub.")


def _not_loaded(what: str, name_or_path: str, error: Exception) -> InputError:
    path = Path(name_or_path)
    if (path / "pytorch_model.bin").is_file() and not (path / "model.safetensors").is_file():
        return InputError(
            f"{path} holds pickled weights, which can run code and are not loaded: save the model again with a current "
            "transformers, whose save_pretrained writes model.safetensors."
        )
    first_line = (str(error).strip() or repr(error)).splitlines()[0]
    nor_here = "" if path.exists() else f" Nor is there a folder of that name in {Path.cwd()}."
    return InputError(f"no {what} can be loaded from {name_or_path}: {first_line}{nor_here}")
