"""Command-line flags for the fields of a dataclass, as `transformers.HfArgumentParser` makes them.

Importing transformers takes seconds, and alum's own settings need little of its parser, so that this module does
without it. Settings that the Trainer declares are left to `transformers.HfArgumentParser`.
"""

import argparse
import dataclasses
import inspect
import types
from typing import Any, Literal, Union, get_args, get_origin

_WORDS = {"yes": True, "true": True, "t": True, "y": True, "1": True}
_WORDS |= {"no": False, "false": False, "f": False, "n": False, "0": False}


def parser_of(settings: type) -> argparse.ArgumentParser:
    """Makes an argument parser with a flag for each field of a dataclass, as a parent of a command's parser.

    A class's own fields come before those that it inherits, since help lists flags in this order.
    """
    parser = argparse.ArgumentParser(add_help=False)
    for field in own_fields_first(settings):
        parser.add_argument(*_spellings(field.name), help=field.metadata["help"], **_default(field), **_reading(field))
        if field.default is True:
            parser.add_argument(
                *_spellings(f"no_{field.name}"),
                dest=field.name,
                action="store_false",
                default=False,
                help=field.metadata["help"],
            )
    return parser


def own_fields_first(settings: type) -> "list[dataclasses.Field[Any]]":
    """Fields of a dataclass, those that it declares itself before those of its bases."""
    fields = {field.name: field for field in dataclasses.fields(settings)}
    names = [name for one in settings.__mro__ for name in inspect.get_annotations(one) if name in fields]
    return [fields[name] for name in dict.fromkeys(names)]


def _spellings(name: str) -> list[str]:
    return list(dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}")))


def _default(field: "dataclasses.Field[Any]") -> dict[str, Any]:
    if field.default is not dataclasses.MISSING:
        return {"default": field.default}
    if field.default_factory is not dataclasses.MISSING:
        return {"default": field.default_factory()}
    return {"required": True}


def _reading(field: "dataclasses.Field[Any]") -> dict[str, Any]:
    """Arguments of ``add_argument`` for a field's type; the flag of a boolean turns it on where no value is given."""
    given = _without_none(field.type)
    if get_origin(given) is Literal:
        return {"choices": get_args(given)}
    if get_origin(given) is list:
        return {"type": get_args(given)[0], "nargs": "+"}
    if given is bool:
        return {"type": _truth, "nargs": "?", "const": True}
    assert given in (str, int, float), field
    return {"type": given}


def _without_none(declared: Any) -> Any:
    """Type of a setting without None; of several types the first."""
    if get_origin(declared) in (Union, types.UnionType):
        return next(one for one in get_args(declared) if one is not type(None))
    return declared


def _truth(word: str) -> bool:
    if word.lower() not in _WORDS:
        raise argparse.ArgumentTypeError(f"expected true or false (or yes, no, 1, 0), not {word!r}.")
    return _WORDS[word.lower()]
