"""Words that a masked language model expects where others stand, as BERT-Attack puts them in."""

import itertools
import random

import pytest
import torch

from alum.attacks.text.candidates.masked_lm import UnmaskedWords, WordQuestion, likeliest_combinations
from alum.attacks.text.worded import Place, WordedExample
from text_models import text_model
from tiny_models import language_model
from tiny_texts import opinions
from tiny_tokenizers import TOKENIZERS

TEXTS = [row["text"] for row in opinions(24)]
KINDS = {"bert": "wordpiece", "roberta": "byte_level_bpe", "albert": "unigram"}
TOP_K = 12


@pytest.fixture(scope="module", params=KINDS)
def unmasked(request):
    tokenizer = TOKENIZERS[KINDS[request.param]](TEXTS)
    model = language_model(request.param, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    return UnmaskedWords(text_model(model, tokenizer, 64), top_k=TOP_K)


def log_probs_of(unmasked, text):
    """By the model alone: [length, vocabulary], and the characters of each token."""
    tokenizer = unmasked.text_model.tokenizer
    encoded = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    offsets = encoded.pop("offset_mapping")[0].tolist()
    with torch.no_grad():
        return unmasked.text_model.model(**encoded).logits[0].double().log_softmax(-1), offsets


def test_words_are_those_of_the_tokens_that_are_likeliest_together(unmasked):
    """Of every combination of the best tokens at a word's places, the likeliest ones; as many as are asked for."""
    tokenizer, num_parts = unmasked.text_model.tokenizer, set()
    texts = [f"{text} rivercat gentledogs" for text in TEXTS[:4]]
    for text in texts:
        worded = WordedExample.of((text,))
        log_probs, offsets = log_probs_of(unmasked, text)
        starts = worded.texts[0].starts()
        for place in worded.places([0]):
            start, end = starts[place.word], starts[place.word] + len(worded.word(place))
            at = [i for i, (a, b) in enumerate(offsets) if a < b and b <= end and b > start]
            num_parts.add(len(at))
            if len(at) > 3:
                continue
            best = [log_probs[i].topk(TOP_K) for i in at]
            pairs = [list(zip(b.indices.tolist(), b.values.tolist(), strict=True)) for b in best]
            combined = sorted(itertools.product(*pairs), key=lambda one: -sum(value for _, value in one))[:TOP_K]
            words = [tokenizer.decode([id for id, _ in one]).strip() for one in combined]
            (found,) = unmasked([WordQuestion(worded, place)])
            expected = [word for word in dict.fromkeys(words) if word.isalpha()]
            if len(at) == 1:  # tokens that are whole words, not pieces of some
                assert [word for word in expected if word in found] == list(found)
            else:
                assert list(found) == expected
    assert len(num_parts) > 1, "words of one token and of several"


def test_a_text_is_read_once_and_many_are_read_together(unmasked):
    runs = []
    fresh = UnmaskedWords(unmasked.text_model, TOP_K)
    questions = [
        WordQuestion(WordedExample.of((text,)), place)
        for text in TEXTS[6:14]
        for place in WordedExample.of((text,)).places([0])
    ]
    alone = [UnmaskedWords(unmasked.text_model, TOP_K)([one])[0] for one in questions]
    handle = unmasked.text_model.model.register_forward_pre_hook(lambda module, args: runs.append(1))
    together = fresh(questions)
    assert len(runs) <= 3  # of eight texts, some a good deal longer
    assert fresh(questions) == together
    handle.remove()
    assert len(runs) <= 3
    assert together == alone


def test_few_texts_are_remembered_and_in_few_bytes():
    """A search asks about one text at a time: at 512 tokens each, at most 50 MB may stay of 300 that were read."""
    tokenizer = TOKENIZERS["wordpiece"](TEXTS)
    model = language_model("bert", vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    unmasked = UnmaskedWords(text_model(model, tokenizer, 64), top_k=48)
    for number in range(300):
        example = WordedExample.of((f"the dog sees {number} cats",))
        unmasked([WordQuestion(example, example.places([0])[0])])
    kept = unmasked._known.values()
    tensors = [one for known in kept for one in (known.best_ids, known.log_probs)]
    assert len(kept) * 512 * sum(48 * one.element_size() for one in tensors[:2]) <= 51e6
    assert all(one.untyped_storage().nbytes() == one.numel() * one.element_size() for one in tensors)


def test_no_pass_has_logits_of_more_than_sixteen_texts(unmasked):
    seen = []
    model = unmasked.text_model.model
    handle = model.register_forward_hook(lambda module, args, output: seen.append(output.logits.shape[:-1].numel()))
    fresh = UnmaskedWords(text_model(model, unmasked.text_model.tokenizer, 64), TOP_K)
    texts = [f"the dog sees {number}" for number in range(40)]
    fresh([WordQuestion(WordedExample.of((text,)), Place(0, 1)) for text in texts])
    handle.remove()
    lengths = [len(ids) for ids in unmasked.text_model.tokenizer(texts)["input_ids"]]
    assert sum(seen) == sum(lengths)
    assert max(seen) <= 16 * max(lengths)


@pytest.mark.parametrize("seed", range(5))
def test_combinations_are_the_best_of_all(seed):
    rng = random.Random(seed)
    choices = []
    for _ in range(rng.randrange(1, 5)):
        values = sorted((rng.gauss(0, 2) for _ in range(6)), reverse=True)
        choices.append((rng.sample(range(100), 6), values))
    everything = sorted(
        itertools.product(*(list(zip(*one, strict=True)) for one in choices)),
        key=lambda one: -sum(value for _, value in one),
    )
    for most in (1, 6, 20):
        expected = [[id for id, _ in one] for one in everything][:most]
        assert likeliest_combinations(choices, most) == expected
    assert likeliest_combinations([], 4) == []
