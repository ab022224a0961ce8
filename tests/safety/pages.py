"""What is wrong about a page or a card that hostile texts are shown on."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

from markdown_it import MarkdownIt

from alum.data.visible_text import visible

_ACTIVE = {"img", "iframe", "object", "embed", "link", "base", "form", "input", "audio", "video", "foreignobject"}


def faults_of_pages(folder: Path) -> Iterator[str]:
    """Every page, card and text below a folder: what is raw on it, or would be obeyed by a browser."""
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".html", ".md", ".txt") or path.is_symlink() or not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", errors="surrogateescape")
        if path.suffix == ".txt" and path.parent.name != "logs":  # a vocabulary
            continue
        if visible(text.replace("\r", "")) != text.replace("\r", ""):
            yield f"raw characters in {path.name}"
        if path.suffix == ".html":
            yield from (f"{fault} in {path.name}" for fault in _faults(text))
        if path.suffix == ".md":
            body = re.sub(r"\A---\n.*?^---\n", "", text, flags=re.DOTALL | re.MULTILINE)
            page = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
            page = page.replace('<img src="loss.png" alt="Losses over training steps" />', "")
            yield from (f"{fault} in {path.name}" for fault in _faults(page))


def _faults(page: str) -> Iterator[str]:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    yield from reader.faults


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_script = tag in ("script", "style")
        if tag in _ACTIVE:
            self.faults.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith(("javascript:", "data:text")):
                self.faults.append(f"{name}={value}")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script and "owned" in data:
            self.faults.append("text in a script")
