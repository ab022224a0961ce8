"""Losses of sequences beside those that the models of transformers return themselves."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer, BertTokenizerFast

from alum.data.pretraining.corpora import file_corpus
from alum.data.pretraining.masking import TokenMasks, fixed_masks
from alum.data.pretraining.packing import Packing
from alum.stages.pretraining.held_out import held_out_losses
from alum.stages.pretraining.run import pretrain
from tiny_stages import LENGTH_TOKENS, pretrain_arguments, pretrain_config
from tiny_texts import write_text


@pytest.mark.parametrize("architecture", ["bert-tiny", "gpt2-tiny"])
def test_losses_are_those_of_the_model(tmp_path, monkeypatch, architecture):
    monkeypatch.setenv("ALUM_CACHE", str(tmp_path / "cache"))
    arguments = pretrain_arguments(write_text(tmp_path / "text.txt"), architecture=architecture, vocab_size=300)
    config = pretrain_config(tmp_path / "model", max_steps=3, per_device_eval_batch_size=5)
    pretrain(arguments, config)
    news = file_corpus(write_text(tmp_path / "news.txt", num_documents=6, seed=1))
    found = held_out_losses(tmp_path / "model", {"news": news}, arguments, config)["news"]

    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    is_masked = architecture.startswith("bert")
    auto_class = AutoModelForMaskedLM if is_masked else AutoModelForCausalLM
    model = auto_class.from_pretrained(tmp_path / "model").eval()
    packing = Packing(tokenizer, LENGTH_TOKENS, "masked_lm" if is_masked else "causal_lm")
    rows = packing.dataset(news, tmp_path / "again")
    if is_masked:
        rows = fixed_masks(rows, TokenMasks(tokenizer, whole_words=False), 0.15)
    assert len(rows) == len(found.losses)
    for row, loss, count in zip(rows, found.losses, found.num_tokens, strict=True):
        ids = torch.tensor([row["input_ids"]])
        labels = torch.tensor([row["labels"]]) if is_masked else ids
        with torch.no_grad():
            mean = float(model(input_ids=ids, labels=labels).loss)
        assert count == (int((labels != -100).sum()) if is_masked else LENGTH_TOKENS - 1)
        assert loss / count == pytest.approx(mean, rel=1e-4)


@pytest.mark.parametrize("objective", ["masked_lm", "causal_lm"])
def test_a_sequence_is_of_the_document_that_it_begins_in(tmp_path, objective):
    """Documents of 3, 9 and 5 tokens and an end each fill the places 0 to 3, 4 to 13 and 14 to 19; pieces have 5."""
    words = [*"abcdefgh"]
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]))
    tokenizer = BertTokenizerFast(str(tmp_path / "vocab.txt"), eos_token="[SEP]")
    length = 5 + (2 if objective == "masked_lm" else 0)
    packing = Packing(tokenizer, length, objective)
    rows = torch.tensor(list(packing.rows(["a b c", "d e f g h a b c d", "e f e f g"]))).numpy()
    assert rows.shape == (4, length)
    assert packing.documents(rows).tolist() == [0, 1, 1, 2]
