import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alum.attacks.text.base import Resources
from alum.attacks.text.candidates.masked_lm import MaskedWords
from alum.attacks.text.candidates.wordnet import WordNet
from alum.attacks.text.table import TEXT_ATTACKS
from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_byte_level_bpe
from alum.evaluation.gradients import ClassifierGradients
from alum.evaluation.sentence_similarity import SentenceSimilarity
from alum.stages.evaluation.arguments import TextAttackArguments
from alum.stages.evaluation.attacking.attack_resources import AttackResources
from alum.tasks.kinds.sequence_classification import SEQUENCE_CLASSIFICATION
from small_wordnet import save_wordnet
from text_models import evaluated, text_model
from tiny_models import language_model
from tiny_stages import LENGTH_TOKENS, save_untrained
from tiny_texts import opinions


@pytest.fixture
def resources(finetuned):
    def resources(*attacks, **settings):
        model = AutoModelForSequenceClassification.from_pretrained(finetuned.output_dir)
        tokenizer = AutoTokenizer.from_pretrained(finetuned.output_dir)
        rows = [TEXT_ATTACKS[attack] for attack in attacks]
        kind, attacked = evaluated(SEQUENCE_CLASSIFICATION), text_model(model, tokenizer, LENGTH_TOKENS)
        return AttackResources(TextAttackArguments(**settings), rows).of_model(lambda: kind.gradients(attacked))

    return resources


def test_only_what_an_attack_needs_is_loaded(resources, tmp_path):
    settings = {"masked_lm": str(save_untrained(tmp_path / "lm")), "wordnet_dir": str(save_wordnet(tmp_path / "wn"))}
    nowhere = dict.fromkeys(settings, str(tmp_path / "nowhere"))
    assert resources("deepwordbug", "typos", **nowhere) == Resources()
    no_lm = {"masked_lm": nowhere["masked_lm"]}
    assert isinstance(resources("deepwordbug", "hotflip", **no_lm).gradients, ClassifierGradients)
    with pytest.raises(InputError, match="is not the folder of a WordNet database"):
        resources("hotflip", **nowhere)  # it does without one, but not without the one that was named
    assert resources("masked_lm", "wordnet") == Resources()  # the attacks say what is missing
    found = resources("masked_lm", "wordnet", **settings)
    assert (type(found.masked_lm), type(found.wordnet), found.gradients) == (MaskedWords, WordNet, None)
    assert found.masked_lm.text_model.tokenization.max_length_tokens == LENGTH_TOKENS


def test_similarity_is_by_the_model_that_is_named(tmp_path):
    assert AttackResources(TextAttackArguments(), []).similarity is None
    arguments = TextAttackArguments(similarity_model=str(save_untrained(tmp_path)))
    assert isinstance(AttackResources(arguments, []).similarity, SentenceSimilarity)
    assert arguments.least_similarity == 0.8
    with pytest.raises(InputError, match=r"no folder at .*nowhere"):
        _ = AttackResources(TextAttackArguments(similarity_model=str(tmp_path / "nowhere")), []).similarity


def test_models_that_predict_no_masked_words_are_refused(resources, finetuned, tmp_path):
    with pytest.raises(InputError, match=r"is no masked language model: it lacks cls\.predictions"):
        resources("masked_lm", masked_lm=finetuned.output_dir)
    tokenizer = train_byte_level_bpe([row["text"] for row in opinions()], 300, LENGTH_TOKENS, "causal_lm")
    tokenizer.save_pretrained(tmp_path)
    language_model("gpt2", vocab_size=len(tokenizer)).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"no model can be loaded from .*GPT2"):
        resources("masked_lm", masked_lm=str(tmp_path))


def test_a_model_whose_tokenizer_has_no_mask_is_refused(resources, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save_untrained(tmp_path))
    tokenizer.mask_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="has no mask token"):
        resources("masked_lm", masked_lm=str(tmp_path))
