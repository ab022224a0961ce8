import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from alum.attacks.text.protocol import Misclassified
from alum.attacks.text.searches.gradients import GradientQuestion
from alum.attacks.text.searches.hotflip import HotFlipSearch, best_flips
from alum.attacks.text.searches.settings import Constraints, SearchSettings
from alum.attacks.text.searches.side_by_side import run_searches
from alum.attacks.text.worded import WordedExample
from alum.evaluation.gradients import ClassifierGradients
from alum.evaluation.kinds.sequence_classification import ClassifierVictim
from text_models import text_model
from tiny_linear_model import LENGTH, VOCAB_SIZE, LinearModel
from tiny_models import classifier
from tiny_texts import opinions
from tiny_tokenizers import TOKENIZERS

TEXTS = [row["text"] for row in opinions(24)]


def at_words(gradients, example, places, label):
    (found,) = gradients.at_words([GradientQuestion(example, places, label)])
    return found


def all_places(example):
    return WordedExample.of(example).places(range(len(example)))


# -- a model that is linear in its embeddings --------------------------------------------------------------------------


@pytest.fixture
def linear():
    """The model, and a tokenizer with a word for each of its tokens but the first, the unknown one."""
    words = ["[UNK]", *(f"w{chr(96 + i)}" for i in range(1, VOCAB_SIZE))]
    tokenizer = Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", model_input_names=["input_ids"])
    return LinearModel().double(), fast, words[1:]


@pytest.mark.parametrize("label", [0, 1])
def test_gains_are_those_of_each_flip_of_a_linear_model(linear, label):
    """Of two classes the log odds are the difference of the logits: each flip raises them by just its gain."""
    model, tokenizer, words = linear
    text = "wa wb wc wd we"
    gradients = ClassifierGradients(text_model(model, tokenizer, LENGTH))

    def log_odds(text):
        with torch.no_grad():
            logits = model(torch.tensor([tokenizer(text)["input_ids"]])).logits[0]
        return float(logits[1 - label] - logits[label])

    worded = WordedExample.of((text,))
    expected = {
        (place, word): log_odds(worded.replaced(place, word).joined()[0]) - log_odds(text)
        for place in worded.places([0])
        for word in words
        if word != worded.word(place)
    }
    flips = best_flips(at_words(gradients, (text,), worded.places([0]), label), gradients.embeddings, 10_000)
    assert {flip[:2] for flip in flips} == {pair for pair, gain in expected.items() if gain > 0}
    for flip in flips:
        assert flip.gain == pytest.approx(expected[flip[:2]], rel=1e-4)

    victim = ClassifierVictim(text_model(model, tokenizer, LENGTH))
    goal = Misclassified(int(victim([(text,)]).argmax()))
    if goal.label == label:
        search = HotFlipSearch(gradients, Constraints(), SearchSettings(max_queries=1 + 1 + 20))
        ((_, result),) = run_searches(victim, [search((text,), goal)])
        (change,) = result.changes[:1]
        assert expected[change.place, change.new] == max(expected.values())


# -- tiny transformers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        ("bert", "wordpiece"),
        ("roberta", "byte_level_bpe"),
        ("gpt2", "byte_level_bpe"),
        ("albert", "unigram"),
        ("modernbert", "wordpiece"),
    ],
)
@pytest.mark.parametrize("example", [(TEXTS[0],), (TEXTS[1], TEXTS[2])], ids=["single", "pair"])
def test_gradients_are_those_of_finite_differences(architecture, kind, example):
    """A token of the model's is moved a little from the old word's embedding toward the new one's."""
    tokenizer = TOKENIZERS[kind](TEXTS)
    tested = classifier(architecture, vocab_size=len(tokenizer) + 1, pad_token_id=tokenizer.pad_token_id, num_labels=3)
    tested = tested.double()
    label, spare, step = 2, len(tokenizer), 1e-3
    gradients = ClassifierGradients(text_model(tested, tokenizer, 64))
    found = at_words(gradients, example, all_places(example), label)
    assert len(found) >= 2
    encoded = tokenizer(*example, return_tensors="pt")
    table = tested.get_input_embeddings().weight.data
    worded = WordedExample.of(example)

    def loss(one, new, toward):
        table[spare] = table[one.token_id] + toward * (table[new] - table[one.token_id])
        ids = encoded["input_ids"].clone()
        ids[0, gradients._word_tokens.positions(encoded[0], worded, [one.place])[one.place]] = spare
        logits = tested(**{**encoded, "input_ids": ids}).logits[0]
        return float(torch.cat((logits[:label], logits[label + 1 :])).logsumexp(0) - logits[label])

    for one in found[:4]:
        for new in one.vocabulary.token_ids[:3]:
            slope = (loss(one, new, step) - loss(one, new, -step)) / (2 * step)
            vector = gradients.embeddings[new] - gradients.embeddings[one.token_id]
            assert float(one.gradient.double() @ vector) == pytest.approx(slope, rel=1e-2, abs=1e-6)


@pytest.fixture(scope="module")
def bert():
    tokenizer = TOKENIZERS["wordpiece"](TEXTS)
    return classifier(vocab_size=len(tokenizer), num_labels=2), tokenizer


def test_a_model_that_is_sure_has_a_gradient_still(bert):
    model, tokenizer = bert
    label = int(ClassifierVictim(text_model(model, tokenizer, 64))([(TEXTS[0],)]).argmax())
    gradients = ClassifierGradients(text_model(model, tokenizer, 64))
    before = at_words(gradients, (TEXTS[0],), all_places((TEXTS[0],)), label)
    with torch.no_grad():
        model.classifier.bias[label] += 100
    after = at_words(gradients, (TEXTS[0],), all_places((TEXTS[0],)), label)
    with torch.no_grad():
        model.classifier.bias[label] -= 100
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one.gradient, other.gradient)
        assert one.gradient.abs().sum() > 0


def test_words_that_are_cut_off_have_none_and_nothing_is_left_behind(bert):
    model, tokenizer = bert
    example = (" ".join(["dog cat"] * 5000),)
    found = at_words(ClassifierGradients(text_model(model, tokenizer, 16)), example, all_places(example), 0)
    assert 0 < len(found) <= 14
    assert all(parameter.grad is None for parameter in model.parameters())
    assert at_words(ClassifierGradients(text_model(model, tokenizer, 16)), ("",), [], 0) == []


def test_flips_raise_the_loss_of_a_transformer(bert):
    """Most texts that the model answers rightly are turned, and what is reported is what the model says."""
    model, tokenizer = bert
    victim = ClassifierVictim(text_model(model, tokenizer, 64))
    with torch.no_grad():  # undecided, so that answers can be turned
        model.classifier.bias -= torch.tensor(np.log(victim([(text,) for text in TEXTS])).mean(0), dtype=torch.float32)
    victim = ClassifierVictim(text_model(model, tokenizer, 64))
    search = HotFlipSearch(ClassifierGradients(text_model(model, tokenizer, 64)), Constraints(), SearchSettings())
    examples = [(text,) for text in TEXTS]
    labels = victim(examples).argmax(-1)
    searches = [search(example, Misclassified(int(y))) for example, y in zip(examples, labels, strict=True)]
    outcomes = []
    for number, result in run_searches(victim, searches):
        outcomes.append(result.outcome)
        with torch.no_grad():
            logits = model(**tokenizer(*result.perturbed, return_tensors="pt")).logits[0]
        np.testing.assert_allclose(result.adversarial_outputs, logits.softmax(-1), atol=1e-5)
        assert (result.outcome == "succeeded") == (int(logits.argmax()) != labels[number])
    assert outcomes.count("succeeded") > len(TEXTS) // 2


# -- many texts together -----------------------------------------------------------------------------------------------


def plain_gradients(model, tokenizer, text, label):
    """Of one text alone, at the rows of its own embeddings, with the tokens' characters."""
    encoded = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    offsets, ids = encoded.pop("offset_mapping")[0].tolist(), encoded.pop("input_ids")
    embedded = model.get_input_embeddings()(ids).detach().requires_grad_()
    logits = model(inputs_embeds=embedded, **encoded).logits[0]
    others = torch.cat((logits[:label], logits[label + 1 :]))
    (others.logsumexp(0) - logits[label]).backward()
    return embedded.grad[0], offsets


@pytest.mark.parametrize(
    ("architecture", "kind", "side"), [("bert", "wordpiece", "right"), ("llama", "byte_level_bpe", "left")]
)
def test_importance_is_the_length_of_the_mean_gradient_over_the_tokens_of_a_word(architecture, kind, side):
    """Of texts of several lengths in one batch, whichever side is padded; the last word has several tokens."""
    tokenizer = TOKENIZERS[kind](TEXTS)
    tokenizer.padding_side = side
    settings = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, "num_labels": 3}
    model = classifier(architecture, **settings).double()
    texts = [f"{' '.join(text.split()[:count])} rivercat" for text, count in zip(TEXTS, (1, 3, 6, 9), strict=False)]
    questions = [GradientQuestion((text,), all_places((text,)), 1) for text in texts]
    found = ClassifierGradients(text_model(model, tokenizer, 64)).importance(questions)
    for text, importance in zip(texts, found, strict=True):
        gradient, offsets = plain_gradients(model, tokenizer, text, 1)
        worded = WordedExample.of((text,))
        starts = worded.texts[0].starts()
        assert list(importance) == worded.places([0])
        for place, value in importance.items():
            start, end = starts[place.word], starts[place.word] + len(worded.word(place))
            own = [i for i, (a, b) in enumerate(offsets) if a < b <= end and b > start]
            assert value == pytest.approx(float(gradient[own].mean(0).abs().sum()), rel=1e-4)
        assert len([i for i, (a, b) in enumerate(offsets) if b > len(text) - len("rivercat") and a < b]) > 1


def test_thirty_searches_take_their_gradients_together(bert):
    """As many passes with gradients as one search takes at most, not thirty times as many."""
    model, tokenizer = bert
    examples = [(" ".join(TEXTS[0].split()[:6]),)] * 30
    model_of = text_model(model, tokenizer, 64)
    label = int(ClassifierVictim(model_of)(examples[:1]).argmax())
    search = HotFlipSearch(ClassifierGradients(model_of), Constraints(), SearchSettings())

    def count(num_searches):
        passes = []
        handle = model.register_forward_pre_hook(lambda module, args: passes.append(torch.is_grad_enabled()))
        searches = [search(example, Misclassified(label)) for example in examples[:num_searches]]
        results = dict(run_searches(ClassifierVictim(model_of), searches))
        handle.remove()
        return sum(passes), results

    once, alone = count(1)
    together, results = count(30)
    assert 1 <= once == together
    assert {result.changes for result in results.values()} == {alone[0].changes}
