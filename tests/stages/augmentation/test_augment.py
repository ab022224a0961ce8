import json
import re

import pytest
import torch
from transformers import AutoModelForCausalLM, BertConfig, BertForSequenceClassification

from alum.attacks.text.base import TextAttack
from alum.attacks.text.candidates.wordnet import WordNet
from alum.attacks.text.worded import WordedText
from alum.cli.main import main
from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_byte_level_bpe, train_wordpiece
from alum.data.table_files import load_table
from alum.stages.augmentation.arguments import AugmentArguments
from alum.stages.augmentation.run import augment
from alum.stages.evaluation.attacking import attack_resources
from alum.stages.held_folder import held
from small_wordnet import save_wordnet
from tiny_models import headed
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
    assert {row["source_row"] for row in copies} == {1}  # nothing in the other may be changed
    for row in copies:
        assert [row["text"], row["other"]] == replayed(row, ("text", "other"))
        assert row["changes"]
        assert {name: row[name] for name in ("id", "label", "tags")} == {
            name: ROWS[0][name] for name in ("id", "label", "tags")
        }
    assert 10 < len({row["text"] + row["other"] for row in copies}) == len(copies) == result.num_changed
    assert (result.num_rows, result.num_written, result.num_unchanged) == (2, 2 + len(copies), 20)
    assert result.num_repeated == 20 - len(copies)


def test_misspellings_are_those_of_the_list(rows, tmp_path):
    wrong = {word.casefold(): f"{word}e".casefold() for row in ROWS for word in WordedText.of(row["text"]).words}
    (tmp_path / "list.txt").write_text("".join(f"{other}->{word}\n" for word, other in wrong.items()))
    settings = {"changes": "misspellings", "word_share": 1.0, "text_columns": "text"}
    result, file = augmented(rows, misspellings=str(tmp_path / "list.txt"), keep_original=False, **settings)
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert result.num_changed == len(found) > 0
    changes = [change for row in found for change in row["changes"]]
    assert changes
    assert all(change["new"].casefold() == wrong[change["old"].casefold()] for change in changes)


def test_copies_that_are_left_out_are_counted_where_they_are_made(rows, capsys):
    given = ["--data_file", str(rows), "--output_file", str(rows.parent / "out.jsonl"), "--text_columns", "text"]
    assert main(["augment", *given, "--num_copies", "3"]) == 0
    assert "3 copies in which nothing could be changed were left out." in capsys.readouterr().out
    assert main(["augment", *given[:3], str(rows.parent / "all.jsonl"), "--text_columns", "other,text"]) == 0
    assert "1 copy in which nothing could be changed was left out." in capsys.readouterr().out


def test_copies_that_are_the_same_are_written_once_and_counted(rows, capsys):
    """One word has one synonym, so that all copies of the row are one."""
    wordnet = save_wordnet(rows.parent / "dict", noun=["film movie"])
    given = ["--data_file", str(rows), "--output_file", str(rows.parent / "out.jsonl"), "--text_columns", "text"]
    given += ["--changes", "synonyms", "--wordnet_dir", str(wordnet), "--keep_original", "false"]
    assert main(["augment", *given, "--num_copies", "3"]) == 0
    shown = capsys.readouterr().out
    assert "3 copies in which nothing could be changed were left out." in shown
    assert "2 copies like another one of the row were left out." in shown
    assert f"1 row is in {rows.parent / 'out.jsonl'}: 1 changed copy of 2 rows." in shown.replace("\n", " ")


def test_nothing_is_written_where_nothing_was_changed_and_no_row_is_kept(rows):
    with pytest.raises(InputError, match=r"no text of .* could be changed, and with --keep_original false nothing"):
        augmented(
            rows,
            text_columns="other",
            keep_original=False,
            changes="synonyms",
            wordnet_dir=str(save_wordnet(rows.parent / "dict", noun=["film movie"])),
        )
    assert not (rows.parent / "out.jsonl").exists()


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


@pytest.fixture
def classifier(tmp_path):
    """A classifier of half of some texts for either label, by its folder, and its logits of texts."""
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
    return str(tmp_path / "model"), answers


def rows_of(tmp_path, texts):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return file


def attacked(tmp_path, model, texts, **settings):
    """Result of `augment` by an attack, and the copies that it wrote."""
    settings = {"text_columns": "text", "attack": "deepwordbug", "keep_original": False, **settings}
    result, out = augmented(rows_of(tmp_path, texts), model_name_or_path=str(model), **settings)
    return result, [json.loads(line) for line in out.read_text().splitlines()]


def test_an_attack_changes_the_answer_where_it_can(tmp_path, classifier):
    model, answers = classifier
    texts = [row["text"] for row in opinions(12)]
    _, copies = attacked(tmp_path, model, texts)
    before = answers([texts[row["source_row"] - 1] for row in copies]).argmax(-1)
    after = answers([row["text"] for row in copies]).argmax(-1)
    assert (before != after).float().mean() > 0.5


def test_what_an_attack_needs_is_loaded_once_for_all_rows(tmp_path, classifier, monkeypatch):
    loaded = []
    monkeypatch.setattr(attack_resources, "WordNet", lambda folder: loaded.append(folder) or WordNet(folder))
    wordnet = save_wordnet(tmp_path / "dict", adj=["gentle soft", "gloomy dark"], noun=["cat feline"])
    texts = [f"the gentle cat sees {number} dogs" for number in range(140)]
    result, copies = attacked(tmp_path, classifier[0], texts, attack="wordnet", wordnet_dir=str(wordnet))
    assert len(loaded) == 1
    assert [row["source_row"] for row in copies] == sorted(row["source_row"] for row in copies)
    assert (result.num_rows, result.num_changed) == (140, len(copies))


def test_copies_by_an_attack_are_drawn_apart_and_the_first_is_that_of_the_seed(tmp_path, classifier):
    texts = [row["text"] for row in opinions(12)]
    found = {}
    for seed, num_copies in ((0, 1), (0, 3), (1, 1)):
        result, copies = attacked(
            tmp_path, classifier[0], texts, seed=seed, num_copies=num_copies, overwrite_output_file=True
        )
        found[seed, num_copies] = [row["text"] for row in copies]
        assert len(set(found[seed, num_copies])) == len(copies) == result.num_changed
        assert result.num_changed + result.num_unchanged + result.num_repeated == 12 * num_copies
    assert set(found[0, 1]) < set(found[0, 3])
    assert not set(found[1, 1]) <= set(found[0, 3])


def test_rows_without_words_have_no_copy(tmp_path, classifier):
    texts = ["...", *(row["text"] for row in opinions(4)), " ?! "]
    result, copies = attacked(tmp_path, classifier[0], texts, num_copies=2)
    assert {row["source_row"] for row in copies} <= {2, 3, 4, 5}
    assert copies
    assert result.num_unchanged >= 4
    with pytest.raises(InputError, match=r"no text of .* could be changed"):
        attacked(tmp_path, classifier[0], ["...", "?"], overwrite_output_file=True)


def test_the_model_may_be_asked_any_number_of_times_unless_a_limit_is_set(tmp_path, classifier, monkeypatch):
    seen = []
    search = TextAttack.search
    monkeypatch.setattr(
        TextAttack, "search", lambda self, settings, *rest: seen.append(settings) or search(self, settings, *rest)
    )
    attacked(tmp_path, classifier[0], ["the gentle cat sees the lovely dog"])
    attacked(
        tmp_path, classifier[0], ["the gentle cat sees the lovely dog"], max_queries=50, overwrite_output_file=True
    )
    assert [settings.max_queries for settings in seen] == [None, 50]


def test_a_decoder_is_attacked_by_its_answers_to_a_prompt_of_the_columns(tmp_path):
    texts = [row["text"] for row in opinions(16)]
    tokenizer = train_byte_level_bpe(texts, 300, 64, "causal_lm")
    sizes = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "max_position_embeddings": 64}
    model = headed(AutoModelForCausalLM, "gpt2", **sizes)
    with torch.no_grad():  # large enough that answers differ
        for parameter in model.parameters():
            parameter.mul_(2)
    model.save_pretrained(tmp_path / "decoder")
    tokenizer.save_pretrained(tmp_path / "decoder")
    model.eval()

    def likeliest(text):
        ids = tokenizer(f"Review: {text} It is", return_tensors="pt")
        with torch.no_grad():
            logits = model(**ids).logits[0, -1]
        first = [tokenizer(f" {answer}")["input_ids"][0] for answer in ("w", "g")]
        return int(logits[first].argmax())

    settings = {"prompt": "Review: {text} It is", "answers": ["1= w", "0= g"]}
    _, copies = attacked(tmp_path, tmp_path / "decoder", texts, **settings)
    turned = [likeliest(texts[row["source_row"] - 1]) != likeliest(row["text"]) for row in copies]
    assert any(turned)
    for prompt, said in (("Review:", "none of the columns of text, text"), ("{sentence}", r"has \{sentence\}, but")):
        with pytest.raises(InputError, match=said):
            attacked(
                tmp_path, tmp_path / "decoder", texts, overwrite_output_file=True, **{**settings, "prompt": prompt}
            )


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
        (["--text_columns", "text,text"], "text_columns text,text name text twice"),
        (
            ["--attack", "hotflip", "--model_name_or_path", "m", "--num_copies", "2"],
            "num_copies 2 has no effect on the attack hotflip: it draws nothing .* deepwordbug, textbugger, homoglyphs",
        ),
        (
            ["--attack", "typos", "--model_name_or_path", "m", "--word_vectors", "v"],
            "word_vectors v has no effect on typos: leave it out",
        ),
        (
            ["--attack", "typos", "--model_name_or_path", "m", "--misspellings", "f"],
            "misspellings f has no effect on typos: leave it out",
        ),
        (["--changes", "misspellings"], "changes misspellings need a list of misspellings: .* --misspellings"),
        (["--attack", "wordnet", "--model_name_or_path", "m"], "the attack wordnet needs .*--wordnet_dir"),
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
