"""Corpora: documents to pre-train on, from text files, JSON lines, Parquet and the hub, read as streams."""

import copy
import hashlib
import itertools
import json
import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import datasets
import pyarrow as pa
from datasets import Dataset, IterableDataset, load_dataset, load_dataset_builder
from datasets.exceptions import DatasetGenerationError
from pyarrow import parquet

from alum.core.errors import InputError
from alum.core.pretraining import DocumentUnit
from alum.data.files import ARRAY_NOT_LINES, byte_pieces, existing_file, lines_from, read_text

ROWS_AT_A_TIME = 1000


DocumentPlace = Sequence[Any]
"""Place in a corpus where reading can begin again, of what JSON has; the beginning is empty."""


@dataclass(frozen=True)
class Corpus:
    """Corpus of documents, stripped and never empty, that can be read again and again, from any document on.

    ``name`` is for messages. The ``fingerprint`` is a hex digest of the content and of how documents are made of it:
    corpora with the same fingerprint have the same documents. ``read`` begins anew with each call, at a place, and
    gives each document with the place after it.
    """

    name: str
    fingerprint: str
    read: Callable[[DocumentPlace], Iterator[tuple[str, DocumentPlace]]]

    def __iter__(self) -> Iterator[str]:
        return (document for document, _ in self.documents())

    def documents(self, begin: DocumentPlace = ()) -> Iterator[tuple[str, DocumentPlace]]:
        """Reads the documents from a place on, each with the place after it."""
        return ((stripped, after) for document, after in self.read(begin) if (stripped := document.strip()))


@dataclass(frozen=True)
class _Chain:
    corpora: tuple[Corpus, ...]

    def __iter__(self) -> Iterator[str]:
        return itertools.chain.from_iterable(self.corpora)


def chained(corpora: Sequence[Corpus]) -> Iterable[str]:
    """Chains corpora: the documents of one after the other, which can be read again and again."""
    return _Chain(tuple(corpora))


def joined_corpus(corpora: Sequence[Corpus]) -> Corpus:
    """Joins corpora to one that has the documents of each after those of the one before it."""
    names, fingerprints = zip(*((corpus.name, corpus.fingerprint) for corpus in corpora), strict=True)
    return Corpus(", ".join(names), "+".join(fingerprints), partial(_one_after_the_other, tuple(corpora)))


def _one_after_the_other(corpora: Sequence[Corpus], begin: DocumentPlace) -> Iterator[tuple[str, DocumentPlace]]:
    first, *within = begin or (0,)
    for number in range(first, len(corpora)):
        for document, after in corpora[number].documents(within if number == first else ()):
            yield document, (number, *after)


def held_back(corpus: Corpus, every: int = 20) -> tuple[Corpus, Corpus]:
    """Splits a corpus into documents to train on and each ``every``-th one to validate with.

    Reading the second part raises `InputError` where there are fewer than ``every`` documents.
    """
    if every < 2:
        raise InputError(f"every must be 2 or more, so that documents are left to train on, not {every}.")
    rest = Corpus(corpus.name, _digest(corpus.fingerprint, "rest", every), partial(_rest, corpus, every))
    name = f"the part of {corpus.name} held back for validation"
    return rest, Corpus(name, _digest(corpus.fingerprint, "held back", every), partial(_each, corpus, every))


def _rest(corpus: Corpus, every: int, begin: DocumentPlace) -> Iterator[tuple[str, DocumentPlace]]:
    return ((document, after) for document, after in _counted(corpus, begin) if after[0] % every)


def _each(corpus: Corpus, every: int, begin: DocumentPlace) -> Iterator[tuple[str, DocumentPlace]]:
    number = begin[0] if begin else 0
    for document, after in _counted(corpus, begin):
        number = after[0]
        if number % every == 0:
            yield document, after
    if number < every:
        raise InputError(
            f"{number} documents are too few to hold one in {every} of {corpus.name} back for validation: "
            "separate documents by blank lines, or give --validation_file."
        )


def _counted(corpus: Corpus, begin: DocumentPlace) -> Iterator[tuple[str, DocumentPlace]]:
    """The documents of a corpus, whose places begin with the number of documents up to there."""
    number, *within = begin or (0,)
    for count, (document, after) in enumerate(corpus.documents(within), start=number + 1):
        yield document, (count, *after)


# -- files -------------------------------------------------------------------------------------------------------------


OF_ROWS = (".jsonl", ".json", ".parquet")
"""Ends of the names of files that hold rows, a document each; others are plain text."""


def file_corpus(path: str | os.PathLike[str], unit: DocumentUnit = "block", text_column: str = "text") -> Corpus:
    """Makes a corpus of a file: rows of ``.jsonl``, ``.json`` (an object a line) or ``.parquet``, else plain text.

    ``unit`` says what a document of plain text is, a block of lines between blank lines, a line or the file, and
    ``text_column`` where the text of a row is. The file is read as a stream, however large it is.

    Raises `InputError` for a missing file at once, and for what is in it when it is read.
    """
    path = existing_file(path)
    if unit not in get_args(DocumentUnit):
        raise InputError(f"a document must be one of {', '.join(get_args(DocumentUnit))}, not {unit!r}.")
    read: Callable[[DocumentPlace], Iterator[tuple[str, DocumentPlace]]]
    match path.suffix.lower():
        case ".jsonl" | ".json":
            kind, read = ("json", text_column), partial(_json_texts, path, text_column)
        case ".parquet":
            kind, read = ("parquet", text_column), partial(_parquet_texts, path, text_column)
        case ".csv" | ".tsv":
            raise InputError(
                f"{path}: expected text, JSON lines or Parquet, not a table. Convert it to JSON lines first."
            )
        case _:
            kind, read = ("text", unit), partial(_TEXT[unit], path)
    return Corpus(str(path), _digest(*kind, pieces=byte_pieces(path)), read)


def _lines(path: Path, begin: DocumentPlace) -> Iterator[tuple[str, DocumentPlace]]:
    """Lines; their places are the offset in bytes and the number of the line that begins there."""
    offset, number = begin or (0, 1)
    for after, (line, end) in enumerate(lines_from(path, offset, number), start=number + 1):
        yield line, (end, after)


def _blocks(path: Path, begin: DocumentPlace) -> Iterator[tuple[str, DocumentPlace]]:
    for blank, lines in itertools.groupby(_lines(path, begin), lambda line: not line[0].strip()):
        if not blank:
            texts, afters = zip(*lines, strict=True)
            yield "\n".join(texts), afters[-1]


def _whole(path: Path, begin: DocumentPlace) -> Iterator[tuple[str, DocumentPlace]]:
    if not begin:
        yield read_text(path).replace("\r\n", "\n"), ("end",)


_TEXT: dict[str, Callable[[Path, DocumentPlace], Iterator[tuple[str, DocumentPlace]]]] = {
    "block": _blocks,
    "line": _lines,
    "file": _whole,
}


def _json_texts(path: Path, column: str, begin: DocumentPlace) -> Iterator[tuple[str, DocumentPlace]]:
    for line, after in _lines(path, begin):
        if not line.strip():
            continue
        number = after[1] - 1
        where = f"{path}, line {number}"
        if number == 1 and line.lstrip().startswith("["):
            raise InputError(f"{where}: {ARRAY_NOT_LINES}")
        try:
            row = json.loads(line)
        except json.JSONDecodeError as bad:
            raise InputError(
                f"{where}: not JSON ({bad.msg} at character {bad.pos}). Expected one object a line."
            ) from None
        if not isinstance(row, dict):
            raise InputError(f"{where}: expected a JSON object, not {type(row).__name__}.")
        _require_column(row, column, where)
        yield _text(row[column], column, where), after


def _parquet_texts(path: Path, column: str, begin: DocumentPlace) -> Iterator[tuple[str, DocumentPlace]]:
    (first,) = begin or (0,)
    for number, value in enumerate(_parquet_values(path, column, first), start=first + 1):
        yield _text(value, column, f"{path}, row {number}"), (number,)


def _parquet_values(path: Path, column: str, first: int) -> Iterator[Any]:
    """The values of a column from row ``first`` on; groups of rows before it are not read."""
    try:
        with parquet.ParquetFile(path) as file:
            _require_column(file.schema_arrow.names, column, str(path))
            ends = itertools.accumulate(file.metadata.row_group(i).num_rows for i in range(file.num_row_groups))
            before = [end for end in ends if end <= first]
            groups, skipped = range(len(before), file.num_row_groups), first - (before[-1] if before else 0)
            batches = file.iter_batches(ROWS_AT_A_TIME, row_groups=list(groups), columns=[column]) if groups else ()
            values = (value for batch in batches for value in batch.column(0).to_pylist())
            yield from itertools.islice(values, skipped, None)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as parquet: {_first_line(error)}") from None


# -- the hub -----------------------------------------------------------------------------------------------------------


def hub_corpus(
    dataset_name: str,
    config_name: str | None = None,
    split: str = "train",
    text_column: str = "text",
    streaming: bool = False,
) -> Corpus:
    """Makes a corpus of a data set on the hub, or of a local folder of data files: memory-mapped, or streamed.

    Raises `InputError` where it cannot be loaded or has no such split or column.
    """
    where = "/".join(filter(None, (dataset_name, config_name)))
    content = _content(Path(dataset_name))
    # datasets knows local files by path and time, which do not always change with what is in them.
    cache = None if content is None else Path(datasets.config.HF_DATASETS_CACHE) / "by_content" / content[:32]
    try:
        rows = load_dataset(dataset_name, config_name, split=split, streaming=streaming, cache_dir=cache)
        version = content or (_streamed_version(dataset_name, config_name) if streaming else rows._fingerprint)
    except Exception as error:  # the hub's client raises whatever its transport does
        raise InputError(f"{where}, {split}, cannot be loaded ({_first_line(error)}): check the name.") from None
    name = f"{where}, {split}"
    if rows.column_names is not None:  # not known of every stream
        _require_column(rows.column_names, text_column, name)
    fingerprint = _digest("hub", dataset_name, config_name, split, version, text_column)
    return Corpus(name, fingerprint, partial(_hub_texts, rows, text_column, name))


def _content(folder: Path) -> str | None:
    """Digest of the files of a local folder; None for the id of a data set on the hub."""
    if not folder.is_dir():
        return None
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = [_digest(str(path.relative_to(folder)), pieces=byte_pieces(path)) for path in files]
    return _digest(*parts)


def _streamed_version(dataset_name: str, config_name: str | None) -> str:
    """What changes with the data on the hub: the commit."""
    builder = load_dataset_builder(dataset_name, config_name)
    return f"{builder.config_id}/{builder.config.version}/{builder.hash}"


def _hub_texts(
    rows: Dataset | IterableDataset, column: str, name: str, begin: DocumentPlace
) -> Iterator[tuple[str, DocumentPlace]]:
    first = begin[0] if begin else 0
    values = (
        _streamed_values(rows, column, begin) if isinstance(rows, IterableDataset) else _values(rows, column, first)
    )
    try:
        for number, (value, *after) in enumerate(values, start=first + 1):
            yield _text(value, column, f"{name}, row {number}"), (number, *after)
    except InputError:
        raise
    except Exception as error:  # a stream raises whatever its transport and its format do
        raise InputError(f"{name} cannot be read: {_first_line(error)}") from None


def _values(rows: Dataset, column: str, first: int) -> Iterator[tuple[Any]]:
    texts = rows.select_columns([column])
    for start in range(first, len(texts), ROWS_AT_A_TIME):
        yield from ((value,) for value in texts[start : start + ROWS_AT_A_TIME][column])


def _streamed_values(rows: IterableDataset, column: str, begin: DocumentPlace) -> Iterator[tuple[Any, Any, int]]:
    """Values with the state of the stream where their batch begins and the number of values up to there in it."""
    _, state, used = begin or (0, None, 0)
    stream = rows.select_columns([column])  # new with each call, and so is its state
    if state is None:
        state = stream.state_dict()
    else:  # a stream that has loaded its state says that it is at its beginning until it is read (datasets 5.2)
        stream.load_state_dict(copy.deepcopy(state))
    for batch in stream.iter(ROWS_AT_A_TIME):
        for number, value in enumerate(batch[column][used:], start=used + 1):
            yield value, state, number
        used = 0
        state = stream.state_dict()


# -- rows --------------------------------------------------------------------------------------------------------------


def _require_column(columns: Iterable[str], column: str, where: str) -> None:
    columns = list(columns)
    if column not in columns:
        raise InputError(
            f"{where} has no column {column!r}: its columns are {', '.join(columns)}. "
            "Name the one that holds the text with --text_column."
        )


def _text(value: object, column: str, where: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{where}: column {column!r} must be text, not {reprlib.repr(value)}.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(value[error.start]):x}"
        raise InputError(f"{where}: column {column!r} holds {half} alone, half of a character in UTF-16.") from None
    return value


def _digest(*parts: object, pieces: Iterable[bytes] = ()) -> str:
    digest = hashlib.sha256(json.dumps(parts).encode())
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    cause = error.__cause__ if isinstance(error, DatasetGenerationError) else error
    return (str(cause).strip() or repr(cause)).splitlines()[0]
