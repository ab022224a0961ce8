"""Training a WordPiece vocabulary on a corpus."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from alum.core.errors import InputError

logger = logging.getLogger(__name__)

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MOST_CHARACTERS = 1000


def train_wordpiece(texts: Sequence[str], vocab_size: int, max_length_tokens: int) -> PreTrainedTokenizerFast:
    """A lower-cased WordPiece tokenizer as BERT's (Devlin et al. 2019), for sequences of ``max_length_tokens``.

    The same texts give the same vocabulary. A text too small for ``vocab_size`` gives a smaller one, with a warning.
    """
    if vocab_size <= len(SPECIAL_TOKENS):
        raise InputError(f"vocab_size must be above {len(SPECIAL_TOKENS)}, the special tokens, not {vocab_size}.")
    tokenizer = _untrained(models.WordPiece(unk_token="[UNK]"))
    begin, continued = _characters(texts, tokenizer, min(MOST_CHARACTERS, (vocab_size - len(SPECIAL_TOKENS)) // 2))
    # Characters that the trainer meets by itself get their ids in an order that differs from run to run, and on ids
    # depends which of two equally frequent pairs becomes a piece.
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*SPECIAL_TOKENS, *(f"##{c}" for c in continued)],
        initial_alphabet=begin,
        limit_alphabet=len(begin),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    vocabulary = tokenizer.get_vocab()
    if len(vocabulary) < vocab_size:
        logger.warning(
            "The text supports a vocabulary of %d pieces, not %d: give more text or a smaller vocab_size.",
            len(vocabulary),
            vocab_size,
        )
    tokenizer = _untrained(models.WordPiece(vocabulary, unk_token="[UNK]"))  # its "##a" are no special tokens
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length_tokens,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **dict(zip(names, SPECIAL_TOKENS, strict=True)),
    )


def _untrained(model: models.WordPiece) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _characters(texts: Sequence[str], tokenizer: Tokenizer, most: int) -> tuple[list[str], list[str]]:
    """The ``most`` common characters of the texts, and those among them that can continue a word; in fixed order."""
    normalized: Callable[[str], str] = tokenizer.normalizer.normalize_str
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(normalized(text))
    kept = [c for c in counts if not c.isspace()]
    kept = sorted(sorted(kept, key=lambda c: (-counts[c], c))[:most])
    pieces = tokenizer.pre_tokenizer.pre_tokenize_str
    return kept, [c for c in kept if len(pieces(normalized(f"a{c}"))) == 1]
