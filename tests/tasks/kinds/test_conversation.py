"""Conversations, in a template that writes ``b`` and a text for users, ``a`` and a text for assistants, a line each."""

import pytest
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from alum.core.errors import InputError
from alum.data.table import Table
from alum.models.tokenization import Tokenization
from alum.tasks.kinds.completion import CompletionSupervision
from alum.tasks.layout import Layout
from alum.tasks.rows import TaskRows

IGNORED = -100
CHARACTERS = "<\n abcdefgh"
TEMPLATE = (
    "{% for one in messages %}{% if one.role == 'assistant' %}a {% generation %}{{ one.content }}\n{% endgeneration %}"
    "{% else %}b {{ one.content }}\n{% endif %}{% endfor %}{% if add_generation_prompt %}a {% endif %}"
)
# As models that think write only the last answer in full.
LAST_IN_FULL = (
    "{% for one in messages %}{{ 'a ' if one.role == 'assistant' else 'b ' }}"
    "{{ one.content if loop.last or one.role == 'user' else 'h' }}\n{% endfor %}"
    "{% if add_generation_prompt %}a {% endif %}"
)


def tokenizer_with(template):
    """A token for each character."""
    tokenizer = Tokenizer(models.WordLevel({one: i for i, one in enumerate(CHARACTERS)}, unk_token="<"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<")
    fast.chat_template = template
    return fast


def said(*texts, first="user"):
    roles = ("user", "assistant") if first == "user" else ("assistant", "user")
    return [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]


def encoded(columns, layout, template=TEMPLATE, length=64):
    rows = TaskRows(Table.of(Dataset.from_dict(columns), "rows.jsonl"), layout)
    return CompletionSupervision().encode(rows, Tokenization(tokenizer_with(template), length))


def of_messages(*conversations, **settings):
    return encoded({"messages": list(conversations)}, Layout((), "messages"), **settings)


def written(ids):
    return "".join("_" if i == IGNORED else CHARACTERS[i] for i in ids)


def test_what_the_assistant_says_is_learned():
    (row,) = of_messages(said("c d", "e", "f", "g h"))
    assert written(row["input_ids"]) == "b c d\na e\nb f\na g h\n"
    assert written(row["labels"]) == "________e\n______g h\n"
    assert row["attention_mask"] == [1] * 20


@pytest.mark.parametrize("texts", [("c", "d"), ("c d", "e", "f", "g h"), ("c", "d", "e", "f", "g", "h")])
def test_transformers_finds_the_same_tokens(texts):
    (row,) = of_messages(said(*texts))
    expected = tokenizer_with(TEMPLATE).apply_chat_template(
        said(*texts), return_dict=True, return_assistant_tokens_mask=True
    )
    assert row["input_ids"] == expected["input_ids"]
    assert [int(label != IGNORED) for label in row["labels"]] == expected["assistant_masks"]


def test_what_comes_after_the_last_answer_is_left_out():
    (row,) = of_messages(said("c", "d", "e"))
    assert written(row["input_ids"]) == "b c\na d\n"


def test_answers_in_a_prompt_are_given():
    columns = {"prompt": [said("c", "d", "e")], "completion": [said("f", first="assistant")]}
    (row,) = encoded(columns, Layout(("prompt",), "completion"))
    assert written(row["input_ids"]) == "b c\na d\nb e\na f\n"
    assert written(row["labels"]) == "______________f\n"


def test_what_is_too_long_loses_its_start_and_then_its_end():
    (row,) = of_messages(said("c d e", "f"), length=6)
    assert (written(row["input_ids"]), written(row["labels"])) == (" e\na f\n"[-6:], "____f\n")
    (row,) = of_messages(said("c", "d e f g h"), length=4)
    assert (written(row["input_ids"]), written(row["labels"])) == ("d e ", "d e ")


def test_a_template_may_write_only_the_last_answer_in_full():
    (row,) = of_messages(said("c", "d"), template=LAST_IN_FULL)
    assert written(row["labels"]) == "______d\n"
    with pytest.raises(InputError, match=r"rows\.jsonl, row 2: the chat template writes earlier messages otherwise"):
        of_messages(said("c", "d"), said("c", "d", "e", "f"), template=LAST_IN_FULL)


@pytest.mark.parametrize(
    ("messages", "template", "message"),
    [
        (said("c", "d"), None, "row 1: the tokenizer has no chat template"),
        (said("c"), TEMPLATE, "row 1: no message of the assistant that could be learned"),
        (said("c", "d"), "{{ raise_exception('roles must alternate') }}", r"does not take .*\(roles must alternate\)"),
    ],
)
def test_conversations_that_teach_nothing_are_refused(messages, template, message):
    with pytest.raises(InputError, match=message):
        of_messages(messages, template=template)
