"""Pre-training of language models on text, from scratch or continued, standard or adversarial."""

import logging
import time
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import set_seed
from transformers.trainer_utils import SaveStrategy

from alum.core.errors import InputError, unknown_name
from alum.core.pretraining import Objective
from alum.data.pretraining.corpora import OF_ROWS, chained
from alum.data.pretraining.masking import MaskRate, TokenMasks, fixed_masks
from alum.data.pretraining.packing import Packing
from alum.models.checkpoint import Checkpoint
from alum.models.hooks.document_attention import AttentionWithinDocuments
from alum.models.loading.weights_in_parts import num_parameters
from alum.models.text_model import on_device
from alum.models.trial import check_first_pass
from alum.reports.cards.pretrained import write_pretraining_card
from alum.reports.cards.training import TrainedBy
from alum.reports.curves import write_loss_curve
from alum.stages.held_folder import held
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig
from alum.stages.pretraining.head_warmup import has_warm_up, remove_warm_up, warm_up_head
from alum.stages.pretraining.language_model import (
    LanguageModel,
    build_model,
    build_tokenizer,
    check_adversary_fits,
    objective_for,
)
from alum.stages.pretraining.texts import VALIDATION, Sequences, Texts, find_texts, pack_texts
from alum.stages.publishing import publish, save_unpushed
from alum.stages.runs.config import explained_settings
from alum.stages.runs.environment import environment
from alum.stages.runs.folder import RESULTS, check_run_folder, write_json
from alum.stages.runs.going_on import TrainingRun, opened_training
from alum.stages.runs.training import TrainingCost, train
from alum.tasks.lookup import KINDS
from alum.training.before_engine import before_engine
from alum.training.language_modeling import LanguageModelTrainer, Supervise, stacked
from alum.training.records.console import announce, use_own_console
from alum.training.records.logged_gain import LoggedGain, first_and_last_gain

logger = logging.getLogger(__name__)

PAPER_START_FRACTION = 0.5  # arXiv:2004.08994, section 4.1: from scratch, the adversary enters half way


@dataclass(frozen=True)
class PretrainResult:
    """Result of pre-training: scores on each validation text before and after, with fixed masks, and the cost.

    Scores are loss (nats per predicted token), perplexity, accuracy at the predicted positions and their number.
    Those before are of the model that training began with, a new head warmed up. Evaluation and checkpoints do not
    count in ``tokens_per_second``. A run that went on from a checkpoint counts from its beginning.
    """

    output_dir: str
    """Folder of the run."""
    objective: str
    """``masked_lm`` or ``causal_lm``."""
    method: str
    """Name of the training method."""
    base_model: str | None
    """The checkpoint that training began with; None from scratch."""
    architecture: str | None
    """The architecture from scratch; None from a checkpoint."""
    corpora: list[str]
    """Names of the corpora trained on."""
    metrics_before: dict[str, dict[str, float]]
    """Scores on each validation text before training, by its name."""
    metrics: dict[str, dict[str, float]]
    """Those after training."""
    num_parameters: int
    """Weights of the model."""
    num_train_sequences: int | None
    """Number of packed sequences to train on; None where they are streamed."""
    sequence_length_tokens: int
    """Tokens of a packed sequence."""
    num_train_tokens: int
    """Tokens that were read in training."""
    tokens_per_second: float | None
    """Of training alone; None where nothing was timed."""
    num_steps: int
    """Optimizer steps."""
    train_seconds: float
    """Seconds that training took, with evaluations and checkpoints on the way."""
    train_flops: float | None
    """Floating-point operations of training, estimated from counted steps; None if none were counted."""
    first_gain: LoggedGain | None = None
    """Adversarial gain at the first attacked step; None without an adversary, or where nothing was measured."""
    last_gain: LoggedGain | None = None
    """Adversarial gain at the last step, or the last attacked one before it."""


def pretrain(arguments: PretrainArguments, config: PretrainConfig) -> PretrainResult:
    """Pre-trains a language model and saves it, with its tokenizer, for `transformers` to load.

    Raises `InputError` for text, settings or checkpoints that cannot be used.
    """
    with held(config.output_dir):
        return _pretrained(arguments, config)


def _pretrained(arguments: PretrainArguments, config: PretrainConfig) -> PretrainResult:
    base = arguments.checkpoint(arguments.model_name_or_path) if arguments.model_name_or_path else None
    objective = _checked_objective(arguments, base, config)
    arguments = _with_length(arguments, base)
    texts = find_texts(arguments)
    set_seed(config.seed)
    announce(config, "Reading the text: a tokenizer, and sequences to train on")
    with config.main_process_first(desc="tokenizing"):  # the others then find it in the cache
        tokenizer = build_tokenizer(arguments, base, chained(texts.train))
        packing = Packing(tokenizer, arguments.length_tokens, objective)
        sequences = pack_texts(texts, arguments, packing, config.seed)
    language_model = build_model(arguments, base, objective, tokenizer)
    if arguments.attention_within_documents:
        AttentionWithinDocuments(language_model.model, packing.separator_id, causal=objective == "causal_lm")
    run = _put_together(arguments, config, texts, sequences, language_model)
    _check_first_pass(run)
    settings = {"arguments": arguments, "corpora": texts.fingerprints}
    has_prepared = partial(has_warm_up, Path(str(config.output_dir)))
    with opened_training(run.trainer, config, "pretrain", has_prepared=has_prepared, **settings) as opened:
        if opened.is_finished:
            return opened.result(PretrainResult)
        before, cost = _trained(run, opened)
    folder = opened.folder
    result = _result(run, folder, before, cost)
    if run.trainer.is_world_process_zero():
        write_json(folder / RESULTS, asdict(result))
        write_loss_curve(folder)
        trained = TrainedBy(asdict(config), run.trainer.method, environment())
        write_pretraining_card(folder, asdict(result), asdict(arguments), trained)
        opened.finish()
        publish(run.trainer, folder)
    return result


# -- parts -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """Parts of a pre-training run, before it has a folder."""

    arguments: PretrainArguments
    config: PretrainConfig
    texts: Texts
    sequences: Sequences
    validation: Mapping[str, Dataset]
    """Validation rows of ``sequences`` with masks that never change."""
    language_model: LanguageModel
    trainer: LanguageModelTrainer
    of_every_trainer: Mapping[str, Any]
    """Arguments of the trainer that the warm-up of a new head takes too."""


def _put_together(
    arguments: PretrainArguments,
    config: PretrainConfig,
    texts: Texts,
    sequences: Sequences,
    language_model: LanguageModel,
) -> _Run:
    objective, tokenizer = language_model.objective, language_model.tokenizer
    mask_rate = MaskRate.parse(arguments.mlm_probability)
    masks = TokenMasks(tokenizer, arguments.whole_word_masking) if objective == "masked_lm" else None
    validation: Mapping[str, Dataset] = sequences.validation
    if masks is not None:  # at the rate that training ends with
        validation = {name: fixed_masks(rows, masks, mask_rate.end) for name, rows in validation.items()}
    _check_best_metric(config, list(validation))
    parts: dict[str, Any] = {
        **sequences.of_trainer,
        "processing_class": tokenizer,
        "data_collator": stacked,
        "kind": KINDS[objective],
        "supervise": Supervise(masks, mask_rate),
    }
    sets = next(iter(validation.values())) if len(validation) == 1 else dict(validation)
    with explained_settings():
        trainer = LanguageModelTrainer(model=language_model.model, args=config, eval_dataset=sets, **parts)
    use_own_console(trainer)
    return _Run(arguments, config, texts, sequences, validation, language_model, trainer, parts)


def _check_first_pass(run: _Run) -> None:
    """Runs the model on a sequence before anything is written; raises `InputError` where it fails."""
    rows = next(iter(run.sequences.validation.values()))
    batch = stacked([next(iter(rows))])
    model = run.language_model.model
    inputs = on_device({**batch, "labels": batch["input_ids"]}, model.device)
    check_first_pass(model, inputs, run.arguments.model_name_or_path or run.arguments.architecture)


def _trained(run: _Run, opened: TrainingRun) -> tuple[dict[str, dict[str, float]], TrainingCost]:
    """Trains; gives the scores before training, which a run that goes on has recorded, and the cost."""
    before, begin = None, time.monotonic()
    if opened.checkpoint is None:
        opened.write_settings(metrics_before=None)
        warm_up_head(run.language_model, run.arguments, run.config, opened.folder, run.of_every_trainer, begin)
    else:
        before = opened.former.get("metrics_before")
        _forget_warm_up(run, opened.folder)
    if before is None:  # what a resumed run began with cannot be measured again
        with before_engine(run.trainer):
            before = _scores(run.trainer, run.validation)
    write_record = partial(opened.write_settings, metrics_before=before)
    cost = train(run.trainer, run.config, opened.folder, opened.checkpoint, write_record, begin)
    _forget_warm_up(run, opened.folder)
    return before, cost


def _forget_warm_up(run: _Run, folder: Path) -> None:
    if run.trainer.is_world_process_zero():
        remove_warm_up(folder)


def _result(run: _Run, folder: Path, before: dict[str, dict[str, float]], cost: TrainingCost) -> PretrainResult:
    """Measures the trained model and saves it."""
    arguments, trainer, sequences = run.arguments, run.trainer, run.sequences
    after = _scores(trainer, run.validation)
    first_gain, last_gain = first_and_last_gain(trainer.state.log_history)
    save_unpushed(trainer, folder)
    return PretrainResult(
        output_dir=str(folder),
        objective=run.language_model.objective,
        method=run.config.adv_method,
        base_model=arguments.model_name_or_path,
        architecture=None if arguments.model_name_or_path else arguments.architecture,
        corpora=[corpus.name for corpus in run.texts.train],
        metrics_before=before,
        metrics=after,
        num_parameters=num_parameters(run.language_model.model),
        num_train_sequences=len(sequences.train) if isinstance(sequences.train, Dataset) else None,
        sequence_length_tokens=arguments.length_tokens,
        num_train_tokens=trainer.state.num_input_tokens_seen,
        tokens_per_second=trainer.tokens_per_second(),
        num_steps=cost.num_steps,
        train_seconds=cost.train_seconds,
        train_flops=cost.train_flops,
        first_gain=first_gain,
        last_gain=last_gain,
    )


# -- settings ----------------------------------------------------------------------------------------------------------


def _checked_objective(arguments: PretrainArguments, base: Checkpoint | None, config: PretrainConfig) -> Objective:
    """Objective of the run; raises `InputError` for settings that do not fit, before any text is read."""
    MaskRate.parse(arguments.mlm_probability)
    _check_settings(arguments, config)
    check_run_folder(config.output_dir, config.overwrite_output_dir, config.resume_from_checkpoint)
    objective = objective_for(arguments, base)
    _refuse_idle_settings(arguments, objective)
    check_adversary_fits(arguments, base, config)
    return objective


def _with_length(arguments: PretrainArguments, base: Checkpoint | None) -> PretrainArguments:
    """Arguments with the length of the sequences, where none was asked for: a default gives way to the model's."""
    if arguments.max_seq_length is not None:
        return arguments
    length = arguments.length_tokens
    return replace(arguments, max_seq_length=length if base is None else base.input_length_tokens(None, length))


def _check_settings(arguments: PretrainArguments, config: PretrainConfig) -> None:
    if arguments.streaming and config.max_steps <= 0:
        raise InputError("a stream has no end that is known: say with --max_steps how long to train.")
    if arguments.streaming and arguments.max_train_samples is not None:
        raise InputError("a stream cannot be cut short by --max_train_samples: say with --max_steps how long to train.")
    if config.adv_start_fraction is None:
        config.adv_start_fraction = 0.0 if arguments.model_name_or_path else PAPER_START_FRACTION


def _refuse_idle_settings(arguments: PretrainArguments, objective: Objective) -> None:
    """Raises `InputError` for settings that would change nothing, where they have another value than by default."""
    idle: dict[str, str] = {}
    if name := arguments.model_name_or_path:
        idle["architecture"] = f"the model is that of model_name_or_path, {name}"
        idle |= dict.fromkeys(("vocab_size", "tokenizer_type"), f"the tokenizer comes with model_name_or_path, {name}")
    if name := arguments.tokenizer_name:
        idle |= dict.fromkeys(("vocab_size", "tokenizer_type"), f"the tokenizer is that of tokenizer_name, {name}")
    if objective == "causal_lm":
        idle |= dict.fromkeys(("mlm_probability", "whole_word_masking"), "a causal model predicts every token")
    if not arguments.dataset_name:
        idle |= dict.fromkeys(("dataset_config_name", "dataset_split"), "there is no dataset_name")
    if not arguments.model_name_or_path:
        idle["head_warmup_steps"] = "a model from scratch has no other head to begin with"
    files = [*arguments.train_file, *arguments.validation_file]
    are_plain = [Path(file).suffix.lower() not in OF_ROWS for file in files]
    if arguments.dataset_name or not any(are_plain):
        idle["document_unit"] = "there is no file of plain text, and a row is a document"
    if files and all(are_plain) and not arguments.dataset_name:
        idle["text_column"] = "files of plain text have no columns"
    for field in fields(arguments):
        value = getattr(arguments, field.name)
        if field.name in idle and field.default is not MISSING and value != field.default:
            raise InputError(f"{field.name} {value} has no effect: {idle[field.name]}. Leave it out.")


def _check_best_metric(config: PretrainConfig, validation_names: list[str]) -> None:
    """Raises `InputError` where the best checkpoint would be chosen by a score that there will not be."""
    is_asked = config.metric_for_best_model is not None
    if not is_asked and not config.load_best_model_at_end and config.save_strategy != SaveStrategy.BEST:
        return
    prefixes = [""] if len(validation_names) == 1 else [f"{name}_" for name in validation_names]
    known = [prefix + score for prefix in prefixes for score in ("loss", "perplexity", "accuracy")]
    asked = str(config.metric_for_best_model).removeprefix("eval_")
    if asked not in known:
        raise unknown_name("metric_for_best_model", asked, known)


def _scores(trainer: LanguageModelTrainer, validation: Mapping[str, Dataset]) -> dict[str, dict[str, float]]:
    scores = {}
    for name, rows in validation.items():
        found = trainer.evaluate(rows, metric_key_prefix=VALIDATION)
        names = ("loss", "perplexity", "accuracy", "num_tokens")
        scores[name] = {metric: found[f"{VALIDATION}_{metric}"] for metric in names}
    return scores
