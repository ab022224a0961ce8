"""Streams of packed rows without end: drawn from several sources, shuffled in blocks, gone on with from any row.

The rows of a block are drawn and shuffled by its number alone, so that all that a stream needs to go on with is where
its sources were when the block began. The block is then made again; nothing before it is.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alum.data.pretraining.row_cache import MarkedRows

RowSource = Callable[[Any], Iterator[MarkedRows]]
"""Gives the rows of a corpus from a mark on, or from its beginning where that is None."""


@dataclass(frozen=True)
class StreamPosition:
    """Where a stream is, of what JSON has.

    The next row is number ``row``; ``sources`` says where each source was when block ``block`` began: the mark before
    the rows that it was reading, and how many of these had been drawn.
    """

    row: int
    block: int
    sources: Sequence[tuple[Any, int]]


@dataclass(frozen=True)
class BlockShuffle:
    """Draws rows from sources, each with a probability proportional to its weight, and shuffles them in blocks."""

    sources: tuple[RowSource, ...]
    weights: tuple[float, ...]
    seed: int
    block_rows: int

    def rows(self, begin: StreamPosition | None = None, notes: Path | None = None) -> Iterator[list[int]]:
        """Gives the rows from a position on, without end.

        Before the first row of each block is given, a note of where the sources are is in the folder ``notes``.
        """
        if begin is None:
            begin = StreamPosition(0, 0, [(None, 0)] * len(self.sources))
        sources = [_Endless(source, *where) for source, where in zip(self.sources, begin.sources, strict=True)]
        rows = [iter(source) for source in sources]
        block, skipped = begin.block, begin.row - begin.block * self.block_rows
        while True:
            if notes is not None:
                where = [(source.mark, source.num_drawn) for source in sources]
                _write_note(notes, block * self.block_rows, {"block": block, "sources": where})
            rng = np.random.default_rng([self.seed, block])
            drawn = [next(rows[number]) for number in self._draws(rng)]
            yield from (drawn[index].tolist() for index in rng.permutation(self.block_rows)[skipped:])
            block, skipped = block + 1, 0

    def _draws(self, rng: np.random.Generator) -> NDArray[np.int64]:
        probabilities = np.array(self.weights) / sum(self.weights)
        return rng.choice(len(self.sources), self.block_rows, p=probabilities)


class _Endless:
    """Rows of a source, over and over, and where they are."""

    def __init__(self, source: RowSource, mark: Any, num_drawn: int) -> None:
        self._source = source
        self.mark, self.num_drawn = mark, num_drawn

    def __iter__(self) -> Iterator[NDArray[np.integer[Any]]]:
        while True:
            for rows, after in self._source(self.mark):
                for row in rows[self.num_drawn :]:
                    self.num_drawn += 1
                    yield row
                self.mark, self.num_drawn = after, 0
            self.mark, self.num_drawn = None, 0


# -- notes -------------------------------------------------------------------------------------------------------------


def _write_note(folder: Path, row: int, note: Mapping[str, Any]) -> None:
    """Writes a note, named by the row that it is of; whoever sees it sees the whole of it."""
    draft = folder / f"{row}.draft"
    draft.write_text(json.dumps(note), encoding="utf-8")
    os.replace(draft, folder / f"{row}.json")


def position_at(row: int, notes: Path) -> StreamPosition:
    """Tells where a stream is whose next row is number ``row``, by the notes that it left; forgets older ones.

    It is told from the block of the row before, which has a note for sure; whether the next block was begun depends on
    how far ahead rows are loaded.
    """
    begun = sorted(of_row for path in notes.glob("*.json") if (of_row := int(path.stem)) < max(row, 1))
    for of_row in begun[:-1]:
        (notes / f"{of_row}.json").unlink()
    return StreamPosition(row, **json.loads((notes / f"{begun[-1]}.json").read_text(encoding="utf-8")))


def write_position(file: Path, position: StreamPosition) -> None:
    """Writes a position, as a part of a checkpoint."""
    file.write_text(json.dumps(asdict(position)), encoding="utf-8")


def read_position(file: Path) -> StreamPosition:
    """Reads a position that `write_position` wrote."""
    return StreamPosition(**json.loads(file.read_text(encoding="utf-8")))
