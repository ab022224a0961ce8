"""Losses of a finished language model on texts that had no part in its training, sequence by sequence."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alum.data.pretraining.corpora import Corpus
from alum.data.pretraining.masking import MaskRate, TokenMasks, fixed_masks
from alum.data.pretraining.packing import Packing, default_cache_dir
from alum.models.hooks.document_attention import AttentionWithinDocuments
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig
from alum.stages.pretraining.language_model import build_model, objective_for
from alum.tasks.lookup import KINDS
from alum.training.language_modeling import LanguageModelTrainer, Supervise, stacked
from alum.training.records.console import use_own_console


@dataclass(frozen=True)
class HeldOutLosses:
    """Sums over the predicted tokens of each sequence of a text, ``[sequences]`` each, and what it is a part of.

    ``losses`` are in nats; ``documents`` has the number of the document that a sequence begins in. ``digest`` is of the
    tokens and masks: losses of other digests are not of the same tokens.
    """

    losses: np.ndarray
    num_right: np.ndarray
    num_tokens: np.ndarray
    documents: np.ndarray
    digest: str


def held_out_losses(
    folder: Path, texts: Mapping[str, Corpus], arguments: PretrainArguments, config: PretrainConfig
) -> dict[str, HeldOutLosses]:
    """Measures the language model in a folder on texts, packed and masked as validation texts are, the same each time.

    Masks are at the rate that training ends with. Raises `InputError` for texts that are too short.
    """
    checkpoint = arguments.checkpoint(str(folder))
    length = arguments.max_seq_length or checkpoint.input_length_tokens(None, arguments.length_tokens)
    arguments = dataclasses.replace(arguments, model_name_or_path=str(folder), max_seq_length=length)
    objective = objective_for(arguments, checkpoint)
    language_model = build_model(arguments, checkpoint, objective, checkpoint.tokenizer)
    packing = Packing(language_model.tokenizer, length, objective)
    if arguments.attention_within_documents:
        AttentionWithinDocuments(language_model.model, packing.separator_id, causal=objective == "causal_lm")
    mask_rate = MaskRate.parse(arguments.mlm_probability)
    masks = TokenMasks(language_model.tokenizer, arguments.whole_word_masking) if objective == "masked_lm" else None
    trainer = LanguageModelTrainer(
        model=language_model.model,
        args=config,
        processing_class=language_model.tokenizer,
        data_collator=stacked,
        kind=KINDS[objective],
        supervise=Supervise(masks, mask_rate),
    )
    use_own_console(trainer)
    cache = Path(arguments.cache_dir) if arguments.cache_dir else default_cache_dir()
    found = {}
    for name, corpus in texts.items():
        rows = packing.dataset(corpus, cache)
        if arguments.max_eval_samples is not None:
            rows = rows.select(range(min(arguments.max_eval_samples, len(rows))))
        documents = packing.documents(rows.with_format("numpy")["input_ids"][:])
        rows = rows if masks is None else fixed_masks(rows, masks, mask_rate.end)
        sums = trainer.predict(rows).predictions
        losses, num_right, num_tokens = (sums[0] if isinstance(sums, tuple) else sums).T
        columns = [rows.with_format("numpy")[column][:] for column in sorted(rows.column_names)]
        found[name] = HeldOutLosses(losses, num_right, num_tokens, documents, _digest(columns))
    return found


def _digest(columns: Sequence[np.ndarray]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for column in columns:
        digest.update(np.ascontiguousarray(column, dtype=np.int64).tobytes())
    return digest.hexdigest()
