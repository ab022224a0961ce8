import random

import pytest
import torch

from alum.attacks.text.candidates.masked_lm import MaskedWords, ProposedWords, WordQuestion, predicted_candidates
from alum.attacks.text.candidates.stop_words import is_stop_word
from alum.attacks.text.candidates.word_tokens import word_tokens_of
from alum.attacks.text.worded import Place, WordedExample
from alum.core.errors import InputError
from text_models import text_model
from tiny_models import language_model
from tiny_texts import opinions
from tiny_tokenizers import TOKENIZERS
from word_resources import same_predictions

TEXTS = [row["text"] for row in opinions(24)]
KINDS = {"bert": "wordpiece", "roberta": "byte_level_bpe", "albert": "unigram"}


@pytest.fixture(scope="module", params=KINDS)
def masked_words(request):
    tokenizer = TOKENIZERS[KINDS[request.param]](TEXTS)
    model = language_model(request.param, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    return MaskedWords(text_model(model, tokenizer, 48), top_k=30)


def expected(masked_words, text):
    """The words for the one mask of a text, from transformers and the tokenizer's decoding alone."""
    tokenizer = masked_words.text_model.tokenizer
    encoded = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        logits = masked_words.text_model.model(**encoded).logits[
            0, encoded["input_ids"][0].tolist().index(tokenizer.mask_token_id)
        ]
    words = [tokenizer.decode([id]).strip() for id in logits.argsort(descending=True)[:30].tolist()]
    length = len(tokenizer("the", add_special_tokens=False)["input_ids"]) + 1
    return [
        word
        for word in dict.fromkeys(words)
        if word.isalpha() and len(tokenizer(f"the {word}", add_special_tokens=False)["input_ids"]) == length
    ]


@pytest.mark.parametrize("word", [0, 2, 5])
def test_predictions_are_those_of_the_model(masked_words, word):
    text = f"({TEXTS[0]}"
    masked = text.replace(text.strip("(").split()[word], masked_words.text_model.tokenizer.mask_token, 1)
    (found,) = masked_words([WordQuestion(WordedExample.of((TEXTS[1], text)), Place(1, word))])
    assert [*found] == expected(masked_words, masked)
    assert len(found) >= 3


def test_what_stands_in_the_place_does_not_matter_and_is_asked_once(masked_words):
    runs = []
    handle = masked_words.text_model.model.register_forward_pre_hook(lambda module, args: runs.append(1))
    first = masked_words([WordQuestion(WordedExample.of(("a lovely dog sees the cat",)), Place(0, 2))])
    assert (
        masked_words([WordQuestion(WordedExample.of(("a lovely river sees the cat",)), Place(0, 2))] * 2) == first * 2
    )
    handle.remove()
    assert len(runs) == 1


def test_masks_in_the_text_are_not_mixed_up(masked_words):
    """The second one is asked about."""
    mask = masked_words.text_model.tokenizer.mask_token
    text = f"the {mask} sees the dog"
    worded = WordedExample.of((text,))
    (found,) = masked_words([WordQuestion(worded, Place(0, len(worded.texts[0].words) - 1))])
    tokenizer = masked_words.text_model.tokenizer
    encoded = tokenizer(f"the {mask} sees the {mask}", return_tensors="pt")
    position = (encoded["input_ids"][0] == tokenizer.mask_token_id).nonzero()[-1]
    with torch.no_grad():
        best = masked_words.text_model.model(**encoded).logits[0, position].topk(30).indices[0].tolist()
    assert set(found) <= {tokenizer.decode([id]).strip() for id in best}


def test_ten_thousand_words_are_read_around_the_place(masked_words):
    example = WordedExample.of((" ".join(["the dog"] * 5000),))
    for word in (0, 1, 5000, 9999):
        assert masked_words([WordQuestion(example, Place(0, word))])[0]


def test_only_masks_go_through_the_head(masked_words):
    shapes = []
    model = masked_words.text_model.model
    handle = model.register_forward_hook(lambda module, args, output: shapes.append(output.logits.shape[:-1].numel()))
    fresh = MaskedWords(masked_words.text_model, top_k=30)
    fresh([WordQuestion(WordedExample.of((text,)), Place(0, 1)) for text in TEXTS[:12]])
    handle.remove()
    assert sum(shapes) == len({text.replace(text.split()[1], "", 1) for text in TEXTS[:12]})


@pytest.mark.parametrize(
    "text", ["dog", "[bold]dog[/bold]", "\x1b[31mdog\x00", "שלום dog \u202edog\u202c", "🙂 dog 🙂", "x" * 3000]
)
def test_any_text(masked_words, text):
    example = WordedExample.of((text,))
    for place in example.places([0]):
        assert all(word.isalpha() for word in masked_words([WordQuestion(example, place)])[0])


def test_candidates_are_other_words_with_the_old_capitals_and_no_stop_words_or_negations():
    candidates = predicted_candidates(same_predictions(("good", "the", "never", "fine", "Hardly", "British", "GREAT")))
    example = WordedExample.of(("Fine good GREAT",))
    asked = [candidates(example, Place(0, word), random.Random(0)) for word in range(3)]
    assert asked[0].ask is asked[1].ask  # so that the questions of many searches are answered together
    found = asked[0].ask([one.question for one in asked])
    assert found == [["Good", "British", "GREAT"], ["fine", "British", "GREAT"], ["GOOD", "FINE", "BRITISH"]]


def test_a_model_without_a_mask_is_refused():
    tokenizer = TOKENIZERS["wordpiece"](TEXTS)
    tokenizer.mask_token = None
    with pytest.raises(InputError, match="has no mask token: expected a masked language model"):
        MaskedWords(text_model(language_model("bert", vocab_size=len(tokenizer)), tokenizer, 16))


def test_no_negation_is_proposed():
    negations = ["never", "nothing", "none", "without", "hardly", "barely", "rarely", "seldom", "neither"]
    texts = [f"the {word} dog" for word in negations] * 3
    tokenizer = TOKENIZERS["wordpiece"](texts)
    assert set(negations) <= set(word_tokens_of(tokenizer).words)
    model = language_model("bert", vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    proposed = ProposedWords.of(text_model(model, tokenizer, 16), texts)
    (found,) = proposed([WordQuestion(WordedExample.of((texts[0],)), Place(0, 2))])
    assert found
    assert not set(found) & set(negations)


# -- proposals for the words of whole texts ----------------------------------------------------------------------------


def proposed_by_transformers(masked_words, text, word):
    """Likeliest whole words in the place of a word that is not masked, from transformers alone."""
    tokenizer, model = masked_words.text_model.tokenizer, masked_words.text_model.model
    encoded = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    end = text.index(word) + len(word)
    position = [int(one[1]) for one in encoded.pop("offset_mapping")[0]].index(end)
    with torch.no_grad():
        logits = model(**encoded).logits[0, position]
    whole = {id for id, found in word_tokens_of(tokenizer).all_ids.items() if not is_stop_word(found)}
    return [tokenizer.decode([id]).strip() for id in logits.argsort(descending=True).tolist() if id in whole][:20]


def test_proposals_for_all_words_of_a_text_are_of_one_pass(masked_words):
    runs = []
    handle = masked_words.text_model.model.register_forward_pre_hook(
        lambda module, args, kwargs: runs.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    texts = [*TEXTS[:20], *TEXTS[:5]]
    proposed = ProposedWords.of(masked_words.text_model, texts)
    handle.remove()
    assert sum(runs) == len(set(texts))
    text = TEXTS[3]
    for number, word in enumerate(text.split()):
        if text.count(word) == 1 and word.isalpha():
            (found,) = proposed([WordQuestion(WordedExample.of((TEXTS[7], text)), Place(1, number))])
            assert list(found) in ([], proposed_by_transformers(masked_words, text, word))
            assert not (found and is_stop_word(word))
    worded = WordedExample.of((text,))
    assert sum(map(bool, proposed([WordQuestion(worded, Place(0, n)) for n in range(len(text.split()))]))) >= 3
    assert proposed([WordQuestion(WordedExample.of(("another text",)), Place(0, 0))]) == [()]
