import pytest

from alum.core.errors import InputError
from alum.data.split_files import file_of, split_files


def names(files):
    return {split: [path.name for path in paths] for split, paths in files.items()}


def test_a_folder_has_a_split_for_each_file(tmp_path):
    for name in ("train.jsonl", "validation.csv"):
        (tmp_path / name).touch()
    (tmp_path / "notes.json").write_text("{}")  # settings of other tools lie about as .json
    assert names(split_files(tmp_path)) == {"train": ["train.jsonl"], "validation": ["validation.csv"]}


def test_names_count_in_any_case_and_hidden_files_do_not(tmp_path):
    for name in ("TRAIN.CSV", "._train.csv", ".~lock.train.csv", "Test.Parquet"):
        (tmp_path / name).touch()
    (tmp_path / "validation.csv").mkdir()
    assert names(split_files(tmp_path)) == {"train": ["TRAIN.CSV"], "test": ["Test.Parquet"]}


def test_two_files_of_a_split_are_refused_where_it_is_read(tmp_path):
    for name in ("train.csv", "train.jsonl", "test.csv"):
        (tmp_path / name).touch()
    files = split_files(tmp_path)
    assert file_of("test", files) == tmp_path / "test.csv"
    with pytest.raises(InputError, match=r"has train\.csv and train\.jsonl: which is the train split\?"):
        file_of("train", files)


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no file that ends in \.jsonl, \.csv or \.parquet"):
        split_files(tmp_path)
    with pytest.raises(InputError, match=r"no folder at .*missing"):
        split_files(tmp_path / "missing")
