"""Model checkpoints by id or folder: configuration, tokenizer and weights, with errors that a user can act on."""

import logging
import pickle
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
from transformers.utils import logging as transformers_logging

from alum.core.errors import InputError
from alum.models.loading.block_counts import check_blocks
from alum.models.loading.config_types import check_types
from alum.models.loading.language_objectives import objectives_of
from alum.models.loading.refused_files import RUNS_CODE, refuse_kernels, refuse_pickled_weights
from alum.models.tokenizer_fit import OFFSET_POSITIONS, check_padding

logger = logging.getLogger(__name__)


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
        check_types(config, self.name_or_path)
        refuse_kernels(config, self.name_or_path)
        check_padding(config, self.name_or_path)
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
        names = tokenizer.model_input_names
        if not isinstance(names, list | tuple) or "input_ids" not in names:  # it would write nothing, or letters
            raise InputError(
                f"the tokenizer of {self.name_or_path} names {names!r} as its model_input_names: expected a list with "
                "input_ids in its tokenizer_config.json."
            )
        return tokenizer

    def model(self, auto_class: Any, **config: Any) -> PreTrainedModel:
        """Loads the model with the head of ``auto_class``, a new one if need be, in fp32 and from safetensors only.

        Half precision is for passes (``bf16``), not for weights: steps of 3e-5 are mostly lost in it. Pickled weights
        can run code when they are loaded, so they are refused. Raises `InputError` where nothing can be loaded, and
        where weights below the head are missing, of other sizes than the configuration says, or not finite.
        """
        return self.model_and_new_weights(auto_class, **config)[0]

    def trained_model(self, auto_class: Any) -> PreTrainedModel:
        """Loads the model as it was saved, to the GPU where there is one; `InputError` where its head is untrained."""
        model, new_weights = self._model_and_new_weights(auto_class, dtype="auto")
        if new_weights:
            raise InputError(
                f"{self.name_or_path} has not been fine-tuned: it lacks {', '.join(sorted(new_weights))}. "
                "Give a model that alum finetune has made, or one of the same kind."
            )
        model.to("cuda" if torch.cuda.is_available() else "cpu")  # type: ignore[arg-type]
        return model

    def model_and_new_weights(self, auto_class: Any, **config: Any) -> tuple[PreTrainedModel, set[str]]:
        """Loads the model as `model` does, and gives the names of the weights that the checkpoint does not hold.

        A head of another size, as for other labels, counts as one that it does not hold.
        """
        model, new_weights = self._model_and_new_weights(auto_class, dtype=torch.float32, **config)
        self._check_base(model, new_weights)
        return model, new_weights

    def _model_and_new_weights(self, auto_class: Any, **config: Any) -> tuple[PreTrainedModel, set[str]]:
        _check_folder(self.name_or_path)
        refuse_pickled_weights(self.name_or_path)
        refuse_kernels(self.config, self.name_or_path)
        check_blocks(self.config, self.name_or_path)
        if auto_class is AutoModelForCausalLM and "causal_lm" not in objectives_of(self.config):
            raise InputError(
                f"{self.name_or_path} is no causal language model: a {self.config.model_type} reads what follows, too. "
                "Give one that predicts the next token, such as GPT-2, Llama or Qwen."
            )
        # Its report of new and unused weights is long, and a new head is what fine-tuning asks for.
        verbosity = transformers_logging.get_verbosity()
        transformers_logging.set_verbosity_error()
        try:
            model, report = self._loaded(
                "model",
                auto_class.from_pretrained,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **config,
            )
        finally:
            transformers_logging.set_verbosity(verbosity)
        assert isinstance(model, PreTrainedModel)
        if auto_class is AutoModelForCausalLM:
            name_causal_loss(model)
        for name, found, expected in report["mismatched_keys"]:
            if _is_of_base(name, model):
                raise InputError(
                    f"the weights of {self.name_or_path} are not of the sizes that its config.json says: {name} has "
                    f"{list(found)} instead of {list(expected)}. Give the configuration that they were saved with."
                )
        for name, weight in model.named_parameters():
            if not weight.isfinite().all():
                raise InputError(
                    f"{self.name_or_path} holds weights that are no numbers, such as {name}: it is damaged, or its "
                    "training diverged. Give another checkpoint of it."
                )
        unused = [
            name for name in report["unexpected_keys"] if _is_of_base(name, model) and ".position_ids" not in name
        ]
        if model.base_model is not model and any("pooler" not in name for name in unused):
            logger.warning(
                "%d weights of %s have no place in its model, such as %s: is its config.json that of its weights?",
                len(unused),
                self.name_or_path,
                min(unused),
            )
        mismatched = {name for name, _, _ in report["mismatched_keys"]}
        return model, set(report["missing_keys"]) | mismatched

    def _check_base(self, model: PreTrainedModel, new_weights: set[str]) -> None:
        """Raises `InputError` where weights below the head are missing.

        Poolers are a part of heads: models that were pre-trained without one have none.
        """
        trainable = {name for name, _ in model.named_parameters()}
        missing = [name for name in new_weights & trainable if _is_of_base(name, model) and "pooler" not in name]
        if missing:
            raise InputError(
                f"{self.name_or_path} does not hold the weights of a {type(model).__name__}: {len(missing)} are "
                f"missing, such as {min(missing)}. Give the configuration that its weights were saved with."
            )

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


def _is_of_base(name: str, model: PreTrainedModel) -> bool:
    """Whether a weight is of the model below its head."""
    return model.base_model is model or name.startswith(f"{model.base_model_prefix}.")


def label_names_in(config: PretrainedConfig) -> tuple[str, ...]:
    """Label names in the order of a model's outputs; empty where the configuration has none."""
    names: dict[Any, str] = config.id2label or {}
    return tuple(names[index] for index in sorted(names))


def input_length_tokens(config: PretrainedConfig, name: str, asked: int | None, default: int) -> int:
    """Longest input for a model: what was ``asked`` for, else ``default``, or its positions if those are fewer.

    Raises `InputError` where more is asked for than the model, called ``name``, has.
    """
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    if positions is not None and positions < 1:  # XLNet's says -1, as it counts relative to each other
        positions = None
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
    if isinstance(error, pickle.UnpicklingError):  # a form of weights that the checks before loading do not know
        return InputError(f"{name_or_path} holds {RUNS_CODE}")
    if "trust_remote_code=True" in str(error):
        return InputError(
            f"{name_or_path} comes with code of its own, which runs only where it is trusted: read it, and then say "
            "--trust_remote_code true."
        )
    first_line = (str(error).strip() or repr(error)).splitlines()[0]
    elsewhere = "" if path.exists() else f"there is no folder of that name in {Path.cwd()}, and of the hub's models: "
    return InputError(f"no {what} can be loaded from {name_or_path}: {elsewhere}{first_line}")
