import pytest
import torch

from alum.attacks.text.worded import WordedText
from alum.core.errors import InputError
from alum.evaluation.validity.word_losses import StandingWord, WordLosses
from text_models import text_model
from tiny_models import language_model
from tiny_texts import opinions
from tiny_tokenizers import TOKENIZERS

TEXTS = [row["text"] for row in opinions(24)]
KINDS = {"bert": "wordpiece", "roberta": "byte_level_bpe", "albert": "unigram"}


@pytest.fixture(scope="module", params=KINDS)
def losses(request):
    tokenizer = TOKENIZERS[KINDS[request.param]](TEXTS)
    model = language_model(request.param, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    return WordLosses(text_model(model, tokenizer, 64))


def plain(losses, text, start, end):
    """One pass for each token of the word, which is masked with the tokens behind it; all else can be read."""
    tokenizer, total = losses.text_model.tokenizer, 0.0
    encoded = tokenizer(text, return_offsets_mapping=True)
    own = [i for i, (a, b) in enumerate(encoded["offset_mapping"]) if a < b and b > start and b <= end]
    for first, position in enumerate(own):
        ids = list(encoded["input_ids"])
        for later in own[first:]:
            ids[later] = tokenizer.mask_token_id
        with torch.no_grad():
            logits = losses.text_model.model(torch.tensor([ids])).logits[0, position].double()
        total -= float(logits.log_softmax(-1)[encoded["input_ids"][position]])
    return total, len(own)


def test_losses_are_those_of_one_pass_a_token(losses):
    words, expected, parts = [], [], set()
    for text in (f"{text} rivercat gentledogs" for text in TEXTS[:4]):
        worded = WordedText.of(text)
        for number, start in enumerate(worded.starts()):
            words.append(StandingWord(worded, number))
            loss, num_tokens = plain(losses, text, start, start + len(worded.words[number]))
            expected.append(loss)
            parts.add(num_tokens)
    assert len(parts) > 1, "words of one token and of several"
    assert losses(words) == pytest.approx(expected, rel=1e-4)
    assert losses([]) == []


def test_a_word_may_have_a_space_after_an_attack(losses):
    worded = WordedText.of(TEXTS[0]).replaced(1, "wo rd")
    start = worded.starts()[1]
    expected, _ = plain(losses, str(worded), start, start + 5)
    assert losses([StandingWord(worded, 1)]) == pytest.approx([expected], rel=1e-4)


def test_only_tokens_that_are_asked_about_go_through_the_head(losses):
    shapes = []
    handle = losses.text_model.model.register_forward_hook(
        lambda module, args, output: shapes.append(output.logits.shape[:-1].numel())
    )
    text = f"{TEXTS[0]} rivercat"
    worded = WordedText.of(text)
    losses([StandingWord(worded, len(worded.words) - 1)])
    handle.remove()
    assert sum(shapes) == plain(losses, text, text.index("rivercat"), len(text))[1]


def test_long_texts_are_read_around_the_word(losses):
    worded = WordedText.of(" ".join(["the dog"] * 3000))
    found = losses([StandingWord(worded, number) for number in (0, 3000, 5999)])
    assert all(loss > 0 for loss in found)


def test_a_model_without_a_mask_is_refused():
    tokenizer = TOKENIZERS["wordpiece"](TEXTS)
    tokenizer.mask_token = None
    with pytest.raises(InputError, match="has no mask token"):
        WordLosses(text_model(language_model("bert", vocab_size=len(tokenizer)), tokenizer, 16))
