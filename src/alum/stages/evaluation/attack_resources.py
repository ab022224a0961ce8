"""Resources of attacks on texts, such as a masked language model or WordNet, loaded where an attack needs them."""

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from transformers import AutoModel, AutoModelForMaskedLM, PreTrainedModel

from alum.attacks.text.base import Resources, TextAttack
from alum.attacks.text.candidates.masked_lm import MaskedWords
from alum.attacks.text.candidates.wordnet import WordNet
from alum.attacks.text.searches.hotflip import Gradients
from alum.attacks.text.searches.settings import Similarity
from alum.core.errors import InputError
from alum.evaluation.sentence_similarity import SentenceSimilarity
from alum.models.checkpoint import Checkpoint
from alum.models.text_model import TextModel
from alum.models.tokenization import Tokenization
from alum.stages.evaluation.arguments import TextAttackArguments

TEXT_LENGTH_TOKENS = 512
"""Longest input of models that read texts of no suite, which would say how long its texts are."""


def attack_resources(
    arguments: TextAttackArguments, attacks: Iterable[TextAttack], gradients: Callable[[], Gradients]
) -> Resources:
    """Loads the resources that attacks on texts need; ``gradients`` makes those of the model, where one follows them.

    A resource that no setting names is left out, and the attack that needs it says so. Raises `InputError` for
    resources that cannot be loaded.
    """
    needs = {need for attack in attacks for need in attack.needs}
    masked_lm, wordnet_dir = arguments.masked_lm, arguments.wordnet_dir
    return Resources(
        gradients=gradients() if "gradients" in needs else None,
        masked_lm=_masked_words(arguments.checkpoint(masked_lm)) if "masked_lm" in needs and masked_lm else None,
        wordnet=WordNet(Path(wordnet_dir)) if "wordnet" in needs and wordnet_dir else None,
    )


def attack_similarity(arguments: TextAttackArguments) -> Similarity | None:
    """Loads the named encoder as a measure of similarity, if any; raises `InputError` where it cannot be loaded."""
    if arguments.similarity_model is None:
        return None
    encoder = arguments.checkpoint(arguments.similarity_model)
    return SentenceSimilarity(_text_model(encoder, encoder.model(AutoModel)))


def _masked_words(checkpoint: Checkpoint) -> MaskedWords:
    model, new_weights = checkpoint.model_and_new_weights(AutoModelForMaskedLM)
    if new_weights:
        raise InputError(
            f"{checkpoint.name_or_path} is no masked language model: it lacks {', '.join(sorted(new_weights))}. Name "
            "one that predicts masked words, as alum pretrain makes them."
        )
    return MaskedWords(_text_model(checkpoint, model))


def _text_model(checkpoint: Checkpoint, model: PreTrainedModel) -> TextModel:
    model.to("cuda" if torch.cuda.is_available() else "cpu")  # type: ignore[arg-type]
    length = checkpoint.input_length_tokens(None, TEXT_LENGTH_TOKENS)
    return TextModel(model, Tokenization(checkpoint.tokenizer, length))
