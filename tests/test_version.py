"""What names the version in several places names one."""

import re

import yaml

from alum.version import __version__
from places import ROOT

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
SECTIONS = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_changelog_begins_with_what_is_unreleased_and_then_this_version():
    assert SECTIONS[:2] == ["[Unreleased]", f"[{__version__}] - {CITATION['date-released']}"]


def test_the_citation_is_of_this_version():
    assert CITATION["version"] == __version__
