"""Choices in pre-training, written once: settings, corpora, tokenizers and models from scratch take them from here."""

from typing import Literal

Objective = Literal["masked_lm", "causal_lm"]
TokenizerKind = Literal["wordpiece", "byte_level_bpe"]
DocumentUnit = Literal["block", "line", "file"]
