import numpy as np
import pytest
import torch
from transformers import AutoModelForMultipleChoice

from alum.data.pretraining.tokenizer import train_wordpiece
from alum.evaluation.kinds.multiple_choice import ChoiceVictim, EvaluatedMultipleChoice
from alum.tasks.lookup import SUPERVISED
from text_models import text_model
from tiny_models import headed
from tiny_texts import opinions

TEXTS = [row["text"] for row in opinions(12)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece(TEXTS, 120, 32)


def victim(tokenizer, max_length_tokens=32, batch_size=5):
    model = headed(AutoModelForMultipleChoice, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    return ChoiceVictim(text_model(model, tokenizer, max_length_tokens, batch_size))


@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_batches_change_nothing(tokenizer, batch_size):
    examples = [(text, "cat", TEXTS[-i], "the dog") for i, text in enumerate(TEXTS)]
    tested = victim(tokenizer, batch_size=batch_size)
    found = tested(examples)
    np.testing.assert_allclose(found.sum(-1), 1)
    for row, (context, *choices) in zip(found, examples, strict=True):
        with torch.no_grad():
            scores = [  # a choice's logit does not depend on the others
                float(
                    tested.text_model.model(
                        **{n: v[None] for n, v in tokenizer(context, c, return_tensors="pt").items()}
                    ).logits
                )
                for c in choices
            ]
        np.testing.assert_allclose(row, np.exp(scores) / np.exp(scores).sum(), atol=1e-6)


def test_a_context_is_read_as_far_as_beside_the_shortest_choice(tokenizer):
    tested = victim(tokenizer, max_length_tokens=16)
    context = " ".join(["river"] * 40)
    read, *of_choices = tested.characters_read((context, "cat", TEXTS[0]))
    beside_the_first, _ = tested.characters_read((context, "cat"))
    assert 0 < tested.characters_read((context, TEXTS[0]))[0] < beside_the_first == read < len(context)
    assert of_choices[0] == 3
    changed = context[:read] + "the cat"
    np.testing.assert_array_equal(tested([(context, "cat", TEXTS[0])]), tested([(changed, "cat", TEXTS[0])]))


def test_logits_are_those_whose_softmax_the_attacks_see(tokenizer):
    tested = victim(tokenizer)
    examples = [(text, "cat", TEXTS[-i], "the dog") for i, text in enumerate(TEXTS)]
    logits = EvaluatedMultipleChoice(SUPERVISED["multiple_choice"]).logits_victim(tested.text_model)(examples)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True), tested(examples), atol=1e-9)
    assert not np.allclose(logits.sum(-1), 1)
