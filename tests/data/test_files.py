import pytest

from alum.core.errors import InputError
from alum.data.files import documents_in, read_text


@pytest.fixture
def file(tmp_path):
    return tmp_path / "text.txt"


def test_text_comes_back_as_written(file):
    file.write_text("Grüße, 世界\n", encoding="utf-8")
    assert read_text(file) == "Grüße, 世界\n"


def test_a_byte_order_mark_is_not_text(file):
    file.write_bytes(b"\xef\xbb\xbfword")
    assert read_text(file) == "word"


def test_a_missing_file_is_named(file):
    with pytest.raises(InputError, match=r"no file at .*text\.txt"):
        read_text(file)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match=r"expected a file, but .* is a folder"):
        read_text(tmp_path)


@pytest.mark.parametrize("content", [b"", b" \n\t\n"])
def test_an_empty_file_is_refused(file, content):
    file.write_bytes(content)
    with pytest.raises(InputError, match="is empty"):
        read_text(file)


def test_a_binary_file_is_refused_with_the_offset_of_the_zero_byte(file):
    file.write_bytes(b"PK\x03\x04\x00")
    with pytest.raises(InputError, match=r"binary file .*offset 4"):
        read_text(file)


def test_another_encoding_is_refused_with_byte_offset_and_line(file):
    file.write_bytes("one\ntwo\ncafé".encode("latin-1"))  # é is byte 11, in the third line
    with pytest.raises(InputError, match=r"not UTF-8: byte 0xe9 at offset 11 \(line 3\).*iconv"):
        read_text(file)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_blank_lines_separate_documents(file, newline):
    file.write_bytes(newline.join(["one", "still one", "", "", "", "two", ""]).encode())
    assert documents_in(file) == ["one\nstill one", "two"]


def test_a_line_of_spaces_separates_documents_too(file):
    file.write_text("one\n \t\ntwo")
    assert documents_in(file) == ["one", "two"]
