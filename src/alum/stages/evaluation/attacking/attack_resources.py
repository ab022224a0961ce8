"""Resources of attacks on texts, such as a masked language model or WordNet, loaded where an attack needs them."""

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from transformers import AutoModel

from alum.attacks.text.base import Resources, TextAttack
from alum.attacks.text.candidates.masked_lm import MaskedWords, UnmaskedWords
from alum.attacks.text.candidates.word_vectors import WordVectors
from alum.attacks.text.candidates.wordnet import WordNet
from alum.attacks.text.searches.gradients import Gradients
from alum.evaluation.sentence_similarity import SentenceSimilarity
from alum.evaluation.validity.word_losses import WordLosses
from alum.models.text_model import TextModel
from alum.stages.evaluation.arguments import TextAttackArguments
from alum.stages.word_sources import masked_language_model, reading_texts

_OF_WORDNET = frozenset({"wordnet", "parts_of_speech"})


class AttackResources:
    """Resources that attacks on texts need or use, each loaded once, when it is first asked for.

    One that no setting names is left out, and the attack that needs it says so. All that is asked for here raises
    `InputError` for what cannot be loaded.
    """

    def __init__(self, arguments: TextAttackArguments, attacks: Iterable[TextAttack]) -> None:
        attacks = list(attacks)
        self._arguments, self._num_attacks = arguments, len(attacks)
        self._wanted = {need for attack in attacks for need in attack.needs | attack.uses}

    def load(self) -> None:
        """Loads what the attacks need or use, and what is measured beside them; raises `InputError` where it fails."""
        if self._num_attacks:
            _ = self.similarity, self.masked_lm
        if self._wanted & _OF_WORDNET:
            _ = self._wordnet
        if "word_vectors" in self._wanted:
            _ = self._word_vectors

    def of_model(self, gradients: Callable[[], Gradients]) -> Resources:
        """Gives the resources for attacks on a model; ``gradients`` makes its own, where one follows them.

        Predictions of words are remembered in what is given alone: what was asked before changes no digit.
        """
        masked_lm = self.masked_lm if self._wanted & {"masked_lm", "unmasked_lm"} else None
        wordnet = self._wordnet if self._wanted & _OF_WORDNET else None
        return Resources(
            gradients=gradients() if "gradients" in self._wanted else None,
            masked_lm=MaskedWords(masked_lm) if masked_lm and "masked_lm" in self._wanted else None,
            unmasked_lm=UnmaskedWords(masked_lm) if masked_lm and "unmasked_lm" in self._wanted else None,
            wordnet=wordnet,
            word_vectors=self._word_vectors if "word_vectors" in self._wanted else None,
            parts_of_speech=None if wordnet is None else wordnet.parts_of_speech,
        )

    @property
    def word_losses(self) -> WordLosses | None:
        """Losses of words by the named masked language model, if any."""
        return None if self.masked_lm is None else WordLosses(self.masked_lm)

    @cached_property
    def similarity(self) -> SentenceSimilarity | None:
        """Similarity by the named encoder, if any."""
        if self._arguments.similarity_model is None:
            return None
        encoder = self._arguments.checkpoint(self._arguments.similarity_model)
        return SentenceSimilarity(reading_texts(encoder, encoder.model(AutoModel)))

    @cached_property
    def masked_lm(self) -> TextModel | None:
        """Masked language model that is named, if any."""
        if self._arguments.masked_lm is None:
            return None
        return masked_language_model(self._arguments.checkpoint(self._arguments.masked_lm))

    @cached_property
    def _wordnet(self) -> WordNet | None:
        folder = self._arguments.wordnet_dir
        return None if folder is None else WordNet(Path(folder))

    @cached_property
    def _word_vectors(self) -> WordVectors | None:
        file = self._arguments.word_vectors
        return None if file is None else WordVectors(Path(file))
