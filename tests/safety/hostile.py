"""What harm is tried with: code in pickles, modules and templates, and texts that a terminal or a page would obey."""

import json
import pickle
from pathlib import Path
from typing import Any

import torch

ESCAPES = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202e\u2066\u200b"
"""Sets a terminal's title, its colour, clears it, turns the direction of writing round, and hides."""
MARKUP = "<img src=x onerror=owned()><script>owned()</script>[owned](javascript:owned())`|**[bold red]owned"
TEXT = f"owned {ESCAPES}{MARKUP}"
NAME = TEXT.replace("</script>", "").replace("|", "").replace("/", "")
"""The same as far as it can be the name of a file."""

MARKER = "code-was-run"


class Payload:
    """Makes the file `MARKER` in the working folder wherever a pickle of it is read as pickles are."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(MARKER),)


def write_pickle(file: Path) -> None:
    """Writes a plain pickle, as of protocol 2 to 5, under any name."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(Payload()))


def write_torch(file: Path) -> None:
    """Writes what `torch.save` writes, with code in it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"weight": Payload()}, file)


def write_module(file: Path) -> None:
    """Writes a Python module that makes the marker when it is imported, and has all that is asked of it."""
    lines = (
        f"open({MARKER!r}, 'w')",
        "from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertTokenizerFast",
        "class Config(BertConfig): pass",
        "class Model(BertForSequenceClassification): pass",
        "class Tokenizer(BertTokenizerFast): pass",
    )
    file.write_text("\n".join(lines) + "\n")


def update_json(file: Path, values: dict[str, Any]) -> None:
    """Puts values into a JSON file, a new one if need be."""
    found = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**found, **values}))


TEMPLATES = {
    "walks through classes to all others": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "calls the system by a builtin's globals": ("{{ cycler.__init__.__globals__.os.system('touch " + MARKER + "') }}"),
    "calls the system by attr and a name in parts": (
        "{{ (lipsum|attr('__glo' ~ 'bals__'))['os'].popen('touch " + MARKER + "').read() }}"
    ),
    "formats its way to a class": "{{ '{0.__class__.__mro__}'.format(messages) }}",
    "changes what it is given": "{{ messages.append(messages) }}",
    "fails with an error of Python": "{{ 1 / 0 }}",
}
"""Chat templates, by what they try."""
