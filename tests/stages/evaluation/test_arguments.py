from functools import partial

import pytest

from alum.attacks.text.searches.settings import SearchSettings
from alum.core.errors import InputError
from alum.stages.evaluation.arguments import AttackArguments, EvaluateArguments, TextAttackArguments


@pytest.mark.parametrize("min_similarity", [-1.5, 1.01, float("nan")])
def test_a_similarity_is_a_cosine(min_similarity):
    with pytest.raises(InputError, match=r"min_similarity must lie in \[-1, 1\]"):
        TextAttackArguments(similarity_model="model", min_similarity=min_similarity)


def test_a_similarity_needs_a_model():
    with pytest.raises(InputError, match="name one with --similarity_model"):
        AttackArguments("model", "text", min_similarity=0.5)
    assert AttackArguments("model", "text", similarity_model="model", min_similarity=0.0).least_similarity == 0.0


@pytest.mark.parametrize(
    "arguments_of",
    [partial(EvaluateArguments, model_name_or_path=["model"]), partial(AttackArguments, "model", "text")],
)
@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"max_changed_words": 0.0}, r"max_changed_words must lie in \(0, 1\], not 0.0"),
        ({"max_changed_words": 1.5}, r"max_changed_words must lie in \(0, 1\], not 1.5"),
        ({"max_queries": 0}, "max_queries must be 1 or more, not 0"),
    ],
)
def test_what_evaluate_and_attack_share_has_the_same_range(arguments_of, bad, words):
    with pytest.raises(InputError, match=words):
        arguments_of(**bad)


def test_search_settings_are_those_of_the_arguments():
    def similarity(original, examples): ...

    arguments = EvaluateArguments(model_name_or_path=["model"])
    assert arguments.search_settings((0,), None, None) == SearchSettings(
        unknown_word="[UNK]", attacked_texts=(0,), min_similarity=0.8
    )
    limits = {"max_changed_words": 0.2, "max_queries": 9, "seed": 5}
    arguments = AttackArguments("model", "text", similarity_model="encoder", min_similarity=0.7, **limits)
    assert arguments.search_settings((0, -1), "<unk>", similarity) == SearchSettings(
        "<unk>", (0, -1), max_changed_words=0.2, max_queries=9, similarity=similarity, min_similarity=0.7, seed=5
    )
    assert AttackArguments("model", "text").search_settings((-1,), "<unk>", None).max_queries == 5000
