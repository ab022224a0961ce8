import json

import pytest

from alum.attacks.text.candidates.protected_words import is_protected
from alum.attacks.text.candidates.stop_words import is_stop_word
from alum.attacks.text.worded import WordedText
from places import DATA, ROOT
from studies.attacked_texts import attacks_with, text_of

RECORD = ROOT / "docs" / "attacked-texts.json"


def test_attacks_are_those_whose_resources_are_given():
    nothing = dict.fromkeys(("masked_lm", "wordnet_dir", "word_vectors"))
    assert attacks_with(nothing) == ["deepwordbug", "textbugger", "homoglyphs", "typos", "hotflip"]
    assert {"masked_lm", "bert_attack"} <= set(attacks_with(nothing | {"masked_lm": "lm"}))
    assert {"textfooler", "a2t"} <= set(attacks_with(nothing | {"word_vectors": "vectors"}))


def test_the_record_has_a_line_for_each_row_and_is_json():
    rows = [
        {"row": 1, "similarity": 0.123456, "changes": []},
        {"row": 2, "similarity": None, "changes": [{"new": "é"}]},
    ]
    text = text_of({"date": "2026-11-27", "attacks": [{"name": "a", "rows": rows}, {"name": "b", "rows": []}]})
    assert json.loads(text)["attacks"] == [
        {"name": "a", "rows": [rows[0] | {"similarity": 0.123}, rows[1]]}, {"name": "b", "rows": []}
    ]  # fmt: skip
    assert sum('"row":' in line for line in text.splitlines()) == 2


@pytest.mark.data
def test_the_changed_words_stand_in_the_data_set_and_no_sentence_is_kept():
    if not DATA.is_dir():
        pytest.skip(f"needs {DATA}: set ALUM_DATA to the folder of the data")
    lines = (DATA / "glue_sst2" / "validation.jsonl").read_text(encoding="utf-8").splitlines()
    sentences = [json.loads(line)["sentence"] for line in lines]
    text = RECORD.read_text(encoding="utf-8")
    record = json.loads(text)
    for attack in record["attacks"]:
        assert len(attack["rows"]) == 60
        for row in attack["rows"]:
            sentence = sentences[row["row"] - 1]
            words = WordedText.of(sentence).words
            assert sentence not in text or len(words) < 2
            for change in row["changes"]:
                assert words[change["word"]] == change["old"] != change["new"]
                assert not is_protected(change["old"])
                assert not is_stop_word(change["old"])
