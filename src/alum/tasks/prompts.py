"""Prompts made of a row's texts, and the answers to them, as a causal language model reads them."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alum.core.errors import InputError

if TYPE_CHECKING:
    from alum.models.tokenization import Tokenization

NAMED_ANSWER = "="


@dataclass(frozen=True)
class OwnText:
    """Characters of a prompt that are a row's own: the text with this index, from ``start`` to ``end``."""

    text: int
    start: int
    end: int


@dataclass(frozen=True)
class Prompt:
    """A prompt, and where in it the texts of its row are."""

    text: str
    own_texts: tuple[OwnText, ...]


@dataclass(frozen=True)
class PromptTemplate:
    """Prompt around the texts of a row, with the names of their columns in braces: ``"Review: {sentence} Opinion:"``.

    A backslash with an n, as a shell passes it on, is a newline. ``parts`` are what stands between, and the indices of
    ``columns``. Without a template the texts follow each other, as in training, with a newline where there is no white
    space between two of them or before the answer; in a template it is a space before the answer.

    >>> PromptTemplate.of("Review: {text} It is", ["text"]).filled(["Great."]).text
    'Review: Great. It is'
    """

    columns: tuple[str, ...]
    parts: tuple[str | int, ...]
    separator: str

    @classmethod
    def of(cls, template: str | None, columns: Sequence[str]) -> PromptTemplate:
        """Reads a template; raises `InputError` for one that names none of the columns, or others."""
        if template is None and columns:
            return cls(tuple(columns), tuple(range(len(columns))), "\n")
        if template is None:
            raise InputError("answers are to a prompt of texts: name the columns of these, with --text_columns.")
        parsed = _parsed(template)
        named = [name for _, name in parsed if name is not None]
        for name in named:
            if name not in columns:
                raise InputError(
                    f"the prompt has {{{name}}}, but the columns of text are {', '.join(columns)}: name these, and "
                    "write {{ and }} for braces."
                )
        if not named:
            raise InputError(
                f"the prompt has none of the columns of text, {', '.join(columns)}: write {{{columns[0]}}}."
            )
        used = tuple(column for column in columns if column in named)
        parts: list[str | int] = []
        for literal, column in parsed:
            parts += [literal] if literal else []
            parts += [] if column is None else [used.index(column)]
        return cls(used, tuple(parts), " ")

    def filled(self, texts: Sequence[str]) -> Prompt:
        """Makes the prompt of a row with these texts, one for each column."""
        prompt, own = "", []
        for part in self.parts:
            if isinstance(part, str):
                prompt += part
                continue
            if self.separator == "\n":
                prompt += separator(prompt, texts[part])
            own.append(OwnText(part, len(prompt), len(prompt) + len(texts[part])))
            prompt += texts[part]
        return Prompt(prompt, tuple(own))


def columns_in(template: str) -> tuple[str, ...]:
    """Names in the braces of a template, once each, in their order; raises `InputError` for one that cannot be read."""
    return tuple(dict.fromkeys(name for _, name in _parsed(template) if name is not None))


def _parsed(template: str) -> list[tuple[str, str | None]]:
    """Pairs of what stands before a name in braces, and the name; None behind the last one."""
    try:
        parsed = list(string.Formatter().parse(template.replace("\\n", "\n")))
    except ValueError as error:
        raise InputError(f"the prompt {template!r} cannot be read ({error}): write {{{{ and }}}} for braces.") from None
    for _, column, form, conversion in parsed:
        if column is not None and (not column or form or conversion):
            raise InputError(
                f"the prompt {template!r} has braces without the name of a column alone: write {{column}}."
            )
    return [(literal, name) for literal, name, _, _ in parsed]


def separator(before: str, after: str, mark: str = "\n") -> str:
    """Separator of two parts of a text: ``mark``, but nothing where either brings white space of its own."""
    return mark if before and after and not before[-1].isspace() and not after[0].isspace() else ""


@dataclass(frozen=True)
class LabelAnswer:
    """Answer that a prompt may be gone on with, and the name of the label that it stands for."""

    name: str
    text: str

    @classmethod
    def parse(cls, given: str) -> LabelAnswer:
        """Reads ``ANSWER``, which is named as it is without white space, or ``NAME=ANSWER``; `InputError` for none."""
        name, mark, text = given.partition(NAMED_ANSWER)
        if not mark:
            name, text = given.strip(), given
        if not name.strip() or not text.strip():
            raise InputError(f"expected an answer as ANSWER or NAME=ANSWER, not {given!r}.")
        return cls(name.strip(), text)


@dataclass(frozen=True)
class AskedAnswers:
    """Answers that a user names, one of which a causal language model chooses, and the prompt that they are to."""

    prompt: str | None
    answers: tuple[LabelAnswer, ...]

    @classmethod
    def of(cls, prompt: str | None, given: Sequence[str]) -> AskedAnswers | None:
        """Reads settings, None where there are none; raises `InputError` for a prompt alone, and too few answers."""
        if not given and prompt is None:
            return None
        answers = tuple(map(LabelAnswer.parse, given))
        if len(answers) < 2 or len({one.text for one in answers}) < len(answers):
            raise InputError(
                "a causal language model chooses one of two or more answers, each of them another one: give "
                f"--answers, not {', '.join(map(repr, given)) or 'none'}."
            )
        if len({one.name for one in answers}) < len(answers):
            raise InputError(f"two answers stand for one label: {', '.join(one.name for one in answers)}.")
        return cls(prompt, answers)


@dataclass(frozen=True)
class PromptTokens:
    """Tokens of a prompt and of each answer; ``spans`` are the prompt's, in its text, ``(0, 0)`` of special ones."""

    prompt: list[int]
    spans: list[tuple[int, int]]
    answers: list[list[int]]
    num_cut: int
    """Number of tokens that the prompt lost at its beginning, where it is too long."""


def tokenized(
    prompts: Sequence[Prompt], template: PromptTemplate, answers: Sequence[LabelAnswer], tokenization: Tokenization
) -> list[PromptTokens]:
    """Tokenizes prompts with each of the answers, as lm-evaluation-harness does.

    White space at a prompt's end goes to the answer. Both are tokenized as one text, of which the answer has the tokens
    beyond those of the prompt alone. A prompt without a token is the beginning of a sequence. What is too long loses
    the start of its prompt. The last token of an answer is not read, and needs no room.

    Differs from it: a prompt begins as the tokenizer begins each text, and loses as much beside every answer.

    Raises `InputError` for a tokenizer that does not tell where its tokens are, for answers of which nothing is left
    behind the prompt's tokens, and where there is no room for prompts.
    """
    tokenizer = tokenization.tokenizer
    if not tokenizer.is_fast:
        raise InputError(
            f"{type(tokenizer).__name__} does not tell where in a text its tokens are: expected a tokenizer of the "
            "tokenizers library (tokenizer.json)."
        )
    settings = {"add_special_tokens": False, "verbose": False}
    alone = tokenizer([one.text.rstrip() for one in prompts], return_offsets_mapping=True, **settings)
    whole = tokenizer(
        [
            one.text + separator(one.text, answer.text, template.separator) + answer.text
            for one in prompts
            for answer in answers
        ],
        **settings,
    )["input_ids"]
    start = [i for i in tokenizer("")["input_ids"][:1] if i == tokenizer.bos_token_id]
    found = []
    for index in range(len(prompts)):
        ids = alone["input_ids"][index]
        of_answers = [both[len(ids) :] for both in whole[index * len(answers) : (index + 1) * len(answers)]]
        for answer, own in zip(answers, of_answers, strict=True):
            if not own:
                raise InputError(
                    f"the tokenizer joins the answer {answer.text!r} to the end of the prompt, so that nothing is left "
                    "of it: begin it with a space."
                )
        before = start or ([] if ids else _beginning(tokenizer))
        room = tokenization.max_length_tokens + 1 - max(map(len, of_answers)) - len(before)
        if room < 1:
            raise InputError(
                f"max_seq_length {tokenization.max_length_tokens} leaves no room for prompts beside answers of "
                f"{max(map(len, of_answers))} tokens: give more."
            )
        cut = max(len(ids) - room, 0)
        spans = [(0, 0)] * len(before) + [tuple(span) for span in alone["offset_mapping"][index][cut:]]
        found.append(PromptTokens([*before, *ids[cut:]], spans, of_answers, cut))
    return found


def _beginning(tokenizer: object) -> list[int]:
    ids = (getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id"))
    first: int | None = next((one for one in ids if one is not None), None)
    if first is None:
        raise InputError("a prompt has no token, and the tokenizer none that begins a sequence: give a prompt.")
    return [first]
