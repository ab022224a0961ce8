import bz2
import codecs
import gzip
import lzma
import tracemalloc

import pytest

from alum.core.errors import InputError
from alum.data.files import PIECE_BYTES, lines_in, read_text, text_pieces


@pytest.fixture
def file(tmp_path):
    return tmp_path / "text.txt"


def test_text_comes_back_as_written(file):
    file.write_text("Grüße, 世界\n", encoding="utf-8")
    assert read_text(file) == "Grüße, 世界\n"


def test_a_byte_order_mark_is_not_text(file):
    file.write_bytes(b"\xef\xbb\xbfword")
    assert read_text(file) == "word"


def test_only_the_first_one_is_a_byte_order_mark(file):
    file.write_bytes(b"a" * PIECE_BYTES + b"\xef\xbb\xbfb")
    assert read_text(file)[PIECE_BYTES:] == "\ufeffb"


def test_a_missing_file_is_named(file):
    with pytest.raises(InputError, match=r"no file at .*text\.txt"):
        read_text(file)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match=r"expected a file, but .* is a folder"):
        read_text(tmp_path)


@pytest.mark.parametrize("content", [b"", b" \n\t\n", b"\xef\xbb\xbf", b"\n" * (PIECE_BYTES + 1)])
def test_an_empty_file_is_refused(file, content):
    file.write_bytes(content)
    with pytest.raises(InputError, match="is empty"):
        read_text(file)


def test_a_binary_file_is_refused_with_the_offset_of_the_zero_byte(file):
    file.write_bytes(b"PK\x03\x04\x00")
    with pytest.raises(InputError, match=r"binary file .*offset 4"):
        read_text(file)


@pytest.mark.parametrize(
    ("content", "byte", "offset", "line"),
    [
        ("one\ntwo\ncafé".encode("latin-1"), "e9", 11, 3),  # é is byte 11, in the third line
        ("café".encode()[:-1], "c3", 3, 1),  # half of é at the end
        (b"\xef\xbb\xbfa\xff", "ff", 4, 1),
    ],
)
def test_another_encoding_is_refused_with_byte_offset_and_line(file, content, byte, offset, line):
    file.write_bytes(content)
    with pytest.raises(InputError, match=rf"not UTF-8: byte 0x{byte} at offset {offset} \(line {line}\).*iconv"):
        read_text(file)


# -- in pieces ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", range(-4, 1))
def test_a_character_may_lie_on_the_border_of_two_pieces(file, offset):
    text = "a" * (PIECE_BYTES + offset) + "𝄞é\r\nb"  # 4 bytes, 2 bytes
    file.write_bytes(text.encode())
    assert read_text(file) == text
    assert list(lines_in(file)) == [text[:-3], "b"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [(b"\xff", r"not UTF-8: byte 0xff at offset {offset} \(line 200001\)"), (b"\0", r"zero byte at offset {offset}")],
)
def test_errors_far_inside_are_placed_and_come_after_the_text_before_them(file, bad, message):
    file.write_bytes("grün.\n".encode() * 200_000 + b"abc" + bad)  # 7 bytes a line: in the second piece
    pieces = text_pieces(file)
    assert next(pieces).startswith("grün.\ngrün.\n")
    with pytest.raises(InputError, match=message.format(offset=200_000 * 7 + 3)):
        list(pieces)


def test_lines_end_with_a_line_feed_and_with_nothing_else(file):
    file.write_bytes("one\r\ntwo\x0bthree\u2028\x85\rfour\n\nfive".encode())
    assert list(lines_in(file)) == ["one", "two\x0bthree\u2028\x85\rfour", "", "five"]


def test_a_line_may_be_longer_than_a_piece(file):
    lines = ["x" * (3 * PIECE_BYTES + 5), "", "y" * PIECE_BYTES, "z"]
    file.write_text("\n".join(lines))
    assert list(lines_in(file)) == lines


def test_a_large_file_is_read_in_little_memory(file):
    size = 24 * PIECE_BYTES
    file.write_bytes(b"some words of one line\n" * (size // 23))
    tracemalloc.start()
    assert sum(1 for _ in lines_in(file)) == size // 23 + 1  # the last is empty
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"some text", mtime=0), r"is compressed.*gzip -d \S+"),
        (bz2.compress(b"some text"), r"is compressed.*bunzip2 \S+"),
        (lzma.compress(b"some text"), r"is compressed.*unxz \S+"),
        ("some text".encode("utf-16"), r"is UTF-16: .*iconv -f utf-16 -t utf-8"),
        (codecs.BOM_UTF16_BE + "some text".encode("utf-16-be"), r"is UTF-16: .*iconv -f utf-16 -t utf-8"),
        ("some text".encode("utf-32"), r"is UTF-32: .*iconv -f utf-32 -t utf-8"),
    ],
)
def test_other_formats_are_refused_with_what_makes_text_of_them(file, content, message):
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_text(file)
