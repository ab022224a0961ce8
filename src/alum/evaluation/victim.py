"""A sequence classifier as the victim of attacks on texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from alum.attacks.answers import Answers
from alum.attacks.search import Outputs
from alum.attacks.words import Example
from alum.core.errors import InputError
from alum.data.padding import PaddedTokens


@dataclass(frozen=True)
class ClassifierVictim:
    """The class probabilities that a model gives to texts or pairs, which are cut at ``max_length_tokens``.

    Batches hold texts of about the same length. Texts of the same tokens are run once and have the very same answer;
    others differ in the last digits with what is in their batch. The weights must stay as they are.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    max_length_tokens: int
    batch_size: int = 64
    answers: Answers = field(default_factory=Answers)

    def __call__(self, examples: Sequence[Example]) -> Outputs:
        """Probabilities ``[examples, classes]``.

        Raises `InputError` for text that is not Unicode and for logits that are not finite.
        """
        rows = self._encoded(examples)
        questions = [repr(row).encode() for row in rows]
        return self.answers.of(questions, lambda indices: self._in_batches([rows[index] for index in indices]))

    def characters_read(self, example: Example) -> tuple[int, ...]:
        """How many characters of each text the model reads; the others are cut off and can never matter.

        All of them, where the tokenizer does not tell where its tokens are.
        """
        lengths = tuple(map(len, example))
        if not self.tokenizer.is_fast:
            return lengths
        _check_unicode(example)
        whole = self.tokenizer(*example, verbose=False)[0]
        cut = self.tokenizer(*example, truncation=True, max_length=self.max_length_tokens)[0]
        read = []
        for text, length in enumerate(lengths):
            ends = [end for own, (_, end) in zip(cut.sequence_ids, cut.offsets, strict=True) if own == text]
            is_whole = len(ends) == whole.sequence_ids.count(text)
            read.append(length if is_whole else max(ends, default=0))
        return tuple(read)

    def _encoded(self, examples: Sequence[Example]) -> list[dict[str, list[int]]]:
        for example in examples:
            _check_unicode(example)
        columns = [list(texts) for texts in zip(*examples, strict=True)]
        encoded = self.tokenizer(*columns, truncation=True, max_length=self.max_length_tokens)
        return [{name: encoded[name][i] for name in encoded} for i in range(len(examples))]

    def _in_batches(self, rows: list[dict[str, list[int]]]) -> Outputs:
        # Decoders that know no padding refuse batches.
        size = self.batch_size if getattr(self.model.config, "pad_token_id", None) is not None else 1
        longest_first = sorted(range(len(rows)), key=lambda index: -len(rows[index]["input_ids"]))
        batches = [longest_first[start : start + size] for start in range(0, len(rows), size)]
        probs = np.concatenate([self._probs([rows[index] for index in batch]) for batch in batches])
        return probs[np.argsort(longest_first)]

    def _probs(self, rows: list[dict[str, list[int]]]) -> Outputs:
        self.model.eval()
        batch = {name: values.to(self.model.device) for name, values in PaddedTokens(self.tokenizer)(rows).items()}
        with torch.inference_mode():
            logits = self.model(**batch).logits
        if not logits.isfinite().all():
            raise InputError("the model's logits are not finite: it gives no answer that an attack could turn.")
        return np.asarray(logits.double().softmax(-1).cpu().numpy(), dtype=np.float64)


def _check_unicode(example: Example) -> None:
    """Tokenizers take no lone surrogates, which Python reads bytes as that are not UTF-8."""
    try:
        "".join(example).encode()
    except UnicodeEncodeError as error:
        where = repr(str(error.object)[error.start : error.end][:8])
        raise InputError(f"expected text in UTF-8, but it has bytes or code points that are none: {where}.") from None
