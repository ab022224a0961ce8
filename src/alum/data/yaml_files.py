"""YAML files of settings: YAML 1.2's words for values, and a bound on what a few lines can stand for."""

import os
import re
from typing import Any

import yaml

from alum.core.errors import InputError
from alum.data.files import read_text

MOST_VALUES = 10_000
"""Values of a file with those counted again that aliases repeat: ten lines of aliases in aliases stand for 10⁹."""


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """Reads a YAML file; raises `InputError` for what is none, refers to itself, or stands for too much."""
    text = read_text(path)
    try:
        return _value_of(_Loader(text), path)  # which raises for control characters
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    except _RefersToItself:
        raise InputError(f"{path} has an alias for something that the alias is a part of: write it out.") from None
    except RecursionError:
        raise InputError(f"{path} nests too deep: expected settings by name.") from None


def _value_of(loader: "_Loader", path: str | os.PathLike[str]) -> Any:
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _num_values(node, {}) > MOST_VALUES:
            raise InputError(
                f"{path} stands for more than {MOST_VALUES:,} values: expected settings. Use fewer aliases."
            )
        return loader.construct_document(node)
    finally:
        loader.dispose()


class _RefersToItself(Exception):
    pass


def _num_values(node: yaml.Node, known: dict[int, int | None]) -> int:
    """Number of values that a node stands for; ``known`` has those of nodes that were seen, None of unfinished ones."""
    if id(node) in known:
        found = known[id(node)]
        if found is None:
            raise _RefersToItself
        return found
    known[id(node)] = None
    parts: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        parts = node.value
    elif isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
    found = 1 + sum(_num_values(part, known) for part in parts)
    known[id(node)] = found
    return found


class _Loader(yaml.SafeLoader):
    """YAML 1.2's words for values: 5:10 is no number in base 60, off no boolean, and 1e-4 a number."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag.rpartition(":")[2] not in ("bool", "float", "int", "timestamp")]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$", re.IGNORECASE), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)
