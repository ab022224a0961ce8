"""Pages of one HTML file that load nothing, and in which no shown text can run as code."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from alum.data.visible_text import visible
from alum.reports.numbers import listed
from alum.reports.pages.matrices import MOST_BESIDE

_MAX_TITLE_CHARACTERS = 80
_LINK = re.compile(r"https?://[^\s<>\"']*[\w/]|arXiv:\d{4}\.\d{4,5}")


def html_page(template: str, contents: Mapping[str, Any], script: str | None = None) -> str:
    """Renders a template with the style sheet that all pages share, and the page's own ``script`` where it has one."""
    environment = Environment(
        loader=PackageLoader("alum.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    environment.filters["linked"] = _linked
    style = _source(environment, "evaluation.css")
    code = _source(environment, script) if script else Markup()
    policy = f"default-src 'none'; style-src '{_digest(style)}'; "
    policy += f"script-src '{_digest(code)}'; " if script else ""
    policy += "base-uri 'none'; form-action 'none'"
    return environment.get_template(template).render(style=style, script=code, policy=policy, **contents)


def names_in_title(names: Sequence[str], many: str) -> str:
    """Names for a title, or ``many`` where they are none, or too many or too long for one.

    >>> names_in_title(["a", "b"], "2 models"), names_in_title(list("abcdef"), "6 models")
    ('a and b', '6 models')
    """
    title = listed(names) if names else ""
    return title if 0 < len(names) <= MOST_BESIDE and len(title) <= _MAX_TITLE_CHARACTERS else many


def setting_texts(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Settings as texts, those that are not text as JSON; those that are None are left out."""
    return [
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
        for name, value in settings.items()
        if value is not None
    ]


def _linked(text: str) -> Markup:
    """Makes links of the addresses and arXiv numbers in a text, and escapes all else."""
    shown, end = Markup(), 0
    for match in _LINK.finditer(text):
        address = match[0].replace("arXiv:", "https://arxiv.org/abs/")
        link = Markup('<a href="{}" rel="noreferrer">{}</a>').format(address, visible(match[0]))
        shown += Markup.escape(visible(text[end : match.start()])) + link
        end = match.end()
    return shown + Markup.escape(visible(text[end:]))


def _source(environment: Environment, name: str) -> Markup:
    """Reads the page's own style sheet or script, which is not escaped."""
    loader = environment.loader
    assert loader is not None
    return Markup(loader.get_source(environment, name)[0])


def _digest(source: str) -> str:
    """Digest by which the page's Content-Security-Policy allows its own style sheet and script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
