import numpy as np
import pytest
import torch
from transformers import AutoModel

from alum.evaluation.sentence_similarity import SentenceSimilarity
from text_models import text_model
from tiny_models import headed
from tiny_texts import opinions
from tiny_tokenizers import TOKENIZERS

TEXTS = [row["text"] for row in opinions(24)]


def similarity(architecture="bert", kind="wordpiece", **settings):
    tokenizer = TOKENIZERS[kind](TEXTS)
    model = headed(AutoModel, architecture, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    return SentenceSimilarity(text_model(model, tokenizer, 48, **settings))


def mean(tested, text):
    """Of the hidden states of one text alone."""
    encoder = (
        tested.text_model.model.get_encoder()
        if tested.text_model.model.config.is_encoder_decoder
        else tested.text_model.model
    )
    with torch.no_grad():
        encoded = tested.text_model.tokenizer(text, return_tensors="pt", truncation=True, max_length=48)
        return encoder(**encoded).last_hidden_state[0].double().mean(0)


@pytest.mark.parametrize(
    ("architecture", "kind"), [("bert", "wordpiece"), ("t5", "unigram"), ("gpt2", "byte_level_bpe")]
)
@pytest.mark.parametrize("batch_size", [2, 64])
def test_it_is_the_cosine_of_mean_hidden_states(architecture, kind, batch_size):
    tested = similarity(architecture, kind, batch_size=batch_size)
    others = [*TEXTS[1:8], "dog", f"{TEXTS[2]} {TEXTS[3]}"]
    expected = [float(torch.cosine_similarity(mean(tested, TEXTS[0]), mean(tested, text), 0)) for text in others]
    np.testing.assert_allclose(tested((TEXTS[0],), [(text,) for text in others]), expected, atol=1e-6)
    assert min(expected) < 0.99


def test_of_several_texts_the_least_similar_counts():
    tested = similarity()
    first, second, third, fourth = ((text,) for text in TEXTS[:4])
    (changed,) = tested(first, [third])
    (also,) = tested(second, [fourth])
    found = tested((*first, *second), [(*first, *second), (*third, *second), (*third, *fourth)])
    np.testing.assert_allclose(found, [1.0, changed, min(changed, also)], atol=1e-6)


def test_texts_are_run_once():
    tested, sizes = similarity(), []
    tested.text_model.model.register_forward_pre_hook(
        lambda module, args, kwargs: sizes.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    for _ in range(3):
        tested((TEXTS[0],), [(TEXTS[1],), (TEXTS[2],), (TEXTS[1],)])
    assert sum(sizes) == len({*TEXTS[:3]})


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_odd_texts(kind):
    tested = similarity({"unigram": "albert"}.get(kind, "bert"), kind)
    texts = ["", "dog", "\x1b[31m\x00", "שלום \u202edog", "🙂", "dog " * 10_000]
    for text in texts:
        found = tested((text,), [(other,) for other in texts])
        assert np.isfinite(found).all()
        assert (np.abs(found) <= 1 + 1e-6).all()
        assert found[texts.index(text)] == 1.0
