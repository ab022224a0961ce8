"""What the site adds to Sphinx: pages made from the code, and names that docstrings may refer to.

- ``{command-reference} NAME`` in a page is the reference of a command, made from its own parser
  (``tools/command_reference.py``).
- A name in single backticks in a docstring is a link where the name is public, and has to exist anyway.
- Every public name of `alum` has to be documented on some page.
- A number and the % or ε behind which it stands are not parted at the end of a line.
- Code in a line that has a word longer than a phone's line is marked, so that it is broken there.
"""

import importlib
import inspect
import re
import sys
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

import alum
import command_reference
from alum.cli.names import COMMANDS

LOG = logging.getLogger(__name__)


DIRECTIVE = re.compile(r"^```\{command-reference\} (\w+)\n```$", re.MULTILINE)


def fill_in_commands(app: Sphinx, docname: str, source: list[str]) -> None:
    """Puts the flags of a command, with their defaults, where a page asks for them."""
    source[0] = DIRECTIVE.sub(lambda found: command_reference.command_page(found[1]), source[0])


def find_public_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, contents: Any) -> nodes.Node | None:
    """Turns a reference to a public name, or to another name that exists, into a link or into plain text.

    Public names are documented as ``alum.Name``, whatever module defines them. What exists nowhere stays unknown, so
    that Sphinx warns of it.
    """
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"].lstrip("~.")
    first, _, rest = target.removeprefix("alum.").partition(".")
    python = env.get_domain("py")
    for name in (f"alum.{target}", f"alum.{first}.{rest}", f"alum.{target.rpartition('.')[2]}"):
        if name in python.objects and name != target:
            return python.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, contents)
    return contents if _exists(target, node.get("py:class")) else None


def _exists(target: str, of_class: str | None) -> bool:
    """Whether a name is that of something: of a module, in a module of alum, or in the class that refers to it."""
    parts = target.split(".")
    modules = [name for name in sys.modules if name.startswith("alum.")]
    return (
        any(_found(".".join(parts[:n]), ".".join(parts[n:])) for n in range(len(parts), 0, -1))
        or any(_found(module, target) for module in modules)
        or (of_class is not None and _found("alum", f"{of_class}.{target}"))
    )


def _found(module: str, name: str) -> bool:
    try:
        value: Any = importlib.import_module(module)
        for part in name.split("."):
            value = getattr(value, part) if part else value
    except (ImportError, AttributeError):
        return False
    return True


PARTED = re.compile(r"(?<=\d) (?=%)|(?<=[εα]) (?=[\d.])")


def keep_numbers_together(app: Sphinx, doctree: nodes.document) -> None:
    """Puts spaces that do not break into prose: ``64.7 %``, ``ε 0.03``. Code stays as it is copied."""
    for text in list(doctree.findall(nodes.Text)):
        if not isinstance(text.parent, nodes.literal | nodes.literal_block) and PARTED.search(text):
            text.parent.replace(text, nodes.Text(PARTED.sub("\N{NO-BREAK SPACE}", text)))


LONGEST_WORD = 36


def mark_long_code(app: Sphinx, doctree: nodes.document) -> None:
    for code in doctree.findall(nodes.literal):
        if max(map(len, code.astext().split()), default=0) > LONGEST_WORD:
            code["classes"].append("long")


def check_that_all_is_documented(app: Sphinx, env: BuildEnvironment) -> None:
    """Warns of public names and commands without a page."""
    documented = env.get_domain("py").objects
    for name in alum.__all__:
        if f"alum.{name}" not in documented:
            LOG.warning("alum.%s is public and on no page of docs/reference/api", name)
        elif not inspect.getdoc(getattr(alum, name)):
            LOG.warning("alum.%s is public and has no docstring", name)
    for command in COMMANDS:
        if f"reference/commands/{command}" not in env.found_docs:
            LOG.warning("alum %s has no page in docs/reference/commands", command)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", fill_in_commands)
    app.connect("doctree-read", keep_numbers_together)
    app.connect("doctree-read", mark_long_code)
    app.connect("missing-reference", find_public_name)
    app.connect("env-check-consistency", check_that_all_is_documented)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
