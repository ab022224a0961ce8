"""The page on other Trainers runs as it stands there, and names what is refused as the errors do."""

import re

import pytest
from datasets import Dataset

from places import ROOT
from tiny_language_data import SENTENCES, causal_model, causal_tokenizer
from tiny_runs import STEPS

PAGE = (ROOT / "docs" / "trainers.md").read_text(encoding="utf-8")


def test_the_snippet_trains_with_an_adversary(tmp_path):
    pytest.importorskip("trl", reason="needs the extra trl")
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    steps = {**STEPS, "max_steps": 2, "bf16": False, "gradient_checkpointing": False}
    written = ", ".join(f"{name}={value!r}" for name, value in steps.items())
    snippet = snippet.replace('output_dir="out"', f"output_dir={str(tmp_path)!r}, {written}")
    names = {"model": causal_model(), "data": Dataset.from_dict({"text": SENTENCES}), "tokenizer": causal_tokenizer()}
    names["__name__"] = "snippet"
    exec(snippet, names)
    assert all(entry["adversarial_gain"] > 2 for entry in names["trainer"].state.log_history if "loss" in entry)


def test_the_versions_are_those_that_are_installed_here():
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    versions = re.search(r"trl ([\d.]+), sentence-transformers ([\d.]+) and transformers ([\d.]+),", PAGE)
    for name, version in zip(("trl", "sentence-transformers", "transformers"), versions.groups(), strict=True):
        assert re.search(rf"^{name}=={re.escape(version)}\.", pinned, flags=re.MULTILINE)
