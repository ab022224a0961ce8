"""Training a WordPiece vocabulary on a corpus."""

import logging
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from alum.core.errors import InputError

logger = logging.getLogger(__name__)

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_wordpiece(texts: Iterable[str], vocab_size: int, max_length_tokens: int) -> PreTrainedTokenizerFast:
    """A lower-cased WordPiece tokenizer as BERT's (Devlin et al. 2019), for sequences of ``max_length_tokens``.

    A text too small for ``vocab_size`` gives a smaller vocabulary, with a warning.
    """
    if vocab_size <= len(SPECIAL_TOKENS):
        raise InputError(f"vocab_size must be above {len(SPECIAL_TOKENS)}, the special tokens, not {vocab_size}.")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=vocab_size, special_tokens=list(SPECIAL_TOKENS), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
    )
    if tokenizer.get_vocab_size() < vocab_size:
        logger.warning(
            "The text supports a vocabulary of %d pieces, not %d: give more text or a smaller vocab_size.",
            tokenizer.get_vocab_size(),
            vocab_size,
        )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length_tokens,
        **dict(zip(names, SPECIAL_TOKENS, strict=True)),
    )
