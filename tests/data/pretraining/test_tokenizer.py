import json
import logging
import os
import random
import subprocess
import sys
import weakref

import pytest
from transformers import AutoTokenizer, BertConfig, GPT2Config, ModernBertConfig, RobertaConfig

from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import SPECIAL_TOKENS, train_byte_level_bpe, train_tokenizer, train_wordpiece
from tiny_texts import sentence

HARD_TEXT = "Café naïve, zażółć\tgęślą  don't ☃ 👩‍👩‍👧 \n\n e\u0301  two  spaces \u2028 x\0y ,.  "


def texts(count=50, seed=0):
    rng = random.Random(seed)
    return [sentence(rng).removesuffix(" .") for _ in range(count)]


# -- WordPiece ---------------------------------------------------------------------------------------------------------


def test_the_vocabulary_has_the_size_asked_for_with_the_special_tokens_first():
    tokenizer = train_wordpiece(texts(), vocab_size=60, max_length_tokens=32)
    assert len(tokenizer) == 60
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3, 4]) == list(SPECIAL_TOKENS)
    assert tokenizer.model_max_length == 32
    named = (tokenizer.pad_token, tokenizer.unk_token, tokenizer.cls_token, tokenizer.sep_token, tokenizer.mask_token)
    assert named == SPECIAL_TOKENS


def test_text_survives_encoding_and_decoding():
    tokenizer = train_wordpiece(texts(), 60, 32)
    for text in texts(10, seed=1):
        assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_letters_that_the_text_lacks_are_unknown_and_case_is_ignored():
    tokenizer = train_wordpiece(["abc cab"] * 3, 20, 32)
    assert tokenizer.tokenize("ABC xyz") == [*tokenizer.tokenize("abc"), "[UNK]"]


def test_pairs_are_laid_out_as_for_bert():
    tokenizer = train_wordpiece(texts(), 60, 32)
    encoded = tokenizer("the cat", "the dog")
    first, second = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("the cat", "the dog"))
    assert encoded["input_ids"] == [2, *first, 3, *second, 3]
    assert encoded["token_type_ids"] == [0] * (len(first) + 2) + [1] * (len(second) + 1)


def test_a_small_text_gives_a_small_vocabulary_and_a_warning(caplog):
    with caplog.at_level(logging.WARNING, "alum"):
        tokenizer = train_wordpiece(["ab"], 100, 32)
    assert set(tokenizer.get_vocab()) == {*SPECIAL_TOKENS, "a", "b", "##a", "##b", "ab"}
    assert "supports a vocabulary of 10 pieces, not 100" in caplog.text


def test_characters_beyond_the_size_are_left_out_rarest_first():
    tokenizer = train_wordpiece(["aaa bb c"], vocab_size=len(SPECIAL_TOKENS) + 4, max_length_tokens=32)
    assert set(tokenizer.get_vocab()) == {*SPECIAL_TOKENS, "a", "b", "##a", "##b"}


def test_special_tokens_alone_are_no_vocabulary():
    with pytest.raises(InputError, match=r"vocab_size must be above 5, .*not 5"):
        train_wordpiece(["ab"], 5, 32)


def test_texts_that_can_be_read_only_once_are_refused():
    with pytest.raises(InputError, match="texts are read twice"):
        train_wordpiece(iter(["ab"]), 60, 32)


# -- byte-level BPE ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["masked_lm", "causal_lm"])
def test_any_text_comes_back_from_bytes_unchanged(objective):
    tokenizer = train_byte_level_bpe(texts(), 300, 32, objective)
    for text in [HARD_TEXT, *texts(10, seed=1)]:
        assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_the_frequent_pair_is_merged_first():
    # "ab" comes six times, each other pair of bytes three times at most; then "Ġab", three times, is the only one left
    # that comes more than twice.
    tokenizer = train_byte_level_bpe(["ab ab", "ab ab", "ab ab cd"], 256 + 5 + 2, 32)
    assert json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"] == [["a", "b"], ["Ġ", "ab"]]
    assert tokenizer.tokenize("ab abc") == ["ab", "Ġab", "c"]


def test_masked_language_models_get_the_special_tokens_and_the_layout_of_roberta():
    tokenizer = train_byte_level_bpe(texts(), 300, 32)
    assert (len(tokenizer), tokenizer.model_max_length) == (300, 32)
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3, 4]) == ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    ids = (tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id)
    assert ids == (0, 0, 1, 2)
    assert (tokenizer.sep_token_id, tokenizer.unk_token_id, tokenizer.mask_token_id) == (2, 3, 4)
    first, second = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("the cat", "the dog"))
    assert dict(tokenizer("the cat", "the dog")) == {
        "input_ids": [0, *first, 2, 2, *second, 2],
        "attention_mask": [1] * (len(first) + len(second) + 4),
    }


def test_a_mask_takes_the_place_of_a_word_with_the_space_before_it():
    tokenizer = train_byte_level_bpe(texts(), 400, 32)
    whole, masked = (tokenizer(text)["input_ids"] for text in ("the cat sees", "the <mask> sees"))
    cat = tokenizer.convert_tokens_to_ids("Ġcat")
    assert cat in whole
    assert masked == [tokenizer.mask_token_id if id == cat else id for id in whole]


def test_causal_language_models_can_tell_the_end_of_text_from_padding():
    tokenizer = train_byte_level_bpe(texts(), 300, 32, "causal_lm")
    assert (len(tokenizer), tokenizer.model_max_length) == (300, 32)
    assert tokenizer.bos_token == tokenizer.eos_token == "<|endoftext|>"
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 1)
    assert tokenizer("the cat")["input_ids"] == tokenizer("the cat", add_special_tokens=False)["input_ids"]
    padded = tokenizer(["the cat", "the"], padding=True)
    assert padded["attention_mask"][1][-1] == 0


def test_too_little_text_for_the_size_gives_fewer_pieces_and_one_warning(caplog):
    with caplog.at_level(logging.WARNING, "alum"):
        tokenizer = train_byte_level_bpe(["ab"], 1000, 32)
    assert len(tokenizer) == 5 + 256 + 1  # "ab" is the only pair
    assert [record.message for record in caplog.records] == [
        "The text supports a vocabulary of 262 pieces, not 1000: give more text or a smaller vocab_size."
    ]


@pytest.mark.parametrize(("objective", "smallest"), [("masked_lm", 261), ("causal_lm", 258)])
def test_bytes_and_special_tokens_must_have_room(objective, smallest):
    with pytest.raises(InputError, match=rf"vocab_size must be {smallest} or more, 256 bytes .*, not {smallest - 1}"):
        train_byte_level_bpe(texts(), smallest - 1, 32, objective)
    assert len(train_byte_level_bpe(texts(), smallest, 32, objective)) == smallest


# -- both --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wordpiece", "byte_level_bpe"])
def test_masked_language_models_get_what_masking_and_packing_need(kind):
    tokenizer = train_tokenizer(texts(), kind, "masked_lm", 300, 32)
    needed = (tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id)
    assert None not in needed
    assert len(set(needed)) == 4


def test_the_kind_is_the_one_asked_for():
    assert train_tokenizer(texts(), "wordpiece", "masked_lm", 60, 32).mask_token == "[MASK]"
    assert train_tokenizer(texts(), "byte_level_bpe", "masked_lm", 300, 32).mask_token == "<mask>"
    assert train_tokenizer(texts(), "byte_level_bpe", "causal_lm", 300, 32).mask_token is None


def test_wordpiece_is_refused_for_causal_models():
    with pytest.raises(InputError, match=r"WordPiece .*use byte-level BPE"):
        train_tokenizer(texts(), "wordpiece", "causal_lm", 60, 32)


@pytest.mark.parametrize("kind", ["wordpiece", "byte_level_bpe"])
def test_enough_text_gives_no_warning(kind, caplog):
    train_tokenizer(texts(), kind, "masked_lm", {"wordpiece": 60, "byte_level_bpe": 300}[kind], 32)
    assert not caplog.records


@pytest.mark.parametrize("kind", ["wordpiece", "byte_level_bpe"])
def test_texts_are_read_from_anything_that_can_be_iterated_anew_and_are_not_kept(kind):
    class Text(str):
        """A string that can be watched."""

    alive: weakref.WeakSet[Text] = weakref.WeakSet()
    most = 0

    class Corpus:
        def __iter__(self):
            nonlocal most
            for number, text in enumerate(texts(3000)):
                watched = Text(f"{text} {number}")  # all different, as elements of a set have to be
                alive.add(watched)
                most = max(most, len(alive))
                yield watched

    tokenizer = train_tokenizer(Corpus(), kind, "masked_lm", 400, 32)
    as_list = train_tokenizer(
        [f"{text} {number}" for number, text in enumerate(texts(3000))], kind, "masked_lm", 400, 32
    )
    assert tokenizer.backend_tokenizer.to_str() == as_list.backend_tokenizer.to_str()
    assert 1 <= most <= 1000


@pytest.mark.parametrize("config", [BertConfig, RobertaConfig, ModernBertConfig, GPT2Config])
@pytest.mark.parametrize(
    ("kind", "objective"),
    [("wordpiece", "masked_lm"), ("byte_level_bpe", "masked_lm"), ("byte_level_bpe", "causal_lm")],
)
def test_a_model_folder_gives_the_tokenizer_back_whatever_the_models_own_class(config, kind, objective, tmp_path):
    tokenizer = train_tokenizer(texts(), kind, objective, 300, 64)
    tokenizer.save_pretrained(tmp_path)
    config().save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded("the cat", HARD_TEXT) == tokenizer("the cat", HARD_TEXT)
    assert loaded.special_tokens_map == tokenizer.special_tokens_map
    assert loaded.model_max_length == 64


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("kind", ["wordpiece", "byte_level_bpe"])
def test_the_same_text_gives_the_same_file_in_every_process(kind, tmp_path):
    # Few words, so that many pairs are equally frequent: left to chance, they become pieces in another order each time.
    program = (
        "import sys; from alum.data.pretraining.tokenizer import train_tokenizer\n"
        "texts = open(sys.argv[1], encoding='utf-8').read().splitlines()\n"
        "train_tokenizer(texts, sys.argv[2], 'masked_lm', 400, 32).save_pretrained(sys.argv[3])\n"
    )
    (tmp_path / "text.txt").write_text("\n".join(f"{text} É{i % 97}" for i, text in enumerate(texts(2000))), "utf-8")
    files = []
    for seed, parallel in [("0", "true"), ("1", "false"), ("2", "true")]:
        folder = tmp_path / seed
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / "text.txt"), kind, str(folder)],
            env={**os.environ, "PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": parallel},
            check=True,
        )
        files.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert "tokenizer.json" in files[0]
    assert files == [files[0]] * 3
