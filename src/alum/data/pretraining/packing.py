"""Packing of documents into sequences of full length, cached on disk or made during training."""

import copy
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
from datasets import Dataset, Features, IterableDataset, List, Value, concatenate_datasets
from datasets.utils import tqdm
from torch.utils.data import get_worker_info
from transformers import PreTrainedTokenizerBase

from alum.core.errors import InputError
from alum.core.pretraining import Objective
from alum.data.pretraining.corpora import Corpus
from alum.data.pretraining.row_cache import Rows, cached_rows

FORMAT_VERSION = 1  # of what is on disk: to be raised when the same input would give other rows
# What is tokenised at once: enough for all threads of the tokenizer, and little enough for any memory.
BATCH_DOCUMENTS, BATCH_CHARACTERS = 1000, 1 << 20
SHUFFLE_BUFFER_ROWS = 1000
SECONDS_WITHOUT_PROGRESS = 2


@dataclass(frozen=True)
class Packing:
    """Packs documents into sequences of exactly ``length_tokens``.

    No sequence is padded, and the last tokens, too few for a sequence, are left out.

    Masked language modelling: [CLS], text of one or more documents with [SEP] between them, [SEP]. Causal: documents
    with the end-of-sequence token after each, cut where a sequence is full.

    Raises `InputError` for lengths without room for text and tokenizers without the special tokens that this takes.
    """

    tokenizer: PreTrainedTokenizerBase
    length_tokens: int
    objective: Objective = "masked_lm"

    def __post_init__(self) -> None:
        if self.objective not in get_args(Objective):
            raise InputError(f"objective must be one of {', '.join(get_args(Objective))}, not {self.objective!r}.")
        masked = self.objective == "masked_lm"
        least, room = (3, "[CLS], a token and [SEP]") if masked else (2, "a token and the next")
        if self.length_tokens < least:
            raise InputError(f"max_seq_length must be {least} or more, room for {room}, not {self.length_tokens}.")
        _ = self._frame

    @property
    def separator_id(self) -> int:
        """Id of the token that ends each document."""
        return self._frame.document_end

    def documents(self, rows: np.ndarray) -> np.ndarray:
        """Number of the document that each packed row ``[rows, length]`` begins in, as they were packed, from 0 on."""
        first, last = len(self._frame.before), self.length_tokens - len(self._frame.after)
        ends = (rows[:, first:last] == self._frame.document_end).sum(1)
        return np.asarray(ends.cumsum() - ends)

    def rows(self, documents: Iterable[str]) -> Iterator[list[int]]:
        """Packs documents into sequences, in their order."""
        for rows in self._rows(documents):
            yield from rows.tolist()

    def dataset(self, corpus: Corpus, cache_dir: Path) -> Dataset:
        """Packs a corpus into a memory-mapped data set, column input_ids; takes it from ``cache_dir`` if it is there.

        Raises `InputError` if there is not enough text for one sequence, or the folder cannot be used.
        """
        return cached_rows(
            cache_dir / f"{self._key(corpus)}.arrow", lambda: _shown(self._some_rows(corpus), corpus.name)
        )

    def stream(self, corpora: Sequence[Corpus], weights: Sequence[float], seed: int) -> IterableDataset:
        """Packs sequences during training, without end: a corpus that has been read begins anew.

        Each is from a corpus drawn with a probability proportional to its weight, and waits in a buffer of 1,000 until
        it is drawn at random. Their order follows from the seed alone. Reading raises `InputError` if a corpus has not
        enough text.
        """
        _require_weights(weights, len(corpora))
        # Given features spare the reader a look at the first rows. Lists among the arguments would be taken for shards.
        features = Features({"input_ids": List(Value("int32"), length=self.length_tokens)})
        draw = partial(self._shuffled_rows, tuple(corpora), tuple(weights), seed)
        return IterableDataset.from_generator(draw, features=features)

    @cached_property
    def _frame(self) -> "_Frame":
        return (_masked_frame if self.objective == "masked_lm" else _causal_frame)(self.tokenizer)

    @cached_property
    def _encoder(self) -> PreTrainedTokenizerBase:
        """A copy, since each call sets how the tokenizer truncates, pads and reads special tokens from then on."""
        return copy.deepcopy(self.tokenizer)

    def _key(self, corpus: Corpus) -> str:
        """Names the rows of a corpus by all that they depend on."""
        special = sorted(self.tokenizer.all_special_ids)
        frame = (self._frame.before, self._frame.after, self._frame.document_end)
        parts = (FORMAT_VERSION, corpus.fingerprint, _tokenizer_content(self.tokenizer), special, frame)
        content = json.dumps([*parts, self.length_tokens, self.objective])
        return hashlib.sha256(content.encode()).hexdigest()[:32]

    def _some_rows(self, corpus: Corpus) -> Iterator[Rows]:
        """The sequences of a corpus, some at a time; raises `InputError` if there is not enough text for one."""
        is_empty = True
        for rows in self._rows(corpus):
            is_empty = False
            yield rows
        if is_empty:
            count = sum(len(tokens) for tokens in self._tokens(corpus))
            raise InputError(
                f"{corpus.name} has {count} tokens, too few for one sequence of {self.length_tokens}: "
                "give more text or a smaller max_seq_length."
            )

    def _endless_rows(self, corpus: Corpus) -> Iterator[list[int]]:
        while True:
            for rows in self._some_rows(corpus):
                yield from rows.tolist()

    def _shuffled_rows(
        self, corpora: Sequence[Corpus], weights: Sequence[float], seed: int
    ) -> Iterator[dict[str, list[int]]]:
        if get_worker_info() is not None:
            # A process forked for loading has none of the tokenizer's threads, and would wait for them for ever.
            os.environ["TOKENIZERS_PARALLELISM"] = "false"
        rng = np.random.default_rng(seed)
        sources = [self._endless_rows(corpus) for corpus in corpora]
        drawn = _drawn(sources, np.array(weights) / sum(weights), rng)
        buffer = list(islice(drawn, SHUFFLE_BUFFER_ROWS))
        for row in drawn:
            index = rng.integers(len(buffer))
            yield {"input_ids": buffer[index]}
            buffer[index] = row

    def _rows(self, documents: Iterable[str]) -> Iterator[Rows]:
        frame = self._frame
        body_tokens = self.length_tokens - len(frame.before) - len(frame.after)
        rest = np.empty(0, self._token_type)
        for tokens in self._tokens(documents):
            stream = np.concatenate([rest, tokens])
            count = len(stream) // body_tokens
            bodies, rest = stream[: count * body_tokens].reshape(count, body_tokens), stream[count * body_tokens :]
            if count:
                before, after = (
                    np.tile(np.array(ids, self._token_type), (count, 1)) for ids in (frame.before, frame.after)
                )
                yield np.hstack([before, bodies, after])

    def _tokens(self, documents: Iterable[str]) -> Iterator[Rows]:
        """The tokens of some documents at a time, with the end of each."""
        special = set(self.tokenizer.all_special_ids) - {self.tokenizer.unk_token_id}
        for batch in _batches(documents):
            encoded = self._encoder(
                batch,
                add_special_tokens=False,
                split_special_tokens=True,  # "[SEP]" in a document is five characters
                return_attention_mask=False,
                return_token_type_ids=False,
                verbose=False,
            )["input_ids"]
            tokens = np.array([token for document in encoded for token in (*document, -1)])
            # Vocabularies that hold special tokens as words of their own (Unigram's) find them in text all the same.
            tokens = tokens[~np.isin(tokens, list(special))]
            tokens[tokens == -1] = self._frame.document_end
            yield tokens.astype(self._token_type)

    @cached_property
    def _token_type(self) -> type[np.integer[Any]]:
        return np.uint16 if max(self.tokenizer.get_vocab().values()) < 1 << 16 else np.int32


def mixed(datasets: Sequence[Dataset], weights: Sequence[float], seed: int) -> Dataset:
    """Mixes data sets to one in which each is seen as many times as its weight says, without a copy of the rows.

    2 is twice, 0.5 a half that is drawn by ``seed`` and stays the same in each epoch, 2.5 twice and such a half.
    """
    _require_weights(weights, len(datasets))
    rng = np.random.default_rng(seed)
    chosen, offset = [], 0
    for rows, weight in zip(datasets, weights, strict=True):
        times, part = divmod(max(1, round(weight * len(rows))), len(rows))
        drawn = np.sort(rng.permutation(len(rows))[:part])
        chosen += [offset + np.arange(len(rows))] * times + [offset + drawn]
        offset += len(rows)
    return concatenate_datasets(list(datasets)).select(np.concatenate(chosen))


def default_cache_dir() -> Path:
    """Folder for packed sequences: ``ALUM_CACHE``, else ``alum`` in the user's folder for caches."""
    if folder := os.environ.get("ALUM_CACHE"):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "alum"


# -- special tokens ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Frame:
    """The ids before and after the text of each sequence, and the one after each document."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    document_end: int


def _masked_frame(tokenizer: PreTrainedTokenizerBase) -> _Frame:
    begin = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    end = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    if begin is None or end is None or tokenizer.mask_token_id is None:
        raise InputError(
            "the tokenizer has no [CLS], [SEP] or [MASK] token: masked-language-model training needs all three. "
            "Use the tokenizer of an encoder such as BERT or RoBERTa."
        )
    return _Frame((begin,), (end,), end)


def _causal_frame(tokenizer: PreTrainedTokenizerBase) -> _Frame:
    if tokenizer.eos_token_id is None:
        raise InputError(
            "the tokenizer has no end-of-sequence token: causal-language-model training needs it between documents. "
            "Use the tokenizer of a decoder such as GPT-2."
        )
    return _Frame((), (), tokenizer.eos_token_id)


def _tokenizer_content(tokenizer: PreTrainedTokenizerBase) -> Any:
    """All that the tokens of a document without special tokens depend on."""
    if tokenizer.is_fast:
        content = json.loads(tokenizer.backend_tokenizer.to_str())
        return {name: content[name] for name in ("normalizer", "pre_tokenizer", "model", "added_tokens")}
    name = f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}"
    return [name, sorted(tokenizer.get_vocab().items()), repr(tokenizer.init_kwargs)]


# -- batches, order, progress ------------------------------------------------------------------------------------------


def _batches(documents: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    num_characters = 0
    for document in documents:
        batch.append(document)
        num_characters += len(document)
        if len(batch) == BATCH_DOCUMENTS or num_characters >= BATCH_CHARACTERS:
            yield batch
            batch, num_characters = [], 0
    if batch:
        yield batch


def _drawn(
    sources: Sequence[Iterator[list[int]]], probabilities: np.ndarray[Any, Any], rng: np.random.Generator
) -> Iterator[list[int]]:
    while True:
        yield next(sources[rng.choice(len(sources), p=probabilities)])


def _shown(rows: Iterator[Rows], name: str) -> Iterator[Rows]:
    """Counts the tokens of long corpora on the screen, where there is one."""
    with tqdm(
        desc=f"Tokenizing {name}", unit=" tokens", unit_scale=True, delay=SECONDS_WITHOUT_PROGRESS, disable=None
    ) as bar:
        for some in rows:
            yield some
            bar.update(some.size)


def _require_weights(weights: Sequence[float], num_corpora: int) -> None:
    if len(weights) != num_corpora or not num_corpora:
        raise InputError(f"expected one weight for each corpus, {num_corpora} in all, not {len(weights)}.")
    for weight in weights:
        if not 0 < weight < float("inf"):
            raise InputError(f"the weight of a corpus must be above 0 and finite, not {weight}: leave the corpus out.")
