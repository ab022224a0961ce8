import torch
import torch.nn.functional as F

from alum.tasks.kinds.text_embedding import TEXT_EMBEDDING, TEXT_EMBEDDING_DIRECTION


def outputs(embeddings):
    return {"sentence_embedding": embeddings}


def test_directions_differ_by_their_cosine_whatever_their_length():
    first, second = torch.randn(5, 8), torch.randn(5, 8)
    compared = [TEXT_EMBEDDING_DIRECTION.compared(outputs(e), {}) for e in (3 * first, second)]
    expected = 2 - 2 * F.cosine_similarity(first, second)
    torch.testing.assert_close(TEXT_EMBEDDING_DIRECTION.distance(*compared), expected)


def test_places_differ_by_their_squared_distance():
    first, second = torch.randn(5, 8), torch.randn(5, 8)
    compared = [TEXT_EMBEDDING.compared(outputs(e), {}) for e in (first, second)]
    torch.testing.assert_close(TEXT_EMBEDDING.distance(*compared), torch.cdist(first, second).diagonal().square())
