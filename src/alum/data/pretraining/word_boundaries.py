"""Word boundaries among tokens, told from the vocabulary alone: packed sequences do not come with their text."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import product
from unicodedata import category

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode

from alum.core.errors import InputError

# How a token may begin, and, as a sum, what may come after it in the same word. Zero: it starts a word, ends one.
_INSIDE = 1  # of a word or of a character: belongs to what came before
_LETTER, _NUMBER, _OTHER = 2, 4, 8
_ANYTHING = _INSIDE | _LETTER | _NUMBER | _OTHER
_UNDECIDED = 16  # the rest of a character: what may follow depends on how that began

_CONTRACTIONS = frozenset((b"'s", b"'t", b"'re", b"'ve", b"'m", b"'ll", b"'d"))
_CONTINUATION_BYTES = bytes(range(0x80, 0xC0))
_BYTES = {character: byte for byte, character in bytes_to_unicode().items()}


@dataclass(frozen=True)
class Joints:
    """Look-up tables, ``[vocabulary]``, that tell whether a token continues the word of the token before it.

    ``beginning`` holds the flag of how each token begins, ``may_follow`` those that continue its word.
    """

    beginning: Tensor
    may_follow: Tensor

    def continues(self, input_ids: Tensor) -> Tensor:
        own = self.may_follow[input_ids]
        of_character = own.gather(1, latest(own & _UNDECIDED == 0))
        return F.pad((own | of_character)[:, :-1] & self.beginning[input_ids][:, 1:], (1, 0)) != 0


def latest(flags: Tensor) -> Tensor:
    """Position of the latest flag up to each place in a row, 0 where there is none; ``[batch, length]``."""
    positions = torch.arange(flags.shape[1], device=flags.device)
    return torch.where(flags, positions, 0).cummax(dim=1).values


def joints_of(tokenizer: PreTrainedTokenizerBase) -> Joints:
    """Reads words off a vocabulary's marks: ## inside (WordPiece), ▁ (SentencePiece) or Ġ (byte-level) at the start."""
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
    return Joints(*torch.tensor(flags, dtype=torch.uint8).T.contiguous())


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
