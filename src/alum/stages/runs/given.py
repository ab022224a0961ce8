"""Arguments of a call from Python: settings by name, and rows and models that its program holds in memory."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import nn
from transformers import Pipeline

from alum.core.errors import InputError, unknown_name
from alum.data.rows_in_memory import dataset_of, is_rows
from alum.data.table import Table
from alum.models.model_in_memory import ModelInMemory, left_as_it_was
from alum.models.text_function import TextFunction

InMemory = ModelInMemory | TextFunction

MODEL, ROWS = "model", "rows"
_COLUMN_LISTS = ("text_columns", "choice_columns")

_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Given:
    """Models and tables of rows that a call gave in memory, each by the name that it has in records."""

    models: Mapping[str, InMemory] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)

    @contextmanager
    def left_as_they_were(self) -> Iterator[None]:
        """Gives models in memory back as they were, at the end (`left_as_it_was`)."""
        with ExitStack() as stack:
            for source in self.models.values():
                if isinstance(source, ModelInMemory):
                    stack.enter_context(left_as_it_was(source.model))
            yield


NOTHING = Given()


def made(of: type[_Made], settings: Mapping[str, Any]) -> _Made:
    """Makes a dataclass of settings that were given by name; columns may be lists of names.

    Raises `InputError` for names that it does not have.
    """
    names = [one.name for one in dataclasses.fields(of) if one.init]  # type: ignore[arg-type]
    for name in settings:
        if name not in names:
            raise unknown_name("setting", name, names)
    lists = {name: _as_text(name, settings[name]) for name in _COLUMN_LISTS if name in settings}
    return of(**{**settings, **lists})


def _as_text(name: str, value: Any) -> Any:
    """Names of columns as one text with commas."""
    if value is None or isinstance(value, str):
        return value
    if any("," in str(column) for column in value):
        raise InputError(f"{name}: names with a comma cannot be told apart, {list(value)}: rename these columns.")
    return ",".join(map(str, value))


def models_in(model: Any, tokenizer: Any, label_names: Sequence[str] | None) -> dict[str, InMemory | str]:
    """Reads what was given as the model: one, or several by name, each in memory, a path or a function.

    A model in memory has the ``tokenizer``, or is a pair of both; `transformers.Pipeline` has its own. Raises
    `InputError` for anything else.
    """
    models = model if isinstance(model, Mapping) else {MODEL: model}
    if not models:
        raise InputError("no model: give one, or several by name.")
    for name in models:
        if not isinstance(name, str) or not name.strip() or {"=", "/"} & set(name):
            raise InputError(f"expected models by names without = and /, not {name!r}.")
    found = {name: _model(one, tokenizer, label_names) for name, one in models.items()}
    if not any(isinstance(one, ModelInMemory) for one in found.values()):
        check_no_tokenizer(tokenizer)
    if label_names is not None and not any(isinstance(one, TextFunction) for one in found.values()):
        raise InputError(
            "label_names are for functions from texts to probabilities: a model has them in its config.id2label."
        )
    return found


def check_no_tokenizer(tokenizer: Any) -> None:
    """Raises `InputError` for a tokenizer that nothing given would be read by."""
    if tokenizer is not None:
        raise InputError(
            "the tokenizer is for models in memory: a path has its own, and a function reads texts as they are. Leave "
            "it out, or load the model."
        )


def _model(model: Any, tokenizer: Any, label_names: Sequence[str] | None) -> InMemory | str:
    if isinstance(model, tuple) and len(model) == 2:
        model, tokenizer = model
    if isinstance(model, Pipeline):
        model, tokenizer = model.model, tokenizer or model.tokenizer
    if isinstance(model, str):
        return model
    if isinstance(model, nn.Module) or not callable(model):
        return ModelInMemory.of(model, tokenizer)
    return TextFunction(model, None if label_names is None else tuple(map(str, label_names)))


def tables_in(rows: Any) -> tuple[dict[str, Table], list[str]]:
    """Reads rows in memory, one set or several by name, and names of suites: the tables, and the names.

    Raises `InputError` for what is neither.
    """
    if isinstance(rows, str):
        return {}, [rows]
    if isinstance(rows, Mapping):
        if not all(isinstance(name, str) and name.strip() for name in rows):
            raise InputError(f"expected rows by name, as text, not by {', '.join(map(repr, rows))}.")
        tables = {name: table_of(one, name) for name, one in rows.items() if not isinstance(one, str)}
        return tables, [f"{name}={path}" for name, path in rows.items() if isinstance(path, str)]
    if not is_rows(rows) and isinstance(rows, Sequence) and all(isinstance(name, str) for name in rows):
        return {}, list(rows)
    return {ROWS: table_of(rows, ROWS)}, []


def table_of(rows: Any, name: str) -> Table:
    """Makes a table of rows in memory; raises `InputError` where they are not rows."""
    return Table.of(dataset_of(rows, name), name)
