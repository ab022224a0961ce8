import pytest
from tokenizers import Tokenizer, models
from transformers import CanineConfig, CanineTokenizer, PreTrainedTokenizerFast

from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_byte_level_bpe, train_wordpiece
from alum.models.from_scratch import ARCHITECTURES, config_from_scratch
from alum.models.tokenization import Tokenization
from alum.models.tokenizer_fit import (
    check_padding,
    check_tokenizer_fits,
    num_embeddings_needed,
    require_padding,
    take_padding_of,
)
from tiny_models import config_of

TEXTS = ["the cat sees the dog", "the dog likes the cat"]


def with_gap() -> PreTrainedTokenizerFast:
    """Four pieces, of which the last is number 9."""
    words = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "a": 2, "[MASK]": 9}, unk_token="[UNK]"))
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]", cls_token="[UNK]"
    )


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name.endswith("tiny")])
@pytest.mark.parametrize(
    "tokenizer", [train_wordpiece(TEXTS, 60, 16), train_byte_level_bpe(TEXTS, 270, 16), with_gap()]
)
def test_a_configuration_from_scratch_fits_the_tokenizer_it_was_made_for(architecture, tokenizer):
    check_tokenizer_fits(tokenizer, config_from_scratch(architecture, Tokenization(tokenizer, 16)))


def test_more_pieces_than_embeddings_are_refused():
    tokenizer = train_wordpiece(TEXTS, 50, 16)
    pieces = len(tokenizer)
    check_tokenizer_fits(tokenizer, config_of("bert", vocab_size=pieces))
    with pytest.raises(InputError, match=rf"has {pieces} pieces, but the model only {pieces - 1} embeddings"):
        check_tokenizer_fits(tokenizer, config_of("bert", vocab_size=pieces - 1))


def test_an_id_beyond_the_embeddings_is_refused_even_if_there_are_fewer_pieces():
    assert num_embeddings_needed(with_gap()) == 10
    check_tokenizer_fits(with_gap(), config_of("bert", vocab_size=10))
    with pytest.raises(InputError, match=r"there is none for '\[MASK\]', number 9"):
        check_tokenizer_fits(with_gap(), config_of("bert", vocab_size=9))


@pytest.mark.parametrize("architecture", ["roberta", "mpnet"])
def test_where_positions_count_from_padding_both_must_mean_the_same_token(architecture):
    tokenizer = train_byte_level_bpe(TEXTS, 270, 16)
    check_tokenizer_fits(tokenizer, config_of(architecture, vocab_size=270, pad_token_id=1))
    with pytest.raises(InputError, match="pads with id 1, but the model counts positions from its padding id 0"):
        check_tokenizer_fits(tokenizer, config_of(architecture, vocab_size=270, pad_token_id=0))
    tokenizer.pad_token = None
    with pytest.raises(InputError, match="pads with id None"):
        check_tokenizer_fits(tokenizer, config_of(architecture, vocab_size=270, pad_token_id=1))


def test_elsewhere_padding_is_for_the_attention_mask_alone():
    check_tokenizer_fits(train_byte_level_bpe(TEXTS, 270, 16), config_of("bert", vocab_size=270, pad_token_id=0))


# -- padding -----------------------------------------------------------------------------------------------------------


def test_padding_that_has_no_embedding_is_refused():
    check_padding(config_of("bert", vocab_size=10, pad_token_id=9), "it")
    with pytest.raises(
        InputError, match=r"it names 10 as its pad_token_id in config\.json, but has only 10 embeddings"
    ):
        check_padding(config_of("bert", vocab_size=10, pad_token_id=10), "it")


def test_a_text_config_that_is_none_is_passed_over():
    config = config_of("bert", vocab_size=10, pad_token_id=10)
    config.text_config = {"a": 1}
    with pytest.raises(InputError, match="has only 10 embeddings"):
        check_padding(config, "it")


def test_padding_that_positions_are_counted_from_must_be_named():
    check_padding(config_of("gpt2", pad_token_id=None), "it")
    with pytest.raises(InputError, match=r"it names no pad_token_id in its config\.json, and roberta counts positions"):
        check_padding(config_of("roberta", pad_token_id=None), "it")


@pytest.mark.parametrize(("of_model", "expected"), [(None, "<|endoftext|>"), (5, None), (-1, "<|endoftext|>")])
def test_a_tokenizer_without_padding_takes_the_models_or_the_end_of_sequence(of_model, expected):
    tokenizer = train_byte_level_bpe(TEXTS, 270, 16, "causal_lm")
    tokenizer.eos_token = tokenizer.eos_token or "<|endoftext|>"
    tokenizer.pad_token = None
    assert take_padding_of(tokenizer, config_of("gpt2", vocab_size=270, pad_token_id=of_model))
    assert tokenizer.pad_token_id == (tokenizer.eos_token_id if expected else of_model)
    assert not take_padding_of(tokenizer, config_of("gpt2", vocab_size=270, pad_token_id=7))


def test_without_any_such_token_nothing_is_padded():
    tokenizer = with_gap()
    tokenizer.pad_token = None
    assert not take_padding_of(tokenizer, config_of("gpt2", pad_token_id=None))
    with pytest.raises(InputError, match="neither a padding nor an end-of-sequence token"):
        require_padding(tokenizer)


def test_characters_that_are_hashed_need_no_embeddings():
    check_tokenizer_fits(CanineTokenizer(), CanineConfig())
