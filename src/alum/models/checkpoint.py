"""Model checkpoints by id or folder: configuration, tokenizer and weights, with errors that a user can act on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
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


@dataclass(frozen=True)
class Checkpoint:
    """Model checkpoint, by id or folder, and whether code that comes with it may run.

    Configuration and tokenizer are read once, and everybody who asks this object gets the same ones.
    """

    name_or_path: str
    trust_remote_code: bool = False

    @cached_property
    def config(self) -> PretrainedConfig:
        """Configuration of the model; raises `InputError` where there is none."""
        _check_folder(self.name_or_path)
        config = self._loaded("model", AutoConfig.from_pretrained)
        assert isinstance(config, PretrainedConfig)
        return config

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the outputs, in their order, as the configuration has them."""
        return label_names_in(self.config)

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Tokenizer of the model; raises `InputError` where there is none."""
        _check_folder(self.name_or_path, "config.json", "tokenizer_config.json")
        tokenizer = self._loaded("tokenizer", AutoTokenizer.from_pretrained)
        assert isinstance(tokenizer, PreTrainedTokenizerBase)
        # transformers makes an empty one where the files are missing
        if len(tokenizer) <= len(tokenizer.all_special_ids):
            raise InputError(
                f"{self.name_or_path} holds no tokenizer: expected tokenizer.json or the files of a vocabulary. Name "
                "one with --tokenizer_name, or save it beside the model."
            )
        return tokenizer

    def model(self, auto_class: Any, **config: Any) -> PreTrainedModel:
        """Loads the model with the head of ``auto_class``, a new one if need be, from safetensors only.

        Pickled weights can run code when they are loaded, so they are refused. Raises `InputError` where nothing can
        be loaded.
        """
        return self.model_and_new_weights(auto_class, **config)[0]

    def trained_model(self, auto_class: Any) -> PreTrainedModel:
        """Loads the model as `model` does, to the GPU where there is one; `InputError` where its head is untrained."""
        model, new_weights = self.model_and_new_weights(auto_class)
        if new_weights:
            raise InputError(
                f"{self.name_or_path} has not been fine-tuned: it lacks {', '.join(sorted(new_weights))}. "
                "Give a model that alum finetune has made, or one of the same kind."
            )
        model.to("cuda" if torch.cuda.is_available() else "cpu")  # type: ignore[arg-type]
        return model

    def model_and_new_weights(self, auto_class: Any, **config: Any) -> tuple[PreTrainedModel, set[str]]:
        """Loads the model as `model` does, and gives the names of the weights that the checkpoint does not hold."""
        _check_folder(self.name_or_path)
        # Its report of new and unused weights is long, and a new head is what fine-tuning asks for.
        verbosity = logging.get_verbosity()
        logging.set_verbosity_error()
        try:
            model, report = self._loaded(
                "model", auto_class.from_pretrained, use_safetensors=True, output_loading_info=True, **config
            )
        finally:
            logging.set_verbosity(verbosity)
        assert isinstance(model, PreTrainedModel)
        if auto_class is AutoModelForCausalLM:
            name_causal_loss(model)
        return model, set(report["missing_keys"])

    def input_length_tokens(self, asked: int | None, default: int) -> int:
        """Longest input for the model: what was asked for, else ``default``, or its positions if those are fewer.

        Raises `InputError` where more is asked for than the model has.
        """
        return input_length_tokens(self.config, self.name_or_path, asked, default)

    def _loaded(self, what: str, from_pretrained: Callable[..., Any], **settings: Any) -> Any:
        try:
            return from_pretrained(self.name_or_path, trust_remote_code=self.trust_remote_code, **settings)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # whatever transformers and tokenizers raise for files that are not what they expect
            raise _not_loaded(what, self.name_or_path, error) from None


def label_names_in(config: PretrainedConfig) -> tuple[str, ...]:
    """Label names in the order of a model's outputs; empty where the configuration has none."""
    names: dict[Any, str] = config.id2label or {}
    return tuple(names[index] for index in sorted(names))


def input_length_tokens(config: PretrainedConfig, name: str, asked: int | None, default: int) -> int:
    """Longest input for a model: what was ``asked`` for, else ``default``, or its positions if those are fewer.

    Raises `InputError` where more is asked for than the model, called ``name``, has.
    """
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if positions is not None and getattr(config, "model_type", "") in OFFSET_POSITIONS:
        positions -= config.pad_token_id + 1
    if positions is None:
        return asked or default
    if asked is not None and asked > positions:
        raise InputError(f"max_seq_length {asked} is more than the {positions} positions of {name}.")
    return asked or min(default, positions)


def name_causal_loss(model: PreTrainedModel) -> None:
    """Names the loss of a causal model whose class is called ``…LMHeadModel``, from which transformers cannot tell it.

    It takes this one then, too, but with a warning that leaves users in doubt.
    """
    if getattr(model, "loss_type", None) is None:
        model.loss_type = "ForCausalLM"


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
    if "trust_remote_code=True" in str(error):
        return InputError(
            f"{name_or_path} comes with code of its own, which runs only where it is trusted: read it, and then say "
            "--trust_remote_code true."
        )
    first_line = (str(error).strip() or repr(error)).splitlines()[0]
    nor_here = "" if path.exists() else f" Nor is there a folder of that name in {Path.cwd()}."
    return InputError(f"no {what} can be loaded from {name_or_path}: {first_line}{nor_here}")
