import json
import os
import pickle
import re
import shutil
import tracemalloc
from pathlib import Path

import datasets
import pyarrow as pa
import pytest
from pyarrow import parquet

from alum.core.errors import InputError
from alum.data.pretraining.corpora import chained, file_corpus, held_back, hub_corpus, joined_corpus
from places import DATA
from tiny_texts import write_rows

CORPORA = DATA / "corpora"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "text.txt"


def corpus_of(path, count):
    """A corpus of the documents d1, d2, …"""
    return file_corpus(write_rows(path, [{"text": f"d{number}"} for number in range(1, count + 1)]))


# -- plain text --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("unit", "documents"),
    [
        ("block", ["One.\n Still one.", "Two.", "Three."]),
        ("line", ["One.", "Still one.", "Two.", "Three."]),
        ("file", ["One.\n Still one.\n\n\n\nTwo.\n \t\nThree."]),
    ],
)
def test_a_document_is_a_block_a_line_or_the_file(file, unit, documents, newline):
    lines = ["", "  One.", " Still one.", "", "", "", "Two.", " \t", "Three.", "", ""]
    file.write_bytes(newline.join(lines).encode())
    assert list(file_corpus(file, unit)) == documents


def test_a_corpus_can_be_read_again_and_again_also_half_way(file):
    file.write_text("one\n\ntwo\n\nthree")
    corpus = file_corpus(file)
    assert next(iter(corpus)) == "one"
    assert list(corpus) == list(corpus) == ["one", "two", "three"]


@pytest.mark.data
def test_the_blocks_of_a_real_corpus():
    path = CORPORA / "brown.txt"
    if not path.is_file():
        pytest.skip(f"needs {path}: set ALUM_DATA to the folder of the data")
    blocks = re.split(r"\n\s*\n", path.read_text(encoding="utf-8"))
    assert list(file_corpus(path)) == [block.strip() for block in blocks if block.strip()]


@pytest.mark.slow
def test_a_large_file_is_read_in_little_memory(file):
    document = "A line of a document.\nAnd another one.\n\n"
    count = 200_000
    file.write_text(document * count)
    corpus = file_corpus(file)
    tracemalloc.start()
    assert sum(1 for _ in corpus) == count
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(document) * count / 2


def test_what_is_in_a_file_is_complained_of_when_it_is_read(file):
    file.write_bytes(b"one\n\ntwo\n\ncaf\xe9")
    documents = iter(file_corpus(file, "line"))
    with pytest.raises(InputError, match=r"not UTF-8: byte 0xe9 at offset 13 \(line 5\)"):
        list(documents)


def test_a_missing_file_is_complained_of_at_once(file):
    with pytest.raises(InputError, match=r"no file at .*text\.txt"):
        file_corpus(file)


def test_an_unknown_unit_is_refused(file):
    file.write_text("text")
    with pytest.raises(InputError, match="block, line, file, not 'page'"):
        file_corpus(file, "page")


# -- rows --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["text.jsonl", "text.json", "TEXT.JSONL"])
def test_json_lines(tmp_path, name):
    file = tmp_path / name
    file.write_text(
        '{"text": " one\\n\\nstill one "}\n\n{"id": 2, "text": "Grü\\u00dfe \\ud834\\udd1e"}\r\n{"text": ""}'
    )
    assert list(file_corpus(file)) == ["one\n\nstill one", "Grüße 𝄞"]


def test_another_column(tmp_path):
    file = write_rows(tmp_path / "rows.jsonl", [{"title": "a", "body": "b"}])
    assert list(file_corpus(file, text_column="body")) == ["b"]


@pytest.mark.parametrize("content", ['[{"text": "a"}]', '[\n  {"text": "a"}\n]', "[]"])
def test_a_json_array_is_refused_with_what_makes_lines_of_it(tmp_path, content):
    (tmp_path / "rows.json").write_text(content)
    with pytest.raises(InputError, match=r"rows\.json, line 1: a JSON array, where one object a line .*json\.load"):
        list(file_corpus(tmp_path / "rows.json"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"', "line 3: not JSON .*at character 12.*one object a line"),
        ('["a"]', "line 3: expected a JSON object, not list"),
        ('{"body": "a", "id": 1}', r"line 3 has no column 'text': its columns are body, id\..*--text_column"),
        ('{"text": 5}', "line 3: column 'text' must be text, not 5"),
        ('{"text": null}', "line 3: column 'text' must be text, not None"),
        ('{"text": "a\\ud834b"}', r"line 3: column 'text' holds \\ud834 alone"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    file = tmp_path / "rows.jsonl"
    file.write_text(f'{{"text": "fine"}}\n\n{line}\n')
    documents = iter(file_corpus(file))
    assert next(documents) == "fine"
    with pytest.raises(InputError, match=rf"rows\.jsonl, {message}"):
        next(documents)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet(tmp_path, kind):
    texts = [f"document {number}" for number in range(2500)] + [" "]
    table = pa.table({"id": range(2501), "text": pa.array(texts).cast(kind)})
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=700)
    assert list(file_corpus(tmp_path / "rows.parquet")) == texts[:-1]


def test_bad_parquet_is_named(tmp_path):
    file = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"text": ["a"] * 1200 + [None]}), file, row_group_size=1000)
    with pytest.raises(InputError, match=r"rows\.parquet, row 1201: column 'text' must be text, not None"):
        list(file_corpus(file))
    with pytest.raises(InputError, match=r"rows\.parquet has no column 'body': its columns are text"):
        list(file_corpus(file, text_column="body"))
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"rows\.parquet cannot be read as parquet"):
        list(file_corpus(file))


# -- fingerprints ------------------------------------------------------------------------------------------------------


def test_the_fingerprint_is_that_of_the_content(tmp_path, file):
    file.write_text("one\n\ntwo")
    first = file_corpus(file).fingerprint
    os.utime(file, (1, 1))
    (tmp_path / "elsewhere").mkdir()
    copied = shutil.copy(file, tmp_path / "elsewhere" / "copy.md")
    assert file_corpus(file).fingerprint == file_corpus(copied).fingerprint == first
    assert int(first, 16)
    file.write_text("one\n\ntwO")
    assert file_corpus(file).fingerprint != first


def test_the_fingerprint_is_that_of_how_documents_are_made(tmp_path):
    rows = '{"text": "a", "body": "b"}'
    for name in ("rows.txt", "rows.jsonl"):
        (tmp_path / name).write_text(rows)
    text, lines = tmp_path / "rows.txt", tmp_path / "rows.jsonl"
    corpora = [file_corpus(text, unit) for unit in ("block", "line", "file")]
    corpora += [file_corpus(lines, text_column=column) for column in ("text", "body")]
    assert len({corpus.fingerprint for corpus in corpora}) == 5
    # What plays no part leaves it alone.
    assert file_corpus(text, text_column="body").fingerprint == corpora[0].fingerprint
    assert file_corpus(lines, "file").fingerprint == corpora[3].fingerprint


# -- parts and wholes --------------------------------------------------------------------------------------------------


def test_each_nth_document_is_held_back(tmp_path):
    rest, held = held_back(corpus_of(tmp_path / "a.jsonl", 7), every=3)
    assert list(held) == list(held) == ["d3", "d6"]
    assert list(rest) == list(rest) == ["d1", "d2", "d4", "d5", "d7"]
    assert held.name == f"the part of {rest.name} held back for validation"


def test_parts_have_fingerprints_of_their_own(tmp_path):
    corpora = [corpus_of(tmp_path / f"{count}.jsonl", count) for count in (7, 8)]
    parts = [part for corpus in corpora for every in (2, 3) for part in (corpus, *held_back(corpus, every))]
    assert len({part.fingerprint for part in parts}) == 2 * (1 + 2 + 2)
    again = held_back(corpus_of(tmp_path / "again.jsonl", 7), 2)
    assert [part.fingerprint for part in again] == [part.fingerprint for part in parts[1:3]]


def test_too_few_documents_to_hold_any_back_are_counted(tmp_path):
    _, held = held_back(corpus_of(tmp_path / "a.jsonl", 19))
    with pytest.raises(InputError, match=r"19 documents are too few to hold one in 20 of .*a\.jsonl back.*blank lines"):
        list(held)


def test_holding_everything_back_is_refused(tmp_path):
    with pytest.raises(InputError, match="every must be 2 or more"):
        held_back(corpus_of(tmp_path / "a.jsonl", 3), every=1)


def test_corpora_in_a_chain_can_be_read_again_and_again(tmp_path):
    chain = chained([corpus_of(tmp_path / "a.jsonl", 2), corpus_of(tmp_path / "b.jsonl", 1)])
    assert list(chain) == list(chain) == ["d1", "d2", "d1"]


def test_corpora_can_be_sent_to_other_processes(tmp_path):
    corpora = held_back(corpus_of(tmp_path / "a.jsonl", 7), 3)
    assert [list(corpus) for corpus in pickle.loads(pickle.dumps(corpora))] == [list(corpus) for corpus in corpora]


# -- the hub, in the shape of a local folder ---------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "data"
    folder.mkdir()
    write_rows(folder / "train.jsonl", [{"id": number, "text": f" d{number}\n"} for number in range(2500)])
    write_rows(folder / "validation.jsonl", [{"id": 0, "text": "one"}, {"id": 1, "text": ""}, {"id": 2, "text": "two"}])
    return folder


@pytest.mark.parametrize("streaming", [False, True])
def test_a_data_set_of_the_hub(folder, streaming):
    corpus = hub_corpus(str(folder), streaming=streaming)
    assert list(corpus) == list(corpus) == [f"d{number}" for number in range(2500)]
    assert list(hub_corpus(str(folder), split="validation", streaming=streaming)) == ["one", "two"]
    assert corpus.name == f"{folder}, train"


def test_a_data_set_in_memory_mapped_files_is_not_in_memory(folder):
    corpus = hub_corpus(str(folder))
    files = [Path(file["filename"]) for file in corpus.read.args[0].cache_files]
    assert [file.is_relative_to(folder.parent / "cache") for file in files] == [True]


@pytest.mark.parametrize("streaming", [False, True])
def test_the_fingerprint_of_a_data_set_follows_its_content(folder, streaming):
    def fingerprint(**settings):
        return hub_corpus(str(folder), streaming=streaming, **settings).fingerprint

    first = fingerprint()
    assert fingerprint() == first
    assert len({first, fingerprint(split="validation"), fingerprint(text_column="id")}) == 3
    write_rows(folder / "train.jsonl", [{"id": 0, "text": "other"}])
    os.utime(folder / "train.jsonl", (1, 1))
    assert fingerprint() != first


@pytest.mark.parametrize("streaming", [False, True])
def test_a_data_set_that_was_written_again_is_read_again(folder, streaming):
    """With the size and the times that it had."""
    fingerprints = []
    for text in ("old", "new"):
        write_rows(folder / "train.jsonl", [{"id": 0, "text": text}])
        os.utime(folder / "train.jsonl", (1_000_000_000, 1_000_000_000))
        corpus = hub_corpus(str(folder), streaming=streaming)
        assert list(corpus) == [text]
        fingerprints.append(corpus.fingerprint)
    assert len(set(fingerprints)) == 2


@pytest.mark.parametrize("streaming", [False, True])
def test_what_a_data_set_does_not_have_is_named(folder, streaming):
    with pytest.raises(InputError, match=r"data, test, cannot be loaded \(.*train.*\)"):
        hub_corpus(str(folder), split="test", streaming=streaming)
    with pytest.raises(InputError, match="data, train has no column 'body': its columns are id, text"):
        hub_corpus(str(folder), text_column="body", streaming=streaming)
    with pytest.raises(InputError, match="data, train, row 1: column 'id' must be text, not 0"):
        list(hub_corpus(str(folder), text_column="id", streaming=streaming))
    with pytest.raises(InputError, match=r"data/small, train, cannot be loaded \(.*small.*\)"):
        hub_corpus(str(folder), "small", streaming=streaming)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_data_set_that_is_nowhere_is_named(streaming):
    with pytest.raises(InputError, match=r"no-one/nothing, train, cannot be loaded \(.*\): check the name"):
        hub_corpus("no-one/nothing", streaming=streaming)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_malformed_file_of_a_data_set_is_complained_of(folder, streaming):
    with (folder / "train.jsonl").open("a") as file:
        file.write('{"text": ')
    with pytest.raises(InputError, match=r"data, train,? cannot be (loaded|read).*JSON parse error"):
        list(hub_corpus(str(folder), streaming=streaming))


# -- places ------------------------------------------------------------------------------------------------------------


def read_from_every_place(corpus):
    """The documents read from the place after each of them on, where the place went through JSON."""
    places = [json.loads(json.dumps(after)) for _, after in corpus.documents()]
    return [[document for document, _ in corpus.documents(place)] for place in places]


def tails(corpus):
    documents = list(corpus)
    assert documents
    return [documents[number:] for number in range(1, len(documents) + 1)]


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte order mark"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("unit", ["block", "line", "file"])
def test_text_can_be_read_from_any_document_on(file, unit, newline, start):
    lines = ["", "  Grüße.", " Still one.", "", "", "漢字 two.", " \t", "Three.", "more", "", "Four."]
    file.write_bytes(start + newline.join(lines).encode())
    corpus = file_corpus(file, unit)
    assert read_from_every_place(corpus) == tails(corpus)


def test_rows_of_json_can_be_read_from_any_document_on(tmp_path):
    texts = ["one", "", "grün\nzwei", "three"]
    write_rows(tmp_path / "a.jsonl", [{"text": text} for text in texts])
    corpus = file_corpus(tmp_path / "a.jsonl")
    assert read_from_every_place(corpus) == tails(corpus)


def test_a_bad_row_has_its_number_wherever_reading_began(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n\n{"text": "two"}\n{"text": 3}\n')
    corpus = file_corpus(tmp_path / "a.jsonl")
    _, after = next(corpus.documents())
    with pytest.raises(InputError, match=r"a\.jsonl, line 4: column 'text' must be text, not 3"):
        list(corpus.documents(after))


def test_parquet_can_be_read_from_any_document_on_and_groups_before_it_are_not_read(tmp_path, monkeypatch):
    table = pa.table({"text": [f"d{number}" for number in range(10)]})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=3)
    corpus = file_corpus(tmp_path / "a.parquet")
    assert read_from_every_place(corpus) == tails(corpus)
    asked, iterated = [], parquet.ParquetFile.iter_batches

    def noted(self, *args, **settings):
        asked.append(settings["row_groups"])
        return iterated(self, *args, **settings)

    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", noted)
    assert [document for document, _ in corpus.documents((7,))] == ["d7", "d8", "d9"]
    assert asked == [[2, 3]]


def test_parts_and_joined_corpora_can_be_read_from_any_document_on(tmp_path):
    first, second = corpus_of(tmp_path / "a.jsonl", 7), corpus_of(tmp_path / "b.jsonl", 5)
    for corpus in (*held_back(first, 3), joined_corpus([first, second]), joined_corpus([*held_back(second, 2), first])):
        assert read_from_every_place(corpus) == tails(corpus)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_data_set_can_be_read_from_any_document_on(folder, streaming, monkeypatch):
    monkeypatch.setattr("alum.data.pretraining.corpora.ROWS_AT_A_TIME", 4)
    for file in folder.iterdir():
        file.unlink()
    for part in range(3):
        rows = [{"text": f"d{part}-{number}" if number % 5 else ""} for number in range(7)]
        write_rows(folder / f"train-{part}.jsonl", rows)
    corpus = hub_corpus(str(folder), streaming=streaming)
    assert len(list(corpus)) == 3 * 5
    assert read_from_every_place(corpus) == tails(corpus)
    assert read_from_every_place(corpus) == tails(corpus)  # reading has left nothing behind


@pytest.mark.parametrize("streaming", [False, True])
def test_places_of_a_reading_that_went_on_are_places_too(folder, streaming, monkeypatch):
    """As of a run that was stopped twice."""
    monkeypatch.setattr("alum.data.pretraining.corpora.ROWS_AT_A_TIME", 4)
    for file in folder.iterdir():
        file.unlink()
    for part in range(2):
        write_rows(folder / f"train-{part}.jsonl", [{"text": f"d{part}-{number}"} for number in range(6)])
    corpus = hub_corpus(str(folder), streaming=streaming)
    documents = list(corpus)
    for first, (_, place) in enumerate(corpus.documents(), start=1):
        for second, (_, later) in enumerate(corpus.documents(place), start=first + 1):
            assert [document for document, _ in corpus.documents(later)] == documents[second:]


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_tables_are_no_text(tmp_path, ending):
    file = tmp_path / f"table.{ending}"
    file.write_text("text,label\na film,1\n")
    with pytest.raises(InputError, match="not a table"):
        file_corpus(file)
