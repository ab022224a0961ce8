"""Words that a masked language model proposes for the texts that are changed."""

import random

import pytest
import torch
from transformers import BertForMaskedLM

from alum.attacks.text.random_changes import RandomChanges
from alum.stages.augmentation.arguments import AugmentArguments
from alum.stages.word_sources import word_sources
from tiny_stages import save_untrained
from tiny_texts import opinions

TEXTS = [row["text"] for row in opinions(6)]


def test_a_model_that_failed_at_the_texts_is_asked_about_them_again(tmp_path, monkeypatch):
    """As where auto_find_batch_size tries a step again that ran out of memory."""
    model = str(save_untrained(tmp_path / "model"))
    arguments = AugmentArguments(
        data_file="rows.jsonl", text_columns="text", output_file="out.jsonl", masked_lm=model, changes="masked_lm"
    )
    changes, undisturbed = (
        RandomChanges(["masked_lm"], 0.5, word_sources(arguments, ["masked_lm"], iter(TEXTS))) for _ in range(2)
    )
    with monkeypatch.context() as patched:
        patched.setattr(BertForMaskedLM, "forward", _out_of_memory)
        with pytest.raises(torch.OutOfMemoryError):
            changes.drawn((TEXTS[0],), random.Random(0))
    for text in TEXTS:
        found, expected = (one.drawn((text,), random.Random(0)) for one in (changes, undisturbed))
        assert found == expected
        assert found.changes


def _out_of_memory(*args, **kwargs):
    raise torch.OutOfMemoryError("no memory is left")
