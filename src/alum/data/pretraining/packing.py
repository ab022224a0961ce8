"""Packing of documents into sequences of full length, cached on disk or made during training."""

import copy
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
from datasets import Dataset, Features, IterableDataset, List, Value, concatenate_datasets
from datasets.utils import tqdm
from torch.utils.data import get_worker_info
from transformers import PreTrainedTokenizerBase

from alum.core.errors import InputError
from alum.core.pretraining import Objective
from alum.data.pretraining.corpora import Corpus, DocumentPlace
from alum.data.pretraining.row_cache import MarkedRows, Rows, cached_rows
from alum.data.pretraining.streams import BlockShuffle, StreamPosition
from alum.data.pretraining.worker_processes import side_by_side
from alum.data.table import drawn_by_weight, require_weights

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
        for rows, _ in self._rows((document, ()) for document in documents):
            yield from rows.tolist()

    def dataset(self, corpus: Corpus, cache_dir: Path, num_processes: int = 1) -> Dataset:
        """Packs a corpus into a memory-mapped data set, column input_ids; takes it from ``cache_dir`` if it is there.

        Several processes may tokenize, to the same rows. What a killed process had done of it is gone on with. Raises
        `InputError` if there is not enough text for one sequence, or the folder cannot be used.
        """
        return cached_rows(
            cache_dir / f"{self._key(corpus)}.arrow",
            lambda begin: _shown(self._some_rows(corpus, num_processes, begin), corpus.name),
        )

    def stream(
        self,
        corpora: Sequence[Corpus],
        weights: Sequence[float],
        seed: int,
        begin: StreamPosition | None = None,
        notes: Path | None = None,
    ) -> IterableDataset:
        """Packs sequences during training, without end: a corpus that has been read begins anew.

        Each is from a corpus drawn with a probability proportional to its weight, and waits in a block of 1,000 that is
        shuffled. Their order follows from the seed alone. A stream can ``begin`` at a position, which is known from the
        ``notes`` that a stream leaves in that folder. Reading raises `InputError` if a corpus has not enough text.
        """
        require_weights(weights, len(corpora), "corpus")
        sources = tuple(partial(self._some_rows, corpus, 1) for corpus in corpora)
        shuffle = BlockShuffle(sources, tuple(weights), seed, SHUFFLE_BUFFER_ROWS)
        # Given features spare the reader a look at the first rows. Lists among the arguments would be taken for shards.
        features = Features({"input_ids": List(Value("int32"), length=self.length_tokens)})
        return IterableDataset.from_generator(partial(_streamed, shuffle, begin, notes), features=features)

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

    def _some_rows(
        self, corpus: Corpus, num_processes: int, begin: Mapping[str, Any] | None = None
    ) -> Iterator[MarkedRows]:
        """The sequences of a corpus, some at a time, each with the mark from which packing would go on after them.

        Begins at such a mark. Raises `InputError` if there is not enough text for one sequence.
        """
        place, rest = (begin["place"], begin["rest"]) if begin else ((), ())
        is_empty = begin is None
        for rows, mark in self._rows(corpus.documents(place), rest, num_processes):
            is_empty = False
            yield rows, mark
        if is_empty:
            count = sum(len(tokens) for tokens, _ in self._tokens(corpus.documents()))
            raise InputError(
                f"{corpus.name} has {count} tokens, too few for one sequence of {self.length_tokens}: "
                "give more text or a smaller max_seq_length."
            )

    def _rows(
        self, documents: Iterable[tuple[str, DocumentPlace]], rest: Sequence[int] = (), num_processes: int = 1
    ) -> Iterator[MarkedRows]:
        frame = self._frame
        body_tokens = self.length_tokens - len(frame.before) - len(frame.after)
        left = np.array(rest, self._token_type)
        for tokens, place in self._tokens(documents, num_processes):
            stream = np.concatenate([left, tokens])
            count = len(stream) // body_tokens
            bodies, left = stream[: count * body_tokens].reshape(count, body_tokens), stream[count * body_tokens :]
            if count:
                before, after = (
                    np.tile(np.array(ids, self._token_type), (count, 1)) for ids in (frame.before, frame.after)
                )
                yield np.hstack([before, bodies, after]), {"place": place, "rest": left.tolist()}

    def _tokens(
        self, documents: Iterable[tuple[str, DocumentPlace]], num_processes: int = 1
    ) -> Iterator[tuple[Rows, DocumentPlace]]:
        """The tokens of some documents at a time, with the end of each, and the place after them."""
        return side_by_side(self._tokens_of, _batches(documents), num_processes)

    def _tokens_of(self, documents: list[str]) -> Rows:
        special = set(self.tokenizer.all_special_ids) - {self.tokenizer.unk_token_id}
        encoded = self._encoder(
            documents,
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
        return tokens.astype(self._token_type)

    @cached_property
    def _token_type(self) -> type[np.integer[Any]]:
        return np.uint16 if max(self.tokenizer.get_vocab().values()) < 1 << 16 else np.int32


def mixed(datasets: Sequence[Dataset], weights: Sequence[float], seed: int) -> Dataset:
    """Mixes data sets to one in which each is seen as many times as its weight says, without a copy of the rows.

    2 is twice, 0.5 a half that is drawn by ``seed`` and stays the same in each epoch, 2.5 twice and such a half.
    """
    require_weights(weights, len(datasets), "corpus")
    rows = concatenate_datasets(list(datasets))
    if set(weights) == {1}:  # a list of all rows would take eight bytes each
        return rows
    return rows.select(drawn_by_weight([len(part) for part in datasets], weights, seed))


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


def _batches(documents: Iterable[tuple[str, DocumentPlace]]) -> Iterator[tuple[list[str], DocumentPlace]]:
    """Some documents at a time, with the place after them."""
    batch: list[str] = []
    num_characters = 0
    place: DocumentPlace = ()
    for document, place in documents:
        batch.append(document)
        num_characters += len(document)
        if len(batch) == BATCH_DOCUMENTS or num_characters >= BATCH_CHARACTERS:
            yield batch, place
            batch, num_characters = [], 0
    if batch:
        yield batch, place


def _streamed(
    shuffle: BlockShuffle, begin: StreamPosition | None, notes: Path | None
) -> Iterator[dict[str, list[int]]]:
    if get_worker_info() is not None:
        # A process forked for loading has none of the tokenizer's threads, and would wait for them for ever.
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    for row in shuffle.rows(begin, notes):
        yield {"input_ids": row}


def _shown(rows: Iterator[MarkedRows], name: str) -> Iterator[MarkedRows]:
    """Counts the tokens of long corpora on the screen, where there is one."""
    with tqdm(
        desc=f"Tokenizing {name}", unit=" tokens", unit_scale=True, delay=SECONDS_WITHOUT_PROGRESS, disable=None
    ) as bar:
        for some, mark in rows:
            yield some, mark
            bar.update(some.size)
