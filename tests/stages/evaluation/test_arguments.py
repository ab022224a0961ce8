import pytest

from alum.core.errors import InputError
from alum.stages.evaluation.arguments import AttackArguments, TextAttackArguments


@pytest.mark.parametrize("min_similarity", [-1.5, 1.01, float("nan")])
def test_a_similarity_is_a_cosine(min_similarity):
    with pytest.raises(InputError, match=r"min_similarity must lie in \[-1, 1\]"):
        TextAttackArguments(similarity_model="model", min_similarity=min_similarity)


def test_a_similarity_needs_a_model():
    with pytest.raises(InputError, match="name one with --similarity_model"):
        AttackArguments("model", "text", min_similarity=0.5)
    assert AttackArguments("model", "text", similarity_model="model", min_similarity=0.0).least_similarity == 0.0
