import json
import re

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from alum.attacks.text.worded import WordedText
from alum.cli.main import main
from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.data.table_files import load_table
from alum.stages.augmentation.arguments import AugmentArguments
from alum.stages.augmentation.run import augment
from alum.stages.held_folder import held
from small_wordnet import save_wordnet
from tiny_stages import save_untrained
from tiny_texts import opinions

ROWS = [
    {"id": "007", "text": "a film about nothing, and 2 hours long", "other": "warm words", "label": 1, "tags": ["x"]},
    {"id": "1e5", "text": "42 - not", "other": "!", "label": 0, "tags": []},
]


@pytest.fixture
def rows(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def augmented(rows, name="out.jsonl", **settings):
    file = rows.parent / name
    result = augment(
        AugmentArguments(**{"data_file": str(rows), "output_file": str(file), "text_columns": "text,other", **settings})
    )
    return result, file


def replayed(row, columns):
    """Texts of the row that a copy is of, with the changes that it says made to them."""
    texts = [list(WordedText.of(ROWS[row["source_row"] - 1][column]).parts) for column in columns]
    for change in row["changes"]:
        assert texts[change["text"]][2 * change["word"] + 1] == change["old"]
        texts[change["text"]][2 * change["word"] + 1] = change["new"]
    return ["".join(parts) for parts in texts]


def test_copies_say_what_was_changed_and_all_else_stays(rows):
    result, file = augmented(rows, num_copies=20, word_share=0.5)
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["source_row"], row["changes"]) for row in found[:2]] == [(1, []), (2, [])]
    assert [{name: row[name] for name in ROWS[0]} for row in found[:2]] == ROWS
    copies = found[2:]
    assert [row["source_row"] for row in copies] == [1] * 20  # nothing in the other may be changed
    for row in copies:
        assert [row["text"], row["other"]] == replayed(row, ("text", "other"))
        assert row["changes"]
        assert {name: row[name] for name in ("id", "label", "tags")} == {
            name: ROWS[0][name] for name in ("id", "label", "tags")
        }
    assert len({row["text"] + row["other"] for row in copies}) > 10
    assert (result.num_rows, result.num_written, result.num_changed, result.num_unchanged) == (2, 22, 20, 20)


def test_copies_that_are_left_out_are_counted_where_they_are_made(rows, capsys):
    given = ["--data_file", str(rows), "--output_file", str(rows.parent / "out.jsonl"), "--text_columns", "text"]
    assert main(["augment", *given, "--num_copies", "3"]) == 0
    assert "3 copies in which nothing could be changed were left out." in capsys.readouterr().out
    assert main(["augment", *given[:3], str(rows.parent / "all.jsonl"), "--text_columns", "other,text"]) == 0
    assert "1 copy in which nothing could be changed was left out." in capsys.readouterr().out


def test_words_are_replaced_by_synonyms_and_by_what_a_model_proposes(rows):
    wordnet = save_wordnet(rows.parent / "dict", noun=["film movie"], adj=["warm lukewarm"])
    _, file = augmented(rows, changes="synonyms", wordnet_dir=str(wordnet), word_share=1.0, keep_original=False)
    (copy,) = [json.loads(line) for line in file.read_text().splitlines()]
    assert (copy["text"], copy["other"]) == ("a movie about nothing, and 2 hours long", "lukewarm words")
    model = save_untrained(rows.parent / "model")
    _, file = augmented(rows, "more.jsonl", changes="masked_lm", masked_lm=str(model), num_copies=5, word_share=1.0)
    copies = [json.loads(line) for line in file.read_text().splitlines()][2:]
    assert copies
    for copy in copies:
        assert [copy["text"], copy["other"]] == replayed(copy, ("text", "other"))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_other_formats_hold_the_same_rows(rows, ending):
    _, lines = augmented(rows, keep_original=False, num_copies=3)
    _, file = augmented(rows, f"out.{ending}", keep_original=False, num_copies=3)
    expected = [json.loads(line) for line in lines.read_text().splitlines()]
    found = list(load_table(file))
    for row, other in zip(found, expected, strict=True):
        assert (row["id"], row["text"], row["other"]) == (other["id"], other["text"], other["other"])
        assert (int(row["label"]), int(row["source_row"])) == (other["label"], other["source_row"])
        assert json.loads(row["changes"]) == other["changes"]
        assert json.loads(row["tags"]) == other["tags"]


def test_the_same_seed_makes_the_same_file(rows):
    files = [augmented(rows, f"{n}.jsonl", seed=seed)[1].read_bytes() for n, seed in enumerate((0, 0, 1))]
    assert files[0] == files[1] != files[2]


def test_an_attack_changes_the_answer_where_it_can(tmp_path):
    texts = [row["text"] for row in opinions(12)]
    tokenizer = train_wordpiece(texts, 120, 32)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=32, initializer_range=0.3, **sizes)
    model = BertForSequenceClassification(config).eval()

    def answers(texts):
        with torch.no_grad():
            return model(**tokenizer(texts, return_tensors="pt", padding=True)).logits

    with torch.no_grad():
        model.classifier.bias -= answers(texts).mean(0)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    _, out = augmented(
        file, text_columns="text", attack="deepwordbug", model_name_or_path=str(tmp_path / "model"), keep_original=False
    )
    copies = [json.loads(line) for line in out.read_text().splitlines()]
    before = answers([texts[row["source_row"] - 1] for row in copies]).argmax(-1)
    after = answers([row["text"] for row in copies]).argmax(-1)
    assert (before != after).float().mean() > 0.5


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--output_file", "out.txt"], r"out\.txt: expected a file to write that ends in \.jsonl, \.csv, \.parquet"),
        (["--output_file", "{rows}"], "exists: name another one, or give --overwrite_output_file"),
        (["--output_file", "nowhere/out.csv"], "nowhere is no folder"),
        (["--text_columns", "txt"], "its columns are id, text, other, label, tags. Name another with --text_columns"),
        (["--text_columns", "label"], "row 1: column 'label' must be text, not 1"),
        (["--changes", "slang"], "unknown kind of changes 'slang'"),
        (["--changes", "subwords"], "subwords are other tokens for the same text, which a file does not hold"),
        (["--changes", "synonyms"], "the changes synonyms need the files of the WordNet database"),
        (["--wordnet_dir", "w"], "wordnet_dir w has no effect: it is for the changes synonyms"),
        (["--similarity_model", "m"], "similarity_model is for an attack, and has no effect on random changes"),
        (["--max_queries", "9"], "max_queries is for an attack, and has no effect on random changes"),
        (["--attacked_text", "both"], "attacked_text is for an attack, and has no effect on random changes"),
        (["--word_share", "1.5"], r"must lie in \(0, 1\], not 1\.5"),
        (["--num_copies", "0"], "num_copies must be 1 or more"),
        (["--attack", "foo"], "unknown attack 'foo': expected one of "),
        (["--attack", "deepwordbug"], "attack needs a model to attack"),
        (["--model_name_or_path", "m"], "model_name_or_path is for an attack"),
        (["--attack", "typos", "--model_name_or_path", "m", "--changes", "typing"], "changes is for random changes"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(rows, flags, said, capsys, monkeypatch):
    monkeypatch.chdir(rows.parent)
    given = dict(zip(flags[::2], (value.format(rows=rows) for value in flags[1::2]), strict=True))
    given = {"--data_file": str(rows), "--output_file": "out.jsonl", "--text_columns": "text", **given}
    assert main(["augment", *[word for pair in given.items() for word in pair]]) == 2
    assert re.search(said, capsys.readouterr().err)
    assert not (rows.parent / "out.jsonl").exists()


def test_columns_that_are_added_must_not_be_there(rows):
    _, file = augmented(rows)
    with pytest.raises(ValueError, match="has a column 'source_row', which is added here"):
        augmented(file, "again.jsonl")


def test_a_file_that_others_make_in_the_meantime_is_not_written_over(rows, monkeypatch):
    def makes_it_too(arguments, examples):
        (rows.parent / "out.jsonl").write_text("theirs")
        yield from ([] for _ in examples)

    monkeypatch.setattr("alum.stages.augmentation.run._changed_at_random", makes_it_too)
    with pytest.raises(InputError, match=r"out\.jsonl exists: name another one"):
        augmented(rows)
    assert (rows.parent / "out.jsonl").read_text() == "theirs"
    augmented(rows, overwrite_output_file=True)
    assert len((rows.parent / "out.jsonl").read_text().splitlines()) == len(ROWS)


def test_a_file_has_one_writer_at_a_time(rows):
    with held(rows.parent / "out.jsonl"), pytest.raises(InputError, match=r"process \d+ .*or name another file"):
        augmented(rows)
    assert sorted(path.name for path in rows.parent.iterdir()) == ["rows.jsonl"]
