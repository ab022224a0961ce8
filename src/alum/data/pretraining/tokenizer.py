"""Training a vocabulary on a corpus: WordPiece as BERT's, byte-level BPE as RoBERTa's and GPT-2's."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from alum.core.errors import InputError
from alum.core.pretraining import Objective, TokenizerKind

logger = logging.getLogger(__name__)

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MOST_CHARACTERS = 1000
NUM_BYTES = 256
_BYTE_LEVEL_TOKENS: dict[Objective, dict[str, str]] = {  # in the order of their ids
    "masked_lm": {
        "bos_token": "<s>",
        "cls_token": "<s>",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    },
    "causal_lm": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|padding|>"},
}


def train_tokenizer(
    texts: Iterable[str], kind: TokenizerKind, objective: Objective, vocab_size: int, max_length_tokens: int
) -> PreTrainedTokenizerFast:
    """Trains a WordPiece or byte-level BPE tokenizer with the special tokens that the objective needs.

    The same texts give the same tokenizer, byte for byte. ``texts`` are never all in memory at once, but WordPiece
    reads them twice, so that they have to be iterable anew. Too few of them for ``vocab_size`` give a smaller
    vocabulary, with a warning. Raises `InputError` for a size without room for what every vocabulary needs, and for
    WordPiece with causal language modelling.
    """
    if kind == "byte_level_bpe":
        return train_byte_level_bpe(texts, vocab_size, max_length_tokens, objective)
    if objective == "causal_lm":
        raise InputError(
            "WordPiece has no way back from pieces to the text with its case and spaces, so a causal language model "
            "could not write with it: use byte-level BPE (byte_level_bpe)."
        )
    return train_wordpiece(texts, vocab_size, max_length_tokens)


def train_wordpiece(texts: Iterable[str], vocab_size: int, max_length_tokens: int) -> PreTrainedTokenizerFast:
    """Trains a lower-cased WordPiece tokenizer, BERT's (Devlin et al. 2019), for sequences of ``max_length_tokens``."""
    if vocab_size <= len(SPECIAL_TOKENS):
        raise InputError(f"vocab_size must be above {len(SPECIAL_TOKENS)}, the special tokens, not {vocab_size}.")
    if isinstance(texts, Iterator):
        raise InputError("texts are read twice: give a sequence or an iterable that begins anew, not an iterator.")
    tokenizer = _untrained_wordpiece(models.WordPiece(unk_token="[UNK]"))
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
    _warn_if_smaller(len(vocabulary), vocab_size)
    tokenizer = _untrained_wordpiece(models.WordPiece(vocabulary, unk_token="[UNK]"))  # its "##a" are no special tokens
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


def train_byte_level_bpe(
    texts: Iterable[str], vocab_size: int, max_length_tokens: int, objective: Objective = "masked_lm"
) -> PreTrainedTokenizerFast:
    """Trains a byte-level BPE tokenizer (Radford et al. 2019, section 2.2), which encodes any text without loss.

    For masked language models with RoBERTa's special tokens and layout (Liu et al. 2019), ``<s> A </s>`` and ``<s> A
    </s></s> B </s>``. For causal ones with GPT-2's ``<|endoftext|>``, which is put between documents and not added to
    a text by itself.

    Differs from GPT-2's, which cannot pad: ``<|padding|>`` is there for that, as in GPT-NeoX (Black et al. 2022). Where
    the end of text pads as well, collators take it out of the loss, and a model never learns to end.
    """
    special = _BYTE_LEVEL_TOKENS[objective]
    # The mask takes the space before it along, as the words do that it stands for.
    tokens = [AddedToken(token, lstrip=token == "<mask>", special=True) for token in dict.fromkeys(special.values())]
    smallest = NUM_BYTES + len(tokens)
    if vocab_size < smallest:
        raise InputError(
            f"vocab_size must be {smallest} or more, {NUM_BYTES} bytes and {len(tokens)} special tokens, "
            f"not {vocab_size}."
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    _warn_if_smaller(tokenizer.get_vocab_size(), vocab_size)
    ids = tokenizer.get_vocab()
    tokenizer.post_processor = (
        processors.RobertaProcessing(("</s>", ids["</s>"]), ("<s>", ids["<s>"]), add_prefix_space=False)
        if objective == "masked_lm"
        else processors.ByteLevel(trim_offsets=False)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length_tokens,
        model_input_names=["input_ids", "attention_mask"],
        **special,
    )


def _warn_if_smaller(num_pieces: int, vocab_size: int) -> None:
    if num_pieces < vocab_size:
        logger.warning(
            "The text supports a vocabulary of %d pieces, not %d: give more text or a smaller vocab_size.",
            num_pieces,
            vocab_size,
        )


def _untrained_wordpiece(model: models.WordPiece) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _characters(texts: Iterable[str], tokenizer: Tokenizer, most: int) -> tuple[list[str], list[str]]:
    """The ``most`` common characters of the texts, and those among them that can continue a word; in fixed order."""
    normalized: Callable[[str], str] = tokenizer.normalizer.normalize_str
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(normalized(text))
    kept = [c for c in counts if not c.isspace()]
    kept = sorted(sorted(kept, key=lambda c: (-counts[c], c))[:most])
    pieces = tokenizer.pre_tokenizer.pre_tokenize_str
    return kept, [c for c in kept if len(pieces(normalized(f"a{c}"))) == 1]
