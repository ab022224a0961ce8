"""Pre-training on text: from scratch or continued, standard or adversarial."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from datasets import Dataset
from transformers import (
    AutoModelForMaskedLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    default_data_collator,
    set_seed,
)

from alum.core.errors import InputError
from alum.data.files import documents_in
from alum.data.masking import TrainingMasks, fixed_masks
from alum.data.packing import pack
from alum.data.tokenizer import train_wordpiece
from alum.models.architectures import config_from_scratch
from alum.models.loading import input_length_tokens, load_model, load_tokenizer
from alum.stages.arguments import PretrainArguments, PretrainConfig
from alum.stages.run_folder import check_run_folder, open_run_folder, write_json, write_settings
from alum.stages.training_run import train
from alum.tasks.language_modeling import MASKED_LM
from alum.training.trainer import AlumTrainer

HELD_BACK_EVERY = 20  # documents; 5 % of them are for validation where no file is given


@dataclass(frozen=True)
class PretrainResult:
    """Masked-LM losses (nats per predicted token, on masks that never change) before and after, and the cost."""

    output_dir: str
    validation_loss_before: float
    validation_loss: float
    validation_perplexity: float
    num_parameters: int
    num_train_sequences: int
    num_steps: int
    train_seconds: float
    train_flops: float | None


def pretrain(arguments: PretrainArguments, config: PretrainConfig) -> PretrainResult:
    """Trains a masked language model and saves it, with its tokenizer, for `transformers` to load.

    Raises `InputError` for files, settings or checkpoints that cannot be used.
    """
    if not arguments.train_file:
        raise InputError("no text to train on: give one or more UTF-8 files with --train_file.")
    if not 0 < arguments.mlm_probability < 1:
        raise InputError(f"mlm_probability must lie between 0 and 1, not {arguments.mlm_probability}.")
    check_run_folder(config.output_dir, config.overwrite_output_dir, config.resume_from_checkpoint)
    train_documents, validation_documents = _documents(arguments)
    set_seed(config.seed)
    tokenizer, model = _tokenizer_and_model(arguments, train_documents)
    length, where = arguments.max_seq_length, ", ".join(arguments.train_file)
    sequences = _first(pack(train_documents, tokenizer, length, where), arguments.max_train_samples)
    where = arguments.validation_file or f"the part of {where} held back for validation"
    held_back = _first(pack(validation_documents, tokenizer, length, where), arguments.max_eval_samples)
    masked = fixed_masks(held_back, tokenizer, arguments.mlm_probability)

    masks = TrainingMasks(tokenizer, arguments.mlm_probability, config.seed)

    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        if "labels" in rows[0]:  # validation rows carry their masks already
            return dict(default_data_collator(rows))
        return masks(rows, epoch=int(trainer.state.epoch or 0))

    trainer = AlumTrainer(
        model=model,
        args=config,
        train_dataset=sequences,
        eval_dataset=masked,
        processing_class=tokenizer,
        data_collator=collate,
        kind=MASKED_LM,
    )
    folder, checkpoint = open_run_folder(config.output_dir, config.overwrite_output_dir, config.resume_from_checkpoint)
    write_settings(folder, "pretrain", arguments=arguments, config=config)
    before = trainer.evaluate()["eval_loss"]
    cost = train(trainer, config, folder, checkpoint)
    after = trainer.evaluate()["eval_loss"]
    trainer.save_model(str(folder))
    result = PretrainResult(
        output_dir=str(folder),
        validation_loss_before=before,
        validation_loss=after,
        validation_perplexity=math.exp(min(after, 700.0)),
        num_parameters=model.num_parameters(),
        num_train_sequences=len(sequences),
        **asdict(cost),
    )
    write_json(folder / "results.json", asdict(result))
    return result


def _documents(arguments: PretrainArguments) -> tuple[list[str], list[str]]:
    documents = [document for file in arguments.train_file for document in documents_in(file)]
    if arguments.validation_file:
        return documents, documents_in(arguments.validation_file)
    held_back = documents[HELD_BACK_EVERY - 1 :: HELD_BACK_EVERY]
    if not held_back:
        raise InputError(
            f"{len(documents)} documents are too few to hold one in {HELD_BACK_EVERY} back for validation: "
            "separate documents by blank lines, or give --validation_file."
        )
    return [d for i, d in enumerate(documents) if (i + 1) % HELD_BACK_EVERY], held_back


def _tokenizer_and_model(
    arguments: PretrainArguments, documents: list[str]
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    name, length = arguments.model_name_or_path, arguments.max_seq_length
    if tokenizer_name := arguments.tokenizer_name or name:
        tokenizer = load_tokenizer(tokenizer_name, arguments.trust_remote_code)
    else:
        tokenizer = train_wordpiece(documents, arguments.vocab_size, length)
    if name:
        input_length_tokens(name, length, length, arguments.trust_remote_code)  # raises where the model is shorter
        model = load_model(AutoModelForMaskedLM, name, arguments.trust_remote_code)
    else:
        scratch = config_from_scratch(arguments.architecture, len(tokenizer), length, tokenizer.pad_token_id)
        model = AutoModelForMaskedLM.from_config(scratch)
    if len(tokenizer) > model.config.vocab_size:
        raise InputError(
            f"the tokenizer has {len(tokenizer)} pieces, but the model only {model.config.vocab_size} embeddings: "
            "they do not belong together. Give the model's own tokenizer."
        )
    return tokenizer, model


def _first(rows: Dataset, count: int | None) -> Dataset:
    return rows if count is None else rows.select(range(min(count, len(rows))))
