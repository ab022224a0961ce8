"""Model cards as a parser of GitHub's Markdown reads them, and what the cards of tests are of."""

import re

import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from alum.reports.cards.training import TrainedBy
from alum.training.config import AlumConfig

VERSIONS = {"alum": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0", "datasets": "5.2.0"}
VERSIONS_LINE = "Versions: torch 2.13.0, transformers 5.23.0, datasets 5.2.0."


class Card:
    """A card as a parser of GitHub's Markdown reads it: blocks of text, and cells of tables by their row's first."""

    def __init__(self, folder):
        self.content = (folder / "README.md").read_text(encoding="utf-8")
        _, front, self.body = re.split(r"^---\n", self.content, maxsplit=2, flags=re.MULTILINE)
        self.front = yaml.safe_load(front)
        self.on_hub = ModelCard(self.content).data  # as the hub's own library reads it; the whole must be valid
        self._tokens = MarkdownIt().enable("table").parse(self.body)
        self.headings, self.paragraphs = self._texts("heading_open"), self._texts("paragraph_open")
        self.codes = [token.content for token in self._tokens if token.type == "fence"]
        self.html = MarkdownIt().enable("table").render(self.body)
        self.header, self.rows = [], {}
        self.evaluated = []
        """Rows of the table of an evaluation, in which a suite has several."""
        for row in self._table_rows():
            if row[0] in ("metric", "setting", "quantity", "text", "suite"):
                self.header.append(row)
            elif self.header[-1][0] == "suite":
                self.evaluated.append(row)
            else:
                assert row[0] not in self.rows
                self.rows[row[0]] = row[1:] if len(row) > 2 else row[1]

    def _texts(self, opening):
        pairs = zip(self._tokens, self._tokens[1:], strict=False)
        return [self._text(inline) for token, inline in pairs if token.type == opening]

    def _text(self, inline):
        return "".join(child.content for child in inline.children)

    def _table_rows(self):
        row = []
        for token, following in zip(self._tokens, self._tokens[1:], strict=False):
            if token.type in ("th_open", "td_open"):
                row.append(self._text(following))
            elif token.type == "tr_close":
                yield row
                row = []


def method_of(settings):
    """The method that a run with these settings is trained by."""
    of_adversary = {name: value for name, value in settings.items() if name.startswith("adv_")}
    return AlumConfig(use_cpu=True, **of_adversary).method()


def trained_by(settings):
    return TrainedBy(settings, method_of(settings), VERSIONS)
