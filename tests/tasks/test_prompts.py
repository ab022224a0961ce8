"""Prompts around a row's texts, and the answers to them.

How tokens are split is restated from lm-evaluation-harness,
https://github.com/EleutherAI/lm-evaluation-harness, ``_encode_pair`` in lm_eval/api/model.py.
"""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_byte_level_bpe
from alum.models.tokenization import Tokenization
from alum.tasks.prompts import AskedAnswers, LabelAnswer, PromptTemplate, columns_in, tokenized
from tiny_texts import opinions

TEXTS = [row["text"] for row in opinions(24)]
ANSWERS = tuple(map(LabelAnswer.parse, (" good", " dreadful")))


@pytest.fixture(scope="module")
def byte_level():
    return train_byte_level_bpe([*TEXTS, "Review: a good one. It is dreadful"], 330, 64, "causal_lm")


def split(tokenizer, context, continuation):
    """Tokens of context and continuation, restated."""
    stripped = context.rstrip()
    continuation = context[len(stripped) :] + continuation
    whole = tokenizer(stripped + continuation, add_special_tokens=False)["input_ids"]
    alone = tokenizer(stripped, add_special_tokens=False)["input_ids"]
    return alone, whole[len(alone) :]


# -- templates ---------------------------------------------------------------------------------------------------------


def test_texts_stand_where_the_template_names_their_columns():
    template = PromptTemplate.of("{{Premise}}: {a}\\nHypothesis: {b} True?", ["a", "b", "c"])
    assert template.columns == ("a", "b")
    prompt = template.filled(["It {rains}.", "wet"])
    assert prompt.text == "{Premise}: It {rains}.\nHypothesis: wet True?"
    assert [(prompt.text[own.start : own.end], own.text) for own in prompt.own_texts] == [
        ("It {rains}.", 0),
        ("wet", 1),
    ]


def test_the_columns_keep_their_order_whatever_the_templates():
    template = PromptTemplate.of("{b}? {a}", ["a", "b"])
    assert template.columns == ("a", "b")
    assert template.filled(["first", "second"]).text == "second? first"


def test_without_a_template_texts_follow_each_other_as_in_training():
    prompt = PromptTemplate.of(None, ["instruction", "input"]).filled(["Say it.", "a cat"])
    assert prompt.text == "Say it.\na cat"
    assert [prompt.text[own.start : own.end] for own in prompt.own_texts] == ["Say it.", "a cat"]


def test_columns_of_a_template():
    assert columns_in("{b} {{x}} {a} {b}") == ("b", "a")


@pytest.mark.parametrize(
    ("template", "columns", "message"),
    [
        ("Review: {sentense}", ["sentence"], r"the prompt has \{sentense\}, but the columns of text are sentence"),
        ("Review:", ["sentence"], r"none of the columns of text, sentence: write \{sentence\}"),
        (
            "Review: {sentence",
            ["sentence"],
            r"cannot be read \(expected '}' before end of string\): write",
        ),
        ("Review: {}", ["sentence"], "braces without the name of a column alone"),
        ("Review: {sentence:>9}", ["sentence"], "braces without the name of a column alone"),
        (None, [], "answers are to a prompt of texts: name the columns"),
    ],
)
def test_templates_that_cannot_be_filled(template, columns, message):
    with pytest.raises(InputError, match=message):
        PromptTemplate.of(template, columns)


# -- answers -----------------------------------------------------------------------------------------------------------


def test_answers_are_named_as_they_are_or_by_their_label():
    assert LabelAnswer.parse(" negative") == LabelAnswer("negative", " negative")
    assert LabelAnswer.parse("bad= terrible") == LabelAnswer("bad", " terrible")
    assert LabelAnswer.parse("sum=1=1") == LabelAnswer("sum", "1=1")


@pytest.mark.parametrize(
    ("prompt", "answers", "message"),
    [
        ("{text}", [], "two or more answers.*--answers, not none"),
        (None, ["yes"], "two or more answers.*not 'yes'"),
        (None, ["yes", "yes"], "each of them another one"),
        (None, ["yes", " yes"], "two answers stand for one label: yes, yes"),
        (None, ["yes", " "], "expected an answer as ANSWER or NAME=ANSWER, not ' '"),
        (None, ["yes", "no="], "not 'no='"),
    ],
)
def test_answers_that_cannot_be_chosen_between(prompt, answers, message):
    with pytest.raises(InputError, match=message):
        AskedAnswers.of(prompt, answers)


def test_nothing_is_asked_where_nothing_is_given():
    assert AskedAnswers.of(None, []) is None


# -- tokens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "given", "continuations"),
    [
        ("Review: {text} It is", (" good", " dreadful"), (" good", " dreadful")),
        ("Review: {text} It is", ("good", "dreadful"), (" good", " dreadful")),  # lm-eval's target_delimiter
        ("Review: {text} It is ", ("good", "dreadful"), ("good", "dreadful")),
        ("Review: {text}\nIt is\n", ("good", " dreadful"), ("good", " dreadful")),
        (None, ("good", " dreadful"), ("\ngood", " dreadful")),  # the newline of training
    ],
)
def test_tokens_are_split_as_in_lm_evaluation_harness(byte_level, template, given, continuations):
    template = PromptTemplate.of(template, ["text"])
    prompts = [template.filled([text]) for text in TEXTS]
    answers = [LabelAnswer.parse(one) for one in given]
    for prompt, found in zip(prompts, tokenized(prompts, template, answers, Tokenization(byte_level, 64)), strict=True):
        for answer, continuation in zip(found.answers, continuations, strict=True):
            assert (found.prompt, answer) == split(byte_level, prompt.text, continuation)
        assert [prompt.text[start:end] for start, end in found.spans] == [
            byte_level.decode([one]) for one in found.prompt
        ]


def joining_tokenizer():
    """Letters and spaces are tokens, and so is "ab"."""
    vocabulary = {token: i for i, token in enumerate(["<eos>", " ", "a", "b", "c", "ab"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("a", "b")]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>")


def test_a_token_over_the_boundary_is_the_prompts_alone():
    """Of "ab" + "c", beside "a" alone, the harness takes what is behind as many tokens as "a" has: "c"."""
    template = PromptTemplate.of("{text}", ["text"])
    tokenizer = joining_tokenizer()
    (found,) = tokenized(
        [template.filled(["a"])], PromptTemplate(("text",), (0,), ""), [LabelAnswer("x", "bc"), LabelAnswer("y", " b")],
        Tokenization(tokenizer, 9),
    )  # fmt: skip
    assert (found.prompt, found.answers) == ([2], [[4], [1, 3]])
    assert (found.prompt, found.answers[0]) == split(tokenizer, "a", "bc")
    with pytest.raises(InputError, match="joins the answer 'b' to the end of the prompt"):
        tokenized([template.filled(["a"])], PromptTemplate(("text",), (0,), ""), [LabelAnswer("x", "b")],
                  Tokenization(tokenizer, 9))  # fmt: skip


def test_a_prompt_without_tokens_is_the_beginning_of_a_sequence():
    template = PromptTemplate.of("{text}", ["text"])
    (found,) = tokenized(
        [template.filled([" "])], template, [LabelAnswer("x", "b")], Tokenization(joining_tokenizer(), 9)
    )
    assert (found.prompt, found.spans, found.answers) == ([0], [(0, 0)], [[1, 3]])


def test_long_prompts_lose_their_beginning_and_answers_nothing(byte_level):
    template = PromptTemplate.of("Review: {text} It is", ["text"])
    prompt = template.filled([TEXTS[0]])
    (whole,) = tokenized([prompt], template, ANSWERS, Tokenization(byte_level, 64))
    (cut,) = tokenized([prompt], template, ANSWERS, Tokenization(byte_level, 12))
    longest = max(map(len, whole.answers))
    assert longest > 1
    assert (cut.prompt, cut.spans) == (whole.prompt[-(13 - longest) :], whole.spans[-(13 - longest) :])
    assert (cut.answers, cut.num_cut) == (whole.answers, len(whole.prompt) - 13 + longest)
    with pytest.raises(InputError, match=f"max_seq_length 1 leaves no room for prompts beside answers of {longest}"):
        tokenized([prompt], template, ANSWERS, Tokenization(byte_level, 1))
