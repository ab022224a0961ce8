"""What attacks on texts need beside the attacked model, loaded where an attack needs it."""

from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import AutoModel, AutoModelForMaskedLM, PreTrainedModel, PreTrainedTokenizerBase

from alum.attacks.text.base import Resources, TextAttack
from alum.attacks.text.candidates.masked_lm import MaskedWords
from alum.attacks.text.candidates.wordnet import WordNet
from alum.attacks.text.searches.settings import Similarity
from alum.core.errors import InputError
from alum.evaluation.attacked.gradients import ClassifierGradients
from alum.evaluation.attacked.sentence_similarity import SentenceSimilarity
from alum.models.loading import input_length_tokens, load_model, load_model_and_new_weights, load_tokenizer
from alum.stages.evaluation.arguments import TextAttackArguments

_LENGTH_TOKENS = 512


def attack_resources(
    arguments: TextAttackArguments,
    attacks: Iterable[TextAttack],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    max_length_tokens: int,
    answers: tuple[int, ...] = (),
    num_labels: int = 0,
) -> Resources:
    """What the attacks need against a model whose texts are cut at ``max_length_tokens``.

    ``answers`` and ``num_labels`` are those of `joined_logits`, for a model of other labels than the attacked ones.

    What no setting names is left out, so that the attack that needs it says so. Raises `InputError` for what cannot be
    loaded.
    """
    needs = {need for attack in attacks for need in attack.needs}
    masked_lm, wordnet_dir = arguments.masked_lm, arguments.wordnet_dir
    gradients = None
    if "gradients" in needs:
        gradients = ClassifierGradients(model, tokenizer, max_length_tokens, answers, num_labels)
    return Resources(
        gradients=gradients,
        masked_lm=_masked_words(masked_lm, arguments) if "masked_lm" in needs and masked_lm else None,
        wordnet=WordNet(Path(wordnet_dir)) if "wordnet" in needs and wordnet_dir else None,
    )


def attack_similarity(arguments: TextAttackArguments) -> Similarity | None:
    """By the encoder that is named; raises `InputError` where it cannot be loaded."""
    name_or_path = arguments.similarity_model
    if name_or_path is None:
        return None
    tokenizer = load_tokenizer(name_or_path, arguments.trust_remote_code)
    model = load_model(AutoModel, name_or_path, arguments.trust_remote_code)
    length = input_length_tokens(name_or_path, None, _LENGTH_TOKENS, arguments.trust_remote_code)
    return SentenceSimilarity(_on_device(model), tokenizer, length)


def _masked_words(name_or_path: str, arguments: TextAttackArguments) -> MaskedWords:
    tokenizer = load_tokenizer(name_or_path, arguments.trust_remote_code)
    model, new_weights = load_model_and_new_weights(AutoModelForMaskedLM, name_or_path, arguments.trust_remote_code)
    if new_weights:
        raise InputError(
            f"{name_or_path} is no masked language model: it lacks {', '.join(sorted(new_weights))}. Name one that "
            "predicts masked words, as alum pretrain makes them."
        )
    length = input_length_tokens(name_or_path, None, _LENGTH_TOKENS, arguments.trust_remote_code)
    return MaskedWords(_on_device(model), tokenizer, length)


def _on_device(model: PreTrainedModel) -> PreTrainedModel:
    model.to("cuda" if torch.cuda.is_available() else "cpu")  # type: ignore[arg-type]
    return model
