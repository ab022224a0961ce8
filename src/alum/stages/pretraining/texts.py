"""Texts of a pre-training run: corpora to train and validate on, packed to sequences."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from alum.core.errors import InputError
from alum.data.pretraining.corpora import Corpus, file_corpus, held_back, hub_corpus, joined_corpus
from alum.data.pretraining.packing import Packing, default_cache_dir, mixed
from alum.stages.pretraining.arguments import PretrainArguments
from alum.training.language_modeling import RowStream

logger = logging.getLogger(__name__)

MANY_UNKNOWN = 0.05  # share of the tokens from which a user is told
ROWS_LOOKED_AT = 2000
HELD_BACK_EVERY = 20  # documents; 5 % of them are for validation where no file is given
VALIDATION = "validation"


@dataclass(frozen=True)
class Texts:
    """Corpora of a pre-training run: those to train on, and those to validate on, by name."""

    train: tuple[Corpus, ...]
    validation: Mapping[str, Corpus]

    @property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprints of the training corpora by name, by which a resumed run knows that its text is the same."""
        return {corpus.name: corpus.fingerprint for corpus in self.train}


@dataclass(frozen=True)
class Sequences:
    """Packed rows of ``input_ids``: those to train on, or the stream of them, and those to validate on, by name."""

    train: Dataset | RowStream
    validation: Mapping[str, Dataset]

    @property
    def of_trainer(self) -> dict[str, Any]:
        """Rows to train on, as `LanguageModelTrainer` takes them."""
        return {"train_dataset" if isinstance(self.train, Dataset) else "stream": self.train}


def find_texts(arguments: PretrainArguments) -> Texts:
    """Finds the corpora to train and validate on that the arguments name; raises `InputError` without any."""
    if arguments.train_file and arguments.dataset_name:
        raise InputError("train_file and dataset_name are two sources of text: give one of them.")
    if arguments.dataset_name:
        name, config, split = arguments.dataset_name, arguments.dataset_config_name, arguments.dataset_split
        corpora = [hub_corpus(name, config, split, arguments.text_column, arguments.streaming)]
    elif arguments.train_file:
        corpora = [text_corpus(file, arguments) for file in arguments.train_file]
    else:
        raise InputError("no text to train on: give one or more files with --train_file, or --dataset_name.")
    if arguments.train_weights and len(arguments.train_weights) != len(corpora):
        raise InputError(f"{len(arguments.train_weights)} train_weights for {len(corpora)} corpora: give one for each.")
    if arguments.validation_file:
        return Texts(tuple(corpora), _by_name([text_corpus(file, arguments) for file in arguments.validation_file]))
    parts = [held_back(corpus, HELD_BACK_EVERY) if _can_spare_some(corpus) else (corpus, None) for corpus in corpora]
    spared = [part for _, part in parts if part is not None]
    if not spared:
        raise InputError(
            f"{', '.join(corpus.name for corpus in corpora)}: too few documents to hold one in {HELD_BACK_EVERY} back "
            "for validation. Separate documents by blank lines, say what a document is with --document_unit, or give "
            "--validation_file."
        )
    return Texts(tuple(rest for rest, _ in parts), {VALIDATION: joined_corpus(spared)})


def pack_texts(texts: Texts, arguments: PretrainArguments, packing: Packing, seed: int) -> Sequences:
    """Tokenizes and packs the corpora of a run, or reads from the cache those packed before with the same settings."""
    cache = Path(arguments.cache_dir) if arguments.cache_dir else default_cache_dir()
    num_processes = arguments.preprocessing_num_workers
    validation = {
        name: _spread(packing.dataset(corpus, cache, num_processes), arguments.max_eval_samples)
        for name, corpus in texts.validation.items()
    }
    for name, rows in validation.items():
        _warn_of_unknown_tokens(rows, packing, f"the text {name}")
    weights = arguments.train_weights or [1.0] * len(texts.train)
    if arguments.streaming:
        return Sequences(partial(packing.stream, texts.train, weights, seed), validation)
    parts = [packing.dataset(corpus, cache, num_processes) for corpus in texts.train]
    for corpus, part in zip(texts.train, parts, strict=True):
        _warn_of_unknown_tokens(part, packing, corpus.name)
    packed = mixed(parts, weights, seed)
    if arguments.max_train_samples is not None:  # of all corpora
        packed = _first(packed.shuffle(seed=seed), arguments.max_train_samples)
    return Sequences(packed, validation)


def _warn_of_unknown_tokens(rows: Dataset, packing: Packing, name: str) -> None:
    """Warns where a tokenizer does not know much of a text; looks at rows at even distances where there are many."""
    unknown = packing.tokenizer.unk_token_id
    if unknown is None or unknown == packing.separator_id:  # GPT-2's is the end of a document, and never comes of text
        return
    count = min(len(rows), ROWS_LOOKED_AT)
    ids = np.asarray(rows.select(np.linspace(0, len(rows) - 1, count, dtype=int)).with_format("numpy")["input_ids"][:])
    of_text = ~np.isin(ids, list(set(packing.tokenizer.all_special_ids) - {unknown}))
    share = float((ids[of_text] == unknown).mean()) if of_text.any() else 0.0
    if share > MANY_UNKNOWN:
        logger.warning(
            "%.0f %% of the tokens of %s are %s, which the model cannot tell apart: the tokenizer was made for other "
            "text. Choose a checkpoint or a --tokenizer_name for this language, or train a tokenizer on the text "
            "(--tokenizer_type byte_level_bpe knows every character).",
            100 * share,
            name,
            packing.tokenizer.unk_token,
        )


def text_corpus(file: str, arguments: PretrainArguments) -> Corpus:
    """Makes a corpus of a file, read as the arguments say of files to train on."""
    return file_corpus(file, arguments.document_unit, arguments.text_column)


def _can_spare_some(corpus: Corpus) -> bool:
    return sum(1 for _ in islice(corpus, HELD_BACK_EVERY)) == HELD_BACK_EVERY


def _by_name(corpora: list[Corpus]) -> dict[str, Corpus]:
    """Corpora by the names of their files, without endings where these are not needed to tell them apart."""
    stems = [Path(corpus.name).stem for corpus in corpora]
    if len(corpora) == 1:
        return {VALIDATION: corpora[0]}
    return {
        stem if stems.count(stem) == 1 else corpus.name: corpus for stem, corpus in zip(stems, corpora, strict=True)
    }


def _first(rows: Dataset, count: int) -> Dataset:
    return rows.select(range(min(count, len(rows))))


def _spread(rows: Dataset, count: int | None) -> Dataset:
    """Takes rows at even distances, so that they are of all corpora that stand one behind the other."""
    if count is None or count >= len(rows):
        return rows
    return rows.select(np.arange(count) * len(rows) // count)
