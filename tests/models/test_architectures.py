import pytest

from alum.core.errors import InputError
from alum.models.architectures import ARCHITECTURES, config_from_scratch


@pytest.mark.parametrize(
    ("architecture", "layers", "hidden", "heads", "intermediate"),
    [("bert-tiny", 2, 128, 2, 512), ("bert-base", 12, 768, 12, 3072), ("bert-large", 24, 1024, 16, 4096)],
)
def test_the_published_sizes(architecture, layers, hidden, heads, intermediate):
    config = config_from_scratch(architecture, vocab_size=1000, max_length_tokens=128, pad_token_id=7)
    shape = (config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.intermediate_size)
    assert shape == (layers, hidden, heads, intermediate)
    assert (config.vocab_size, config.max_position_embeddings, config.pad_token_id) == (1000, 128, 7)


def test_an_unknown_architecture_suggests_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'bert-tiny'"):
        config_from_scratch("bert_tiny", vocab_size=1000, max_length_tokens=128, pad_token_id=0)
    assert "bert-tiny" in ARCHITECTURES
