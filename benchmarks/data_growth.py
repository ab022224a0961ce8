"""How memory and time of pre-training data grow with the text: ``python -m benchmarks.data_growth``.

Text is generated, files of growing size. Each is tokenised once, by so many processes; its rows are read in shuffled
order; a stream of the smaller ones is read to the end, and gone on with there. Each measurement is a process of its
own. Seconds are those of processors at work, of all processes together, since other programs disturb those of the
clock; memory is the part of each process in pages of no file (``Pss_Anon``), the most at a time: pages of files are in
memory as long as nobody else needs it. Figures go into ``data.json``, and ``data.md`` is made of them. Linux alone says
all that.
"""

import multiprocessing
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import BatchSampler
from transformers import AutoTokenizer

from alum.data.pretraining.corpora import file_corpus
from alum.data.pretraining.packing import Packing
from alum.data.pretraining.streams import position_at
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.training.parts.sampling import ShuffledRows
from benchmarks.data_page import PAGE
from benchmarks.records import Record, parser, progress

LENGTH_TOKENS = 128
NUM_WORDS = 20_000
WORDS_OF_DOCUMENT = 200
BATCH_SIZE = 32
MAX_READ_ROWS = 20_000
SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class Scale:
    """Sizes of the text, by how many processes each is tokenised, and up to which size it is streamed."""

    megabytes: tuple[float, ...]
    num_processes: tuple[int, ...]
    most_megabytes_streamed: float
    vocab_size: int


REHEARSAL = Scale((0.3, 0.6), (1, 2), 0.3, 300)


def write_text(file: Path, num_bytes: float) -> None:
    """Writes documents, a line each, of words with Zipf's frequencies; a block of them again and again."""
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = np.array(["".join(rng.choice(letters, size=length)) for length in rng.integers(2, 10, NUM_WORDS)])
    ranks = np.minimum(rng.zipf(1.2, (2000, WORDS_OF_DOCUMENT)) - 1, NUM_WORDS - 1)
    documents = [" ".join(words[of_document]) for of_document in ranks]
    with file.open("w") as text:
        number, written = 0, 0
        while written < num_bytes:
            written += text.write(f"{number} {documents[number % len(documents)]}\n")
            number += 1


# -- what is measured, in a process of its own ------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Folder of the benchmark, and the text that is measured."""

    folder: Path
    text: Path

    def packing(self) -> Packing:
        return Packing(AutoTokenizer.from_pretrained(self.folder / "tokenizer"), LENGTH_TOKENS)


def tokenised(place: Place, num_processes: int) -> dict[str, Any]:
    """Makes the file of rows, in a cache for each number of processes."""
    corpus = file_corpus(place.text, "line")
    cache = place.folder / f"{place.text.stem}-{num_processes}"
    return {"num_rows": len(place.packing().dataset(corpus, cache, num_processes))}


def read(place: Place, num_processes: int) -> dict[str, Any]:
    """Reads rows in batches, in the order of training, of the file that was made before."""
    corpus = file_corpus(place.text, "line")
    rows = place.packing().dataset(corpus, place.folder / f"{place.text.stem}-{num_processes}").with_format("numpy")
    batches = BatchSampler(ShuffledRows(len(rows), 0, lambda: 0), BATCH_SIZE, drop_last=True)
    return {"num_read": sum(len(rows[batch]["input_ids"]) for batch in islice(batches, MAX_READ_ROWS // BATCH_SIZE))}


def streamed(place: Place, num_rows: int) -> dict[str, Any]:
    """Reads a stream up to a row and goes on there, and counts the processor seconds of both."""
    packing, corpus = place.packing(), file_corpus(place.text, "line")
    with tempfile.TemporaryDirectory() as notes:
        start = time.process_time()
        for _ in islice(packing.stream([corpus], [1.0], 0, notes=Path(notes)), num_rows):
            pass
        position, seconds = position_at(num_rows, Path(notes)), time.process_time() - start
    start = time.process_time()
    next(iter(packing.stream([corpus], [1.0], 0, begin=position)))
    return {"seconds_before": seconds, "seconds_to_go_on": time.process_time() - start}


def measured(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Runs a measurement in a new process: what it found, its processor seconds, its most memory and that before it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_worked, args=(theirs, work, arguments))
    process.start()
    before, ended, peak = ours.recv(), threading.Event(), [0]
    watch = threading.Thread(target=_watch, args=(process.pid, ended, peak))
    watch.start()
    ours.send("go")
    try:
        found = ours.recv()
    finally:
        ended.set()
        watch.join()
        process.join()
    return {**found, "bytes_before": before, "peak_bytes": max(peak[0], before)}


def _worked(pipe: Connection, work: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> None:
    pipe.send(_anonymous_bytes(os.getpid()))
    pipe.recv()
    start, began = _processor_seconds(), time.perf_counter()
    found = work(*arguments)
    seconds = {"processor_seconds": _processor_seconds() - start, "seconds": time.perf_counter() - began}
    pipe.send({**found, **seconds})


def _processor_seconds() -> float:
    """Of this process and of those of its children that have ended."""
    return sum(os.times()[:4])


def _watch(pid: int, ended: threading.Event, peak: list[int]) -> None:
    while not ended.wait(SECONDS_BETWEEN_LOOKS):
        peak[0] = max(peak[0], sum(map(_anonymous_bytes, [pid, *_children(pid)])))


def _children(pid: int) -> list[int]:
    try:
        lists = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # a thread has ended meanwhile
        return []
    return [int(child) for children in lists for child in children.split()]


def _anonymous_bytes(pid: int) -> int:
    """Proportional share of a process in pages of no file; 0 of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:")), 0)


# -- all of it ---------------------------------------------------------------------------------------------------------


def rows_of(scale: Scale, folder: Path) -> list[dict[str, Any]]:
    """A row for each size: text and caches are deleted before the next."""
    found = []
    for megabytes in scale.megabytes:
        progress(f"{megabytes} MB")
        text = folder / f"{megabytes}.txt"
        write_text(text, megabytes * 1e6)
        place = Place(folder, text)
        by_processes = {str(number): measured(tokenised, place, number) for number in scale.num_processes}
        row = {
            "megabytes": megabytes,
            "tokenised": by_processes,
            "read": measured(read, place, scale.num_processes[-1]),
        }
        if megabytes <= scale.most_megabytes_streamed:
            row["streamed"] = measured(streamed, place, next(iter(by_processes.values()))["num_rows"])
        text.unlink()
        for cache in folder.glob(f"{megabytes}-*/*"):
            cache.unlink()
        found.append(row)
    return found


def main() -> None:
    flags = parser(__doc__)
    flags.add_argument("--megabytes", type=float, nargs="+", default=[20, 80, 320], help="sizes of the text")
    flags.add_argument("--num_processes", type=int, nargs="+", default=[1, 2], help="by how many each is tokenised")
    flags.add_argument("--streamed", type=float, default=80, help="the largest text that is streamed, in megabytes")
    given = flags.parse_args()
    full = Scale(tuple(given.megabytes), tuple(given.num_processes), given.streamed, 8192)
    scale, record = REHEARSAL if given.rehearse else full, Record()
    with tempfile.TemporaryDirectory(prefix="alum-data-") as name:
        folder = Path(name)
        write_text(folder / "sample.txt", 3e5)
        sample = list(file_corpus(folder / "sample.txt", "line"))
        train_wordpiece(sample, scale.vocab_size, LENGTH_TOKENS).save_pretrained(folder / "tokenizer")
        rows = rows_of(scale, folder)
    PAGE.write_with(record.with_results(rows=rows, max_read_rows=MAX_READ_ROWS), given.output_dir)


if __name__ == "__main__":
    main()
