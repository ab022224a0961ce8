import io
import math
import os
import pickle
import random
import re
import shutil
import signal
import sys
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset, enable_progress_bars
from pyarrow import parquet
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.utils.data import DataLoader
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    ByT5Tokenizer,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from alum.core.errors import InputError
from alum.data.pretraining import packing as packing_module
from alum.data.pretraining import row_cache
from alum.data.pretraining.corpora import file_corpus, held_back
from alum.data.pretraining.packing import Packing, default_cache_dir, mixed
from alum.data.pretraining.streams import position_at, read_position, write_position
from alum.data.pretraining.tokenizer import train_byte_level_bpe, train_wordpiece
from fresh_processes import fresh_processes
from places import DATA
from tiny_texts import sentence, write_text

CORPORA = DATA / "corpora"
CLS, SEP = 2, 3
LENGTH = 16


@pytest.fixture(scope="module")
def documents():
    rng = random.Random(0)
    return [" ".join(sentence(rng) for _ in range(count)) for count in (3, 1, 5, 2)]


@pytest.fixture(scope="module")
def tokenizer(documents):
    return train_wordpiece(documents, 80, LENGTH)


@pytest.fixture(scope="module")
def byte_level(documents):
    return train_byte_level_bpe(documents, 300, LENGTH, "causal_lm")


@pytest.fixture
def corpus(tmp_path):
    return file_corpus(write_text(tmp_path / "text.txt"))


def in_rows(stream, body, before=(), after=()):
    """A stream of tokens cut into rows, one token at a time."""
    rows, row = [], []
    for token in stream:
        row.append(token)
        if len(row) == body:
            rows.append([*before, *row, *after])
            row = []
    return rows


# -- masked language modelling -----------------------------------------------------------------------------------------


def test_sequences_have_exactly_the_length_between_cls_and_sep(documents, tokenizer):
    rows = list(Packing(tokenizer, LENGTH).rows(documents))
    assert rows
    assert {(len(row), row[0], row[-1], row.count(CLS)) for row in rows} == {(LENGTH, CLS, SEP, 1)}


def test_nothing_is_lost_but_the_tail(documents, tokenizer):
    stream = []
    for document in documents:
        stream += [*tokenizer(document, add_special_tokens=False)["input_ids"], SEP]
    packed = [token for row in Packing(tokenizer, LENGTH).rows(documents) for token in row[1:-1]]
    assert packed == stream[: len(packed)]
    assert len(stream) - len(packed) < LENGTH - 2


def test_a_text_that_fills_sequences_exactly_has_no_tail(tokenizer):
    word = tokenizer.convert_ids_to_tokens(tokenizer("the", add_special_tokens=False)["input_ids"])
    assert len(word) == 1
    # 2 · 14 tokens: 27 words and the document's [SEP].
    rows = list(Packing(tokenizer, LENGTH).rows([" ".join(["the"] * 27)]))
    assert [len(row) for row in rows] == [LENGTH, LENGTH]
    assert rows[-1][-2:] == [SEP, SEP]


@pytest.mark.parametrize("length", [2, 0, -3])
def test_a_length_without_room_for_text_is_refused(tokenizer, length):
    with pytest.raises(InputError, match=f"max_seq_length must be 3 or more, room for .* not {length}"):
        Packing(tokenizer, length)


def test_a_tokenizer_without_a_mask_token_is_refused(documents):
    tokenizer = train_wordpiece(documents, 80, LENGTH)
    tokenizer.mask_token = None
    with pytest.raises(InputError, match=r"no \[CLS\], \[SEP\] or \[MASK\]"):
        Packing(tokenizer, LENGTH)


# -- causal language modelling -----------------------------------------------------------------------------------------


def test_causal_sequences_are_the_plain_stream_with_an_end_after_each_document(documents, byte_level):
    stream = []
    for document in documents:
        stream += [*byte_level(document)["input_ids"], byte_level.eos_token_id]
    rows = list(Packing(byte_level, LENGTH, "causal_lm").rows(documents))
    assert len(rows) > 3
    assert rows == in_rows(stream, LENGTH)


def test_a_tokenizer_in_python_packs_as_well():
    # ByT5: byte b has the id b + 3, the end is 1.
    documents = ["Grüße", "a</s>b", "x" * 40]
    stream = [token for document in documents for token in [*(byte + 3 for byte in document.encode()), 1]]
    assert list(Packing(ByT5Tokenizer(), 7, "causal_lm").rows(documents)) == in_rows(stream, 7)


def test_the_separator_is_what_ends_documents(tokenizer, byte_level):
    assert Packing(tokenizer, LENGTH).separator_id == SEP
    assert Packing(byte_level, LENGTH, "causal_lm").separator_id == byte_level.eos_token_id


def test_a_causal_length_without_a_next_token_is_refused(byte_level):
    assert len(next(Packing(byte_level, 2, "causal_lm").rows(["the cat"]))) == 2
    with pytest.raises(InputError, match="max_seq_length must be 2 or more, room for a token and the next, not 1"):
        Packing(byte_level, 1, "causal_lm")


def test_a_tokenizer_without_an_end_is_refused(tokenizer):
    with pytest.raises(InputError, match="no end-of-sequence token"):
        Packing(tokenizer, LENGTH, "causal_lm")


def test_an_unknown_objective_is_refused(tokenizer):
    with pytest.raises(InputError, match="masked_lm, causal_lm, not 'span'"):
        Packing(tokenizer, LENGTH, "span")


# -- text and tokenizers as they are -----------------------------------------------------------------------------------


def test_special_tokens_spelled_out_in_a_text_are_text(byte_level):
    documents = ["an <|endoftext|> and <|padding|> in words", "the end"]
    packed = [token for row in Packing(byte_level, 2, "causal_lm").rows(documents) for token in row]
    end = packed.index(byte_level.eos_token_id)
    assert byte_level.decode(packed[:end]) == documents[0]
    assert not set(byte_level.all_special_ids) & set(packed[:end])


def test_special_tokens_spelled_out_are_pieces_of_words(tokenizer):
    text = "the [SEP] and [MASK] and [CLS]"
    packed = [token for row in Packing(tokenizer, 3).rows([text]) for token in row[1:-1]]
    pieces = tokenizer.convert_ids_to_tokens(packed)
    assert pieces.count("[SEP]") == 1  # the document's end
    assert not {"[MASK]", "[CLS]"} & set(pieces)


def test_a_vocabulary_that_holds_special_tokens_as_words_leaves_them_out():
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("<mask>", 0.0), ("▁", -1.0), ("a", -1.0), ("b", -1.0)]
    backend = Tokenizer(models.Unigram(pieces, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "mask_token": "<mask>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **names)
    # "▁a", unknown, "▁b" and the end
    assert list(Packing(tokenizer, 8).rows(["a?</s> <mask>b"])) == [[1, 4, 5, 0, 4, 6, 2, 2]]


def test_the_tokenizer_is_left_as_it_was(documents):
    tokenizer = train_wordpiece(documents, 80, LENGTH)
    backend = tokenizer.backend_tokenizer
    backend.enable_truncation(5)
    backend.enable_padding(length=5)
    before = backend.to_str()
    rows = list(Packing(tokenizer, LENGTH).rows(documents))
    assert len(rows) == len(list(Packing(train_wordpiece(documents, 80, LENGTH), LENGTH).rows(documents)))
    assert backend.to_str() == before
    assert not backend.encode_special_tokens
    assert backend.encode("[SEP]", add_special_tokens=False).ids[0] == SEP


@pytest.mark.parametrize(("name", "value"), [("BATCH_DOCUMENTS", 2), ("BATCH_CHARACTERS", 50)])
def test_how_much_is_tokenised_at_once_plays_no_part(documents, tokenizer, monkeypatch, name, value):
    rows = list(Packing(tokenizer, LENGTH).rows(documents))
    monkeypatch.setattr(packing_module, name, value)
    assert list(Packing(tokenizer, LENGTH).rows(documents)) == rows


@pytest.mark.parametrize(("name", "value"), [("BATCH_DOCUMENTS", 10), ("BATCH_CHARACTERS", 220)])
def test_documents_are_read_as_rows_are_asked_for(tokenizer, monkeypatch, name, value):
    monkeypatch.setattr(packing_module, name, value)
    read = []

    def endless():
        while True:
            read.append("the cat sees the dog .")
            yield read[-1]

    assert len(list(islice(Packing(tokenizer, LENGTH).rows(endless()), 5))) == 5
    assert len(read) <= 20


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("objective", ["masked_lm", "causal_lm"])
def test_a_real_corpus_is_packed_as_one_call_of_the_tokenizer_has_it(tmp_path, objective):
    path = CORPORA / "brown.txt"
    if not path.is_file():
        pytest.skip(f"needs {path}: set ALUM_DATA to the folder of the data")
    documents = [block.strip() for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")) if block.strip()]
    masked = objective == "masked_lm"
    train = train_wordpiece if masked else train_byte_level_bpe
    tokenizer = train(documents[::20], 2000, 64, *([] if masked else [objective]))
    end = tokenizer.sep_token_id if masked else tokenizer.eos_token_id
    stream = []
    for ids in tokenizer(documents, add_special_tokens=False)["input_ids"]:
        stream += [*ids, end]
    body = 62 if masked else 64
    count = len(stream) // body
    expected = np.array(stream[: count * body]).reshape(count, body)
    rows = np.array(
        Packing(tokenizer, 64, objective).dataset(file_corpus(path), tmp_path).with_format("numpy")["input_ids"][:]
    )
    if masked:
        assert (rows[:, 0] == tokenizer.cls_token_id).all()
        assert (rows[:, -1] == end).all()
        rows = rows[:, 1:-1]
    assert np.array_equal(rows, expected)


# -- on disk -----------------------------------------------------------------------------------------------------------


class Counted(PreTrainedTokenizerFast):
    """Counts the calls of all its copies."""

    num_calls = 0

    def __call__(self, *args, **settings):
        Counted.num_calls += 1
        return super().__call__(*args, **settings)


@pytest.fixture
def counted(documents):
    Counted.num_calls = 0
    tokenizer = train_byte_level_bpe(documents, 300, LENGTH)
    names = {name: getattr(tokenizer, name) for name in ("cls_token", "sep_token", "pad_token", "mask_token")}
    return Counted(tokenizer_object=tokenizer.backend_tokenizer, **names)


def entries(folder):
    """Names, times and inodes of the files of a folder."""
    return {(path.name, path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.iterdir()}


def test_the_rows_are_on_disk_and_memory_mapped(corpus, tokenizer, tmp_path):
    cache = tmp_path / "new" / "cache"
    rows = Packing(tokenizer, LENGTH).dataset(corpus, cache)
    assert rows.column_names == ["input_ids"]
    assert rows["input_ids"][:] == list(Packing(tokenizer, LENGTH).rows(corpus))
    assert [Path(file["filename"]) for file in rows.cache_files] == list(cache.iterdir())
    assert pickle.loads(pickle.dumps(rows)).to_list() == rows.to_list()


def test_a_corpus_is_tokenised_once(corpus, counted, tmp_path):
    cache = tmp_path / "cache"
    first = Packing(counted, LENGTH).dataset(corpus, cache)
    assert Counted.num_calls > 0
    made, Counted.num_calls = entries(cache), 0
    second = Packing(counted, LENGTH).dataset(corpus, cache)
    assert Counted.num_calls == 0
    assert entries(cache) == made
    assert second.to_list() == first.to_list()


def test_the_same_content_is_found_wherever_it_and_the_tokenizer_are_from(corpus, counted, tmp_path):
    cache = tmp_path / "cache"
    Packing(counted, LENGTH).dataset(corpus, cache)
    made = entries(cache)
    copied = shutil.copy(tmp_path / "text.txt", tmp_path / "copy.txt")
    Packing(counted, LENGTH).dataset(file_corpus(copied), cache)
    counted("the", truncation=True, padding="max_length", max_length=3)  # which it remembers
    Packing(counted, LENGTH).dataset(corpus, cache)
    counted.save_pretrained(tmp_path / "tokenizer")
    Packing(AutoTokenizer.from_pretrained(tmp_path / "tokenizer"), LENGTH).dataset(corpus, cache)
    assert entries(cache) == made


def test_rows_are_made_anew_for_whatever_they_depend_on(tokenizer, byte_level, documents, tmp_path):
    text = "the cat sees the dog . " * 200
    (tmp_path / "a.txt").write_text(text)
    (tmp_path / "b.txt").write_text(text[:-3] + "! ")
    corpora = [file_corpus(tmp_path / "a.txt", "line"), file_corpus(tmp_path / "b.txt", "line")]
    larger = train_wordpiece(documents, 90, LENGTH)
    named = train_wordpiece(documents, 80, LENGTH)
    named.add_tokens(["cat"])
    swapped = train_wordpiece(documents, 80, LENGTH)
    swapped.cls_token, swapped.sep_token = "[SEP]", "[CLS]"
    maskless = train_wordpiece(documents, 80, LENGTH)
    maskless.mask_token = "[PAD]"
    both = train_byte_level_bpe(documents, 300, LENGTH)
    packings = [Packing(tokenizer, LENGTH), Packing(tokenizer, LENGTH + 1)]
    packings += [Packing(other, LENGTH) for other in (larger, named, swapped, maskless)]
    packings += [Packing(both, LENGTH), Packing(both, LENGTH, "causal_lm")]
    for number, packing in enumerate(packings):
        for corpus in corpora:
            rows = packing.dataset(corpus, tmp_path / "cache")
            assert rows["input_ids"][:] == list(packing.rows(corpus))
        assert len(list((tmp_path / "cache").iterdir())) == 2 * (number + 1)


@pytest.mark.parametrize(("num_words", "kind"), [(2**16 - 4, "uint16"), (2**16 - 3, "int32")])
def test_ids_take_two_bytes_where_these_hold_the_vocabulary(tmp_path, num_words, kind):
    words = ["[UNK]", "[CLS]", "[SEP]", "[MASK]", *map(str, range(num_words))]
    backend = Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, **names)
    (tmp_path / "text.txt").write_text(f"{num_words - 1} 0 {num_words - 1}")
    rows = Packing(tokenizer, 5).dataset(file_corpus(tmp_path / "text.txt"), tmp_path / "cache")
    assert rows.to_list() == [{"input_ids": [1, num_words + 3, 4, num_words + 3, 2]}]
    assert rows.features["input_ids"].feature.dtype == kind


def test_too_little_text_is_refused_with_its_size(tokenizer, tmp_path):
    (tmp_path / "notes.txt").write_text("the the")
    with pytest.raises(InputError, match=r"notes\.txt has 3 tokens, too few for one sequence of 16.*max_seq_length"):
        Packing(tokenizer, LENGTH).dataset(file_corpus(tmp_path / "notes.txt"), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_bad_text_leaves_nothing_behind(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(packing_module, "BATCH_DOCUMENTS", 10)
    file = write_text(tmp_path / "text.txt")
    with file.open("ab") as end:
        end.write(b"\n\ncaf\xe9")
    with pytest.raises(InputError, match="not UTF-8"):
        Packing(tokenizer, LENGTH).dataset(file_corpus(file, "line"), tmp_path / "cache")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_shown_on_a_terminal_when_it_takes_long(corpus, tokenizer, tmp_path, monkeypatch):
    enable_progress_bars()  # a command whose errors go to a file has switched them off for the whole process
    for seconds, stream, shown in [(0, Screen(), True), (60, Screen(), False), (0, io.StringIO(), False)]:
        monkeypatch.setattr(packing_module, "SECONDS_WITHOUT_PROGRESS", seconds)
        monkeypatch.setattr(sys, "stderr", stream)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        Packing(tokenizer, LENGTH).dataset(corpus, tmp_path / "cache")
        assert ("text.txt" in stream.getvalue()) == shown


def test_the_cache_is_where_the_variables_say(monkeypatch, tmp_path):
    monkeypatch.setenv("ALUM_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache_dir() == tmp_path / "own"
    monkeypatch.delenv("ALUM_CACHE")
    assert default_cache_dir() == tmp_path / "xdg" / "alum"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache" / "alum"


# -- several corpora ---------------------------------------------------------------------------------------------------


@pytest.fixture
def numbered(tmp_path):
    """Two data sets on disk, of the rows 0 to 9 and 10 to 15."""
    sets = []
    for name, values in (("a", range(10)), ("b", range(10, 16))):
        Dataset.from_dict({"input_ids": [[value] for value in values]}).save_to_disk(tmp_path / name)
        sets.append(Dataset.load_from_disk(tmp_path / name))
    return sets


def counts(rows):
    return Counter(value for (value,) in rows["input_ids"][:])


def test_weights_say_how_often_each_corpus_is_seen(numbered):
    seen = counts(mixed(numbered, [2.5, 0.5], seed=0))
    assert Counter(seen[value] for value in range(10)) == {2: 5, 3: 5}
    assert Counter(seen[value] for value in range(10, 16)) == {0: 3, 1: 3}
    assert counts(mixed(numbered, [1, 1], seed=0)) == dict.fromkeys(range(16), 1)


def test_parts_are_drawn_by_the_seed(numbered):
    first, again, other = (counts(mixed(numbered, [0.5, 1], seed)) for seed in (0, 0, 1))
    assert first == again != other


def test_a_corpus_with_a_small_weight_is_still_there(numbered):
    seen = counts(mixed(numbered, [1, 0.01], seed=0))
    assert sum(seen[value] for value in range(10, 16)) == 1


def test_mixed_rows_are_those_on_disk(numbered):
    rows = mixed(numbered, [1.5, 1], seed=0)
    assert rows.cache_files == [file for part in numbered for file in part.cache_files]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], "one weight for each corpus, 2 in all, not 1"),
        ([1, 0], "above 0 and finite, not 0"),
        ([-1, 1], "above 0 and finite, not -1"),
        ([1, math.nan], "above 0 and finite, not nan"),
        ([math.inf, 1], "above 0 and finite, not inf"),
    ],
)
def test_weights_that_make_no_sense_are_refused(numbered, corpus, tokenizer, weights, message):
    with pytest.raises(InputError, match=message):
        mixed(numbered, weights, seed=0)
    with pytest.raises(InputError, match=message):
        Packing(tokenizer, LENGTH).stream([corpus, corpus], weights, seed=0)


# -- streams -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_buffer(monkeypatch):
    monkeypatch.setattr(packing_module, "SHUFFLE_BUFFER_ROWS", 20)


def taken(stream, count):
    return [row["input_ids"] for row in islice(stream, count)]


def test_a_stream_has_the_rows_of_the_corpus_in_another_order_over_and_over(corpus, tokenizer, small_buffer):
    rows = list(Packing(tokenizer, LENGTH).rows(corpus))
    streamed = taken(Packing(tokenizer, LENGTH).stream([corpus], [1.0], seed=0), 3 * len(rows))
    assert streamed[: len(rows)] != rows
    # What has come out and what can be in the buffer are the first rows of three or four passes.
    assert {tuple(row) for row in streamed} == {tuple(row) for row in rows}
    most, least = Counter(map(tuple, rows)), Counter(map(tuple, streamed))
    assert all(least[row] <= 4 * most[row] for row in least)
    # In order or nearly so, hardly any row would come after one that is behind it in the corpus.
    places = [rows.index(row) for row in streamed[: len(rows) - 20]]
    assert sum(first > second for first, second in pairwise(places)) > len(places) / 4
    # No row comes before it has been read: the n-th to come out is among the first n + 20.
    assert all(row in rows[: index + 21] for index, row in enumerate(streamed[: len(rows) - 21]))


def test_the_order_follows_from_the_seed_alone(corpus, tokenizer, small_buffer):
    packing = Packing(tokenizer, LENGTH)
    first = taken(packing.stream([corpus, corpus], [1, 2], seed=3), 100)
    np.random.rand(5)
    torch.rand(5)
    stream = packing.stream([corpus, corpus], [1, 2], seed=3)
    assert taken(stream, 100) == taken(stream, 100) == first
    assert taken(packing.stream([corpus, corpus], [1, 2], seed=4), 100) != first
    assert taken(stream.skip(60), 40) == first[60:]


def test_weights_are_proportions_of_the_rows(tmp_path, small_buffer):
    tokenizer = train_wordpiece(["a b"], 7, 4)
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"{name} " * 300)
    corpora = [file_corpus(tmp_path / f"{name}.txt") for name in "ab"]
    count, share = 2000, 0.25
    rows = taken(Packing(tokenizer, 4).stream(corpora, [1, 3], seed=0), count)
    (of_a,) = tokenizer("a", add_special_tokens=False)["input_ids"]
    found = sum(row[1] == of_a for row in rows) / count
    assert found == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / count))


def test_a_stream_of_too_little_text_is_refused(tokenizer, tmp_path):
    (tmp_path / "notes.txt").write_text("the the")
    stream = Packing(tokenizer, LENGTH).stream([file_corpus(tmp_path / "notes.txt")], [1.0], seed=0)
    with pytest.raises(InputError, match=r"notes\.txt has 3 tokens, too few"):
        next(iter(stream))


def test_a_process_that_loads_the_rows_tokenises_too(corpus, tokenizer, monkeypatch, small_buffer):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    packing = Packing(tokenizer, LENGTH)
    list(packing.rows(corpus))  # has threads at work before the process is forked
    stream = packing.stream([corpus], [1.0], seed=0)
    loader = DataLoader(stream.with_format("torch"), batch_size=4, num_workers=1, timeout=300)
    assert next(iter(loader))["input_ids"].tolist() == taken(stream, 4)


class Recorded(Trainer):
    """Keeps the rows that it has trained on."""

    def training_step(self, model, inputs, *args, **settings):
        self.seen = [*getattr(self, "seen", []), *inputs["input_ids"].tolist()]
        return super().training_step(model, inputs, *args, **settings)


def collate(rows):
    ids = torch.tensor([row["input_ids"] for row in rows])
    return {"input_ids": ids, "labels": ids}


def test_a_trainer_goes_through_a_stream_and_resumes_where_it_was(corpus, tokenizer, tmp_path, small_buffer):
    def trainer():
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=8,
            max_position_embeddings=LENGTH,
        )
        settings = TrainingArguments(
            str(tmp_path / "run"),
            max_steps=5,
            per_device_train_batch_size=4,
            save_steps=3,
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        )
        stream = Packing(tokenizer, LENGTH).stream([corpus], [1.0], seed=0)
        return Recorded(BertForMaskedLM(config), settings, train_dataset=stream, data_collator=collate)

    whole = trainer()
    whole.train()
    assert whole.seen == taken(whole.train_dataset, 20)
    resumed = trainer()
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-3"))
    assert resumed.seen == whole.seen[12:]


# -- several processes and kills ---------------------------------------------------------------------------------------


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(packing_module, "BATCH_DOCUMENTS", 3)
    monkeypatch.setattr(row_cache, "BYTES_BETWEEN_NOTES", 2000)


@pytest.mark.parametrize("num_processes", [2, 3])
def test_several_processes_make_the_same_file(corpus, tokenizer, tmp_path, small_batches, num_processes):
    packing = Packing(tokenizer, LENGTH)
    for name, count in (("one", 1), ("several", num_processes)):
        packing.dataset(corpus, tmp_path / name, count)
    (one,), (several,) = ((tmp_path / name).iterdir() for name in ("one", "several"))
    assert one.name == several.name
    assert one.read_bytes() == several.read_bytes()


def killed_at_array(packing, corpus, folder, num_processes, count):
    """Packs a corpus, and dies before it adds so many arrays of rows; a function of a module, as spawned ones are."""
    packing_module.BATCH_DOCUMENTS, row_cache.BYTES_BETWEEN_NOTES = 3, 2000
    add, left = row_cache._Draft._add, [count]

    def killing(self, *args):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        add(self, *args)

    row_cache._Draft._add = killing
    packing.dataset(corpus, folder, num_processes)


@pytest.mark.parametrize("num_processes", [1, 2])
def test_packing_goes_on_after_kills_and_tokenises_nothing_twice(
    corpus, counted, tmp_path, small_batches, num_processes
):
    packing = Packing(counted, LENGTH)
    packing.dataset(corpus, tmp_path / "whole")
    num_calls = Counted.num_calls
    context = fresh_processes()  # a fork of this one might wait for locks that its threads hold
    for count in (1, 9, 6, 8):
        given = (packing, corpus, tmp_path / "killed", num_processes, count)
        process = context.Process(target=killed_at_array, args=given)
        process.start()
        process.join(300)
        assert process.exitcode == -signal.SIGKILL
    Counted.num_calls = 0
    packing.dataset(corpus, tmp_path / "killed", 1)
    assert 0 < Counted.num_calls < num_calls / 2
    (whole,), (killed,) = ((tmp_path / name).iterdir() for name in ("whole", "killed"))
    assert whole.read_bytes() == killed.read_bytes()


# -- streams that go on ------------------------------------------------------------------------------------------------


@pytest.fixture
def corpora(tmp_path):
    """Three corpora of other sizes, one with a part held back and one in Parquet."""
    first = file_corpus(write_text(tmp_path / "first.txt"))
    rest, _ = held_back(file_corpus(write_text(tmp_path / "second.txt", num_documents=41, seed=1), "line"), 7)
    blocks = list(file_corpus(write_text(tmp_path / "third.txt", num_documents=25, seed=2)))
    parquet.write_table(pa.table({"text": blocks}), tmp_path / "third.parquet", row_group_size=4)
    return [first, rest, file_corpus(tmp_path / "third.parquet")]


@pytest.mark.parametrize("taken_before", [0, 1, 19, 20, 21, 133, 400])
def test_a_stream_goes_on_at_any_row(corpora, tokenizer, tmp_path, small_buffer, small_batches, taken_before):
    packing, weights, notes = Packing(tokenizer, LENGTH), [1, 2, 0.5], tmp_path / "notes"
    notes.mkdir()
    whole = taken(packing.stream(corpora, weights, seed=5), taken_before + 60)
    before = taken(packing.stream(corpora, weights, seed=5, notes=notes), max(taken_before, 1))
    assert before == whole[: max(taken_before, 1)]
    write_position(tmp_path / "stream.json", position_at(taken_before, notes))
    position = read_position(tmp_path / "stream.json")
    assert position.row == taken_before
    assert taken(packing.stream(corpora, weights, 5, position), 60) == whole[taken_before:]


def test_what_a_stream_tokenises_to_go_on_does_not_grow(corpus, counted, tmp_path, small_buffer, small_batches):
    """A block of rows, and for each source the batch of documents that it was in: counted in calls of the tokenizer."""
    packing = Packing(counted, LENGTH)
    rows_per_call = min(len(rows) for rows, _ in packing._some_rows(corpus, 1))
    calls = []
    for number in (50, 500, 5000):
        notes = tmp_path / str(number)
        notes.mkdir()
        taken(packing.stream([corpus, corpus], [1, 1], 0, notes=notes), number)
        position = position_at(number, notes)
        Counted.num_calls = 0
        taken(packing.stream([corpus, corpus], [1, 1], 0, position), 1)
        calls.append(Counted.num_calls)
    assert max(calls) <= 2 * 20 / rows_per_call + 2 * 2
    assert min(calls) > 0


def test_notes_that_nobody_needs_any_more_are_forgotten(corpus, tokenizer, tmp_path, small_buffer):
    (tmp_path / "notes").mkdir()
    taken(Packing(tokenizer, LENGTH).stream([corpus], [1], 0, notes=tmp_path / "notes"), 200)
    assert position_at(130, tmp_path / "notes").block == 6
    assert sorted(path.name for path in (tmp_path / "notes").iterdir()) == [
        "120.json",
        "140.json",
        "160.json",
        "180.json",
    ]
