"""Masks for masked language modelling: how many tokens are predicted, which, and what stands in their place."""

import hashlib
import tempfile
import weakref
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any
from unicodedata import category

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from alum.core.errors import InputError

NOT_PREDICTED = -100


@dataclass(frozen=True)
class MaskRate:
    """The share of tokens that are predicted, as a function of training progress in [0, 1]: linear, or constant.

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
        """From one rate (``0.15``) or the first and the last with a colon (``0.05:0.25``)."""
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
    """Of the tokens predicted, 80 % become [MASK], 10 % another token and 10 % stay (Devlin et al. 2019, section 3.1).

    Each token is predicted with the same probability; with ``whole_words`` each word is, all of its tokens or none,
    and as in BERT's whole-word release each of them is then replaced or kept by itself. Special tokens, [MASK] too,
    are never predicted and end a word, and so does the end of a row. A batch has one predicted token or word at least:
    the mean loss over none is not a number.

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
        self._vocabulary = _Vocabulary(special, ordinary, _joints(tokenizer) if whole_words else None)

    def __call__(self, input_ids: Tensor, rate: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Masked ids and labels, -100 where nothing is predicted, for ids ``[batch, length]``, which stay as they are.

        The generator belongs to the device of the ids, which nothing here has to wait for.
        """
        shape, device = input_ids.shape, input_ids.device
        self._vocabulary = vocabulary = self._vocabulary.on(device)
        special = vocabulary.special[input_ids]
        draws = torch.rand(shape, generator=generator, device=device)
        if vocabulary.joints is not None:  # what the first token of a word draws holds for all of them
            draws = draws.gather(1, _latest(~vocabulary.joints.continues(input_ids)))
        lowest = draws.masked_fill(special, 1.0).min()
        predicted = ~special & (draws <= lowest.clamp(min=rate))
        replacement = torch.rand(shape, generator=generator, device=device)
        which = torch.randint(len(vocabulary.ordinary), shape, generator=generator, device=device)
        changed = torch.where(replacement < 0.9, vocabulary.ordinary[which], input_ids)
        changed = changed.masked_fill(replacement < 0.8, self._mask_id)
        return torch.where(predicted, changed, input_ids), input_ids.masked_fill(~predicted, NOT_PREDICTED)


def fixed_masks(sequences: Dataset, masks: TokenMasks, rate: float, seed: int = 0) -> Dataset:
    """``input_ids`` and ``labels`` with masks drawn once, so that losses of different runs and times are comparable.

    A row's masks follow from ``seed`` and the row itself, wherever it stands. Each has one predicted token at least.
    The rows are in a temporary file that goes when they do.
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


# -- where words start -------------------------------------------------------------------------------------------------

# How a token may begin, and, as a sum, what may come after it in the same word. Zero: it starts a word, ends one.
_INSIDE = 1  # of a word or of a character: belongs to what came before
_LETTER, _NUMBER, _OTHER = 2, 4, 8
_ANYTHING = _INSIDE | _LETTER | _NUMBER | _OTHER
_UNDECIDED = 16  # the rest of a character: what may follow depends on how that began

_CONTRACTIONS = frozenset((b"'s", b"'t", b"'re", b"'ve", b"'m", b"'ll", b"'d"))
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
_BYTES = {character: byte for byte, character in bytes_to_unicode().items()}


@dataclass(frozen=True)
class _Joints:
    """Which tokens go on with the word before them, by looking up both: ``[vocabulary]`` each, of the flags above."""

    beginning: Tensor
    may_follow: Tensor

    def continues(self, input_ids: Tensor) -> Tensor:
        own = self.may_follow[input_ids]
        of_character = own.gather(1, _latest(own & _UNDECIDED == 0))
        return F.pad((own | of_character)[:, :-1] & self.beginning[input_ids][:, 1:], (1, 0)) != 0


@dataclass(frozen=True)
class _Vocabulary:
    """``special`` says of each id whether it is one of a special token; ``ordinary`` are the ids of the others."""

    special: Tensor
    ordinary: Tensor
    joints: _Joints | None

    def on(self, device: torch.device) -> "_Vocabulary":
        if self.special.device == device:
            return self
        joints = self.joints and _Joints(self.joints.beginning.to(device), self.joints.may_follow.to(device))
        return replace(self, special=self.special.to(device), ordinary=self.ordinary.to(device), joints=joints)


def _latest(flags: Tensor) -> Tensor:
    """The position of the latest flag up to each place in a row, 0 where there is none; ``[batch, length]``."""
    positions = torch.arange(flags.shape[1], device=flags.device)
    return torch.where(flags, positions, 0).cummax(dim=1).values


def _joints(tokenizer: PreTrainedTokenizerBase) -> _Joints:
    """Words as the vocabulary marks them: ## inside (WordPiece), ▁ (SentencePiece) or Ġ (byte-level) at their start."""
    kinds = {"##": _in_wordpiece, "▁": _in_sentencepiece, "Ġ": _in_byte_level}
    ids_of_tokens = tokenizer.get_vocab()
    marked = {mark: sum(token.startswith(mark) for token in ids_of_tokens) for mark in kinds}
    mark = max(marked, key=lambda mark: marked[mark])
    if not marked[mark]:
        raise InputError(
            "whole words cannot be told from this tokenizer's vocabulary, none of whose tokens begins with ##, ▁ or Ġ: "
            "mask single tokens."
        )
    whole = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}  # words by themselves
    flags = [(0, 0)] * (max(ids_of_tokens.values()) + 1)
    for token, id in ids_of_tokens.items():
        if id not in whole:
            flags[id] = kinds[mark](token)
    return _Joints(*torch.tensor(flags, dtype=torch.uint8).T.contiguous())


def _in_wordpiece(token: str) -> tuple[int, int]:
    return (_INSIDE if token.startswith("##") else 0), _ANYTHING


def _in_sentencepiece(token: str) -> tuple[int, int]:
    return (0 if token.startswith("▁") else _INSIDE), _ANYTHING


def _in_byte_level(token: str) -> tuple[int, int]:
    """As GPT-2's pre-tokenizer cuts: runs of letters, numbers or anything else, each with a space before it, and 's.

    Differs from it where runs of spaces, or ' and s, are tokens of their own: each is a word.
    """
    if not set(token) <= _BYTES.keys():
        return 0, 0  # not made of bytes: stands for itself
    piece = bytes(_BYTES[character] for character in token)
    rest = piece.lstrip(_CONTINUATION_BYTES)
    if not rest:
        return _INSIDE, _INSIDE | _UNDECIDED
    classes = _character_classes(rest)
    beginning = classes[0] if rest == piece else _INSIDE
    if piece == b" ":
        return beginning, _ANYTHING
    return beginning, 0 if piece in _CONTRACTIONS else classes[-1] | _INSIDE


def _character_classes(piece: bytes) -> list[int]:
    """The class of each character; where bytes are missing from the last one, the likely class."""
    try:
        return [_class(character) for character in piece.decode()]
    except UnicodeDecodeError as error:
        whole = piece[: error.start].decode()
        return [*(_class(character) for character in whole), _likely_class(piece[error.start :])]


@cache
def _likely_class(begun: bytes) -> int:
    """The commonest class among the characters that begin with these bytes, letters where there is a tie."""
    num_bytes = 2 if begun[0] < 0xE0 else 3 if begun[0] < 0xF0 else 4
    if num_bytes - len(begun) > 2:
        return _OTHER  # of the quarter of a million possible ones, emoji are the common ones
    rests = product(_CONTINUATION_BYTES, repeat=num_bytes - len(begun))
    characters = "".join((begun + bytes(rest)).decode(errors="ignore") for rest in rests)
    counts = Counter(_class(character) for character in characters if category(character) != "Cn")
    return max((_LETTER, _NUMBER, _OTHER), key=lambda kind: counts[kind]) if counts else _OTHER


def _class(character: str) -> int:
    if character.isspace():
        return 0
    return {"L": _LETTER, "N": _NUMBER}.get(category(character)[0], _OTHER)
