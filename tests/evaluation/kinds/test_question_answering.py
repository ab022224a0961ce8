import numpy as np
import pytest
import torch
from transformers import AutoModelForQuestionAnswering

from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.evaluation.kinds.question_answering import QuestionVictim
from text_models import text_model
from tiny_models import headed
from tiny_texts import opinions

TEXTS = [row["text"] for row in opinions(24)]
QUESTION, CONTEXT = TEXTS[0], " ".join(TEXTS[1:7])


@pytest.fixture(scope="module")
def tokenizer():
    return train_wordpiece(TEXTS, 120, 64)


def victim(tokenizer, max_length_tokens=64, **settings):
    model = headed(
        AutoModelForQuestionAnswering, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, dropout=0.3
    )
    return QuestionVictim(text_model(model, tokenizer, max_length_tokens, 3), **settings)


def windows(tokenizer, max_length_tokens, question, context):
    """Each window's inputs and the characters of the context that its tokens cover, (-1, -1) for other tokens."""
    third = max_length_tokens // 3
    encoded = tokenizer(question, context, truncation="only_second", max_length=max_length_tokens, stride=third,
                        return_overflowing_tokens=True, return_offsets_mapping=True)  # fmt: skip
    for index in range(len(encoded["input_ids"])):
        sides = encoded.sequence_ids(index)
        offsets = encoded["offset_mapping"][index]
        covered = [pair if side == 1 else (-1, -1) for pair, side in zip(offsets, sides, strict=True)]
        names = [name for name in tokenizer.model_input_names if name in encoded]
        yield {name: torch.tensor([encoded[name][index]]) for name in names}, covered


def by_enumeration(tested, question, context, answers):
    """-log p of the likeliest span that reads as one of the answers, over all pairs of tokens in all windows."""
    starts, ends, best = [], [], -np.inf
    for inputs, covered in windows(
        tested.text_model.tokenizer, tested.text_model.tokenization.max_length_tokens, question, context
    ):
        with torch.no_grad():
            outputs = tested.text_model.model.eval()(**inputs)
        start, end = (logits[0].double().numpy() for logits in (outputs.start_logits, outputs.end_logits))
        starts.append(start)
        ends.append(end)
        for i, (first, _) in enumerate(covered):
            for j, (_, last) in enumerate(covered):
                if first >= 0 and last > first and context[first:last] in answers:
                    best = max(best, start[i] + end[j])
    totals = [np.log(np.exp(np.concatenate(side)).sum()) for side in (starts, ends)]
    return len(starts), sum(totals) - best


@pytest.mark.parametrize("max_length_tokens", [64, 36])
@pytest.mark.parametrize("answers", [("the",), ("cat", "the"), (" ".join(CONTEXT.split()[3:6]),)], ids=str)
def test_the_loss_is_that_of_the_likeliest_right_span(max_length_tokens, answers, tokenizer):
    tested = victim(tokenizer, max_length_tokens)
    count, expected = by_enumeration(tested, "the cat ?", CONTEXT, answers)
    assert (count > 1) == (max_length_tokens == 36)
    assert tested([("the cat ?", CONTEXT, *answers)])[0, 0] == pytest.approx(expected, abs=1e-5)


def test_an_answer_that_no_window_holds_has_a_large_finite_loss(tokenizer):
    outputs = victim(tokenizer)([(QUESTION, CONTEXT, "nowhere"), (QUESTION, CONTEXT, "the")])
    assert outputs[0, 0] == 1e4
    assert outputs[1, 0] < 100
    assert outputs[0, 1] == 0


@pytest.mark.parametrize("bias", [-50.0, 50.0])
def test_without_right_answers_it_is_right_to_say_none(bias, tokenizer):
    """A model whose logits at [CLS] are far from all others."""
    tested = victim(tokenizer, may_abstain=True)

    def shifted(module, args, outputs):
        outputs = outputs.clone()
        outputs[:, 0] += bias
        return outputs

    tested.text_model.model.qa_outputs.register_forward_hook(shifted)
    short = TEXTS[1]  # one window
    none_right, one_right = tested([(QUESTION, short), (QUESTION, short, short.split()[1])])
    abstains = float(bias > 0)
    assert none_right[1:].tolist() == [abstains, abstains]
    assert (none_right[0] < 0.1) == (bias > 0)
    assert (one_right[0] > 50) == (bias > 0)
    if bias > 0:
        assert one_right[1:].tolist() == [0, 0]


def test_questions_are_read_to_a_third_of_a_window(tokenizer):
    tested = victim(tokenizer, 36)
    question = "  " + " ".join(["cat"] * 40)
    read, of_context, of_answer = tested.characters_read((question, CONTEXT, "the"))
    assert (of_context, of_answer) == (len(CONTEXT), 3)
    tokens = tokenizer(question[:read], add_special_tokens=False)["input_ids"]
    assert len(tokens) == 12
    example = (question[:read], CONTEXT, "the")
    np.testing.assert_array_equal(tested([(question, CONTEXT, "the")]), tested([example]))
    assert tested.characters_read(("the cat ", CONTEXT))[0] == len("the cat ")


def test_what_cannot_be_answered_is_refused(tokenizer):
    tested = victim(tokenizer)
    with pytest.raises(InputError, match="expected text in UTF-8"):
        tested([("b\udcff", CONTEXT, "the")])
    torch.nn.init.constant_(tested.text_model.model.qa_outputs.bias, float("nan"))
    with pytest.raises(InputError, match="not finite"):
        tested([(QUESTION, CONTEXT, "the")])
