"""Conversations as a tokenizer's chat template writes them, and which parts of them an assistant says."""

from collections.abc import Callable, Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from alum.core.errors import InputError

ASSISTANT = "assistant"


def is_conversation(value: Any) -> bool:
    """Whether a value is a list of messages, which say who speaks and what."""
    return isinstance(value, list) and all(isinstance(one, dict) and {"role", "content"} <= one.keys() for one in value)


def parts_of_conversation(
    messages: Sequence[dict[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    first_learned: int,
    error: Callable[[str], InputError],
) -> list[tuple[str, bool]]:
    """Text of a conversation in parts, each with whether it is learned: what the assistant says.

    Messages before the one numbered ``first_learned`` are given, and so is what begins an answer in the template; what
    ends one is learned. What comes after the last answer is left out. Raises ``error`` where nothing is learned, and
    where the template does not write messages one after the other.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise error(
            "the tokenizer has no chat template to write messages with: use the model that was made for conversations, "
            "or columns of prompts and completions"
        )
    parts: list[tuple[str, bool]] = []
    done = ""
    for index, message in enumerate(messages):
        if message["role"] != ASSISTANT or index < first_learned:
            continue
        before = _written(messages[:index], tokenizer, True, error)
        after = _written(messages[: index + 1], tokenizer, False, error)
        if not (before.startswith(done) and after.startswith(before)):
            raise error(
                "the chat template writes earlier messages otherwise once there are later ones: give conversations of "
                "one answer each"
            )
        parts += [(before.removeprefix(done), False), (after.removeprefix(before), True)]
        done = after
    if not parts:
        raise error(f"no message of the {ASSISTANT} that could be learned")
    return parts


def _written(
    messages: Sequence[dict[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    begins_answer: bool,
    error: Callable[[str], InputError],
) -> str:
    given = [{name: value for name, value in message.items() if value is not None} for message in messages]
    if not given:
        return ""
    try:
        text = tokenizer.apply_chat_template(given, tokenize=False, add_generation_prompt=begins_answer)
    except MemoryError:
        raise
    except Exception as problem:  # a template is a program, though one that transformers keeps in a sandbox
        reason = (str(problem).strip() or repr(problem)).splitlines()[0]
        raise error(f"the chat template does not take these messages ({reason})") from None
    assert isinstance(text, str), "one conversation is one text"
    return text
