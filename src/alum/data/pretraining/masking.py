"""Masks for masked language modelling: how many tokens are predicted, which, and what stands in their place."""

import hashlib
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from alum.core.divergences import IGNORED_LABEL
from alum.core.errors import InputError
from alum.core.randomness.row_noise import RowNoise
from alum.data.pretraining.word_boundaries import Joints, joints_of, latest


@dataclass(frozen=True)
class MaskRate:
    """Share of tokens that are predicted, a linear or constant function of training progress in [0, 1].

    The paper (arXiv:2004.08994) is said to go from 5 % to 25 %.
    """

    start: float
    end: float

    def __post_init__(self) -> None:
        for rate in (self.start, self.end):
            if not 0 < rate < 1:
                raise InputError(f"a mask rate (mlm_probability) must lie between 0 and 1, not {rate}.")

    @classmethod
    def parse(cls, text: str) -> "MaskRate":
        """Reads one rate (``0.15``), or the first and the last with a colon (``0.05:0.25``)."""
        try:
            rates = [float(rate) for rate in text.split(":")]
        except ValueError:
            rates = []
        if len(rates) not in (1, 2):
            raise InputError(
                f"expected a mask rate (mlm_probability) such as 0.15, or from 0.05 to 0.25 as 0.05:0.25, not {text!r}."
            )
        return cls(rates[0], rates[-1])

    def at(self, progress: float) -> float:
        return self.start + (self.end - self.start) * progress


class TokenMasks:
    """Masks tokens for a model to predict: 80 % of these become [MASK], 10 % another token, and 10 % stay.

    That is BERT's scheme (Devlin et al. 2019, section 3.1). Each token is predicted with the same probability; with
    ``whole_words`` each word is, all of its tokens or none, and as in BERT's whole-word release each of them is then
    replaced or kept by itself. Special tokens, [MASK] too, are never predicted and end a word, and so does the end of a
    row. A batch has one predicted token or word at least: the mean loss over none is not a number.

    Differs from BERT's release, which predicts the same number of tokens in every row, and from transformers'
    collators: the other tokens that they draw may be special ones.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, whole_words: bool = False) -> None:
        if tokenizer.mask_token_id is None:
            raise InputError("the tokenizer has no mask token: use that of an encoder such as BERT or RoBERTa.")
        ids_of_tokens = tokenizer.get_vocab()
        special = torch.zeros(max(ids_of_tokens.values()) + 1, dtype=torch.bool)
        special[tokenizer.all_special_ids] = True
        ordinary = torch.tensor(sorted(set(ids_of_tokens.values()) - set(tokenizer.all_special_ids)))
        self._mask_id: int = tokenizer.mask_token_id
        self._vocabulary = _Vocabulary(special, ordinary, joints_of(tokenizer) if whole_words else None)

    def __call__(self, input_ids: Tensor, rate: float, generator: torch.Generator | RowNoise) -> tuple[Tensor, Tensor]:
        """Masked ids and labels, -100 where nothing is predicted, for ids ``[batch, length]``, which stay as they are.

        The generator is on the device of the ids, or is the noise of these rows, whose masks then do not depend on
        their batch. Nothing here makes the host wait for that device.
        """
        device = input_ids.device
        self._vocabulary = vocabulary = self._vocabulary.on(device)
        special = vocabulary.special[input_ids]
        draws, replacement, which = self._draws(input_ids, generator)
        if vocabulary.joints is not None:  # what the first token of a word draws holds for all of them
            draws = draws.gather(1, latest(~vocabulary.joints.continues(input_ids)))
        lowest = draws.masked_fill(special, 1.0).min()
        predicted = ~special & (draws <= lowest.clamp(min=rate))
        changed = torch.where(replacement < 0.9, vocabulary.ordinary[which], input_ids)
        changed = changed.masked_fill(replacement < 0.8, self._mask_id)
        return torch.where(predicted, changed, input_ids), input_ids.masked_fill(~predicted, IGNORED_LABEL)

    def _draws(self, input_ids: Tensor, generator: torch.Generator | RowNoise) -> tuple[Tensor, Tensor, Tensor]:
        """Two numbers between 0 and 1 for each token, and the place of an ordinary token in the vocabulary."""
        shape, device, num_ordinary = input_ids.shape, input_ids.device, len(self._vocabulary.ordinary)
        if isinstance(generator, RowNoise):
            draws, replacement, which = generator.uniform(3).unbind(-1)
            return draws, replacement, (which * num_ordinary).long().clamp_max(num_ordinary - 1)  # rounded up
        draws, replacement = (torch.rand(shape, generator=generator, device=device) for _ in range(2))
        return draws, replacement, torch.randint(num_ordinary, shape, generator=generator, device=device)


def fixed_masks(sequences: Dataset, masks: TokenMasks, rate: float, seed: int = 0) -> Dataset:
    """Masks sequences once and for all, so that losses of different runs and times are comparable.

    Gives ``input_ids`` and ``labels``. A row's masks follow from ``seed`` and the row itself, wherever it stands. Each
    has one predicted token at least. The rows are in a temporary file that is removed with them.
    """

    def masked(row: Mapping[str, Any]) -> dict[str, list[int]]:
        content = hashlib.sha256(f"{seed}:{row['input_ids']}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(content[:8], "big"))
        ids, labels = masks(torch.tensor([row["input_ids"]]), rate, generator)
        return {"input_ids": ids[0].tolist(), "labels": labels[0].tolist()}

    folder = tempfile.TemporaryDirectory(prefix="alum-masks-", ignore_cleanup_errors=True)
    rows = sequences.with_format(None).map(
        masked,
        remove_columns=sequences.column_names,
        cache_file_name=f"{folder.name}/rows.arrow",
        desc="Masking",
    )
    weakref.finalize(rows, folder.cleanup)
    return rows


@dataclass(frozen=True)
class _Vocabulary:
    """``special`` says of each id whether it is one of a special token; ``ordinary`` are the ids of the others."""

    special: Tensor
    ordinary: Tensor
    joints: Joints | None

    def on(self, device: torch.device) -> "_Vocabulary":
        if self.special.device == device:
            return self
        joints = self.joints and Joints(self.joints.beginning.to(device), self.joints.may_follow.to(device))
        return replace(self, special=self.special.to(device), ordinary=self.ordinary.to(device), joints=joints)
