"""`AlumMixin` in the Trainers of sentence-transformers: embeddings of several columns, and scores of pairs."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from transformers import AutoModel, AutoModelForSequenceClassification

from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.training.config import AlumConfig
from alum.training.trainer import AlumMixin
from plain_one_pass import ONE_STEP, assert_step, jeffreys, one_pass_gradients
from tiny_language_data import ANSWERS, SENTENCES
from tiny_models import headed
from tiny_runs import FOR_ANY_MODEL, STEPS, logged, weights

st = pytest.importorskip("sentence_transformers", reason="needs the extra sentence-transformers")
cross = pytest.importorskip("sentence_transformers.cross_encoder")
cross_losses = pytest.importorskip("sentence_transformers.cross_encoder.losses")
losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")

EXACT = {"rtol": 0, "atol": 0}
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
ATTACKING = [name for name in FOR_ANY_MODEL if name != "standard"]
TOKENIZER = train_wordpiece([*SENTENCES, *ANSWERS] * 3, 110, 64)
OTHERS = [SENTENCES[i - 3] for i in range(len(SENTENCES))]
LABELS = [float(i % 2) for i in range(len(SENTENCES))]


class AlumSentenceTransformerTrainer(AlumMixin, st.SentenceTransformerTrainer):
    pass


class AlumCrossEncoderTrainer(AlumMixin, cross.CrossEncoderTrainer):
    pass


@dataclass
class Config(st.SentenceTransformerTrainingArguments, AlumConfig):
    pass


@dataclass
class CrossConfig(cross.CrossEncoderTrainingArguments, AlumConfig):
    pass


def settings(folder, settings_class, **changes):
    own = {"max_steps": 2, "per_device_train_batch_size": 4}
    if issubclass(settings_class, AlumConfig):
        own["adv_gain_draws"] = 0
    return settings_class(**{**STEPS, "output_dir": str(folder / "runs"), **own, **changes})


def saved(folder, model):
    model.save_pretrained(folder / "model")
    TOKENIZER.save_pretrained(folder / "model")
    return str(folder / "model")


def embedder(folder, dropout=0.0, architecture="bert", **options):
    model = headed(AutoModel, architecture, dropout, vocab_size=len(TOKENIZER))
    return st.SentenceTransformer(saved(folder, model), device="cpu", **options)


def scorer(folder, dropout=0.0, num_labels=1):
    model = headed(
        AutoModelForSequenceClassification, "bert", dropout, vocab_size=len(TOKENIZER), num_labels=num_labels
    )
    return cross.CrossEncoder(saved(folder, model), device="cpu")


def run(trainer_class, model, arguments, columns, loss):
    trainer = trainer_class(model=model, args=arguments, train_dataset=Dataset.from_dict(columns), loss=loss(model))
    trainer.train()
    return trainer


# -- embeddings --------------------------------------------------------------------------------------------------------

PAIRS = {"anchor": SENTENCES, "positive": ANSWERS}
TRIPLETS = {**PAIRS, "negative": OTHERS}
SCORED = {"first": SENTENCES, "second": ANSWERS, "score": LABELS}
CASES = {
    "ranking of pairs": (PAIRS, losses.MultipleNegativesRankingLoss),
    "ranking of triplets": (TRIPLETS, losses.MultipleNegativesRankingLoss),
    "triplets": (TRIPLETS, losses.TripletLoss),
    "cosine": (SCORED, losses.CosineSimilarityLoss),
    "CoSENT": (SCORED, losses.CoSENTLoss),
    "Matryoshka": (
        PAIRS,
        lambda model: losses.MatryoshkaLoss(model, losses.MultipleNegativesRankingLoss(model), [32, 16]),
    ),
}


WITHOUT = {"standard": {"adv_method": "standard"}, "alpha 0": {"adv_method": "alum", "adv_alpha": 0.0}}


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize(
    ("case", "method"),
    [*((case, "standard") for case in CASES), ("cosine", "alpha 0"), ("ranking of triplets", "alpha 0")],
)
def test_without_an_adversary_it_is_the_trainers_bit_for_bit(tmp_path, case, method):
    columns, loss = CASES[case]
    ours = run(
        AlumSentenceTransformerTrainer,
        embedder(tmp_path, 0.1),
        settings(tmp_path, Config, **WITHOUT[method]),
        columns,
        loss,
    )
    theirs = settings(tmp_path, st.SentenceTransformerTrainingArguments)
    plain = run(st.SentenceTransformerTrainer, embedder(tmp_path, 0.1), theirs, columns, loss)
    assert logged(ours, "loss") == logged(plain, "loss")
    torch.testing.assert_close(weights(ours), weights(plain), **EXACT)


def mean_embedding(model, batch):
    hidden = model(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    return (hidden * mask).sum(1) / mask.sum(1)


def squared_distance_of_directions(first, second):
    return (F.normalize(first, dim=-1) - F.normalize(second, dim=-1)).square().sum(-1)


@pytest.mark.parametrize("columns", [PAIRS, TRIPLETS], ids=["pairs", "triplets"])
def test_a_step_is_the_objective_written_out(tmp_path, columns):
    model = embedder(tmp_path)
    loss = losses.MultipleNegativesRankingLoss(model)
    rows = Dataset.from_dict({name: texts[:4] for name, texts in columns.items()})
    arguments = settings(tmp_path, Config, **ONE_STEP)
    trainer = AlumSentenceTransformerTrainer(model=model, args=arguments, train_dataset=rows, loss=loss)
    inner = model.transformers_model
    inner.train()
    order = torch.utils.data.RandomSampler(rows)  # any order has the same loss
    assert len(order) == 4
    batch = TOKENIZER([text for texts in rows.to_dict().values() for text in texts], padding=True, return_tensors="pt")

    def loss_and_outputs():
        embeddings = mean_embedding(inner, batch)
        anchors, *candidates = F.normalize(embeddings, dim=-1).split(4)
        scores = 20.0 * anchors @ torch.cat(candidates).T
        return F.cross_entropy(scores, torch.arange(4)), embeddings

    before, parameters = weights(trainer), dict(model.named_parameters())
    place, mask = inner.get_input_embeddings(), batch["attention_mask"].bool()
    gradients = one_pass_gradients(place, mask, loss_and_outputs, squared_distance_of_directions, parameters)
    trainer.train()
    assert_step(trainer, before, gradients)


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize(
    ("case", "method"),
    [
        *zip(CASES, ["alum", "alum_virtual", "alum_one_pass", "pgd", "alum", "alum_one_pass"], strict=True),
        *zip(CASES, ["alum_one_pass", "pgd", "alum_virtual", "alum_one_pass", "pgd", "alum"], strict=True),
    ],
)
def test_the_adversary_beats_noise(tmp_path, case, method):
    columns, loss = CASES[case]
    arguments = settings(tmp_path, Config, adv_gain_draws=2, adv_method=method)
    trainer = run(AlumSentenceTransformerTrainer, embedder(tmp_path, 0.1), arguments, columns, loss)
    assert min(logged(trainer, "adversarial_gain")) > (1.2 if method == "alum_virtual" else 2)


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("method", ATTACKING)
def test_every_method_trains_and_accumulates(tmp_path, method):
    columns, loss = CASES["cosine"]
    arguments = settings(
        tmp_path, Config, adv_method=method, per_device_train_batch_size=2, gradient_accumulation_steps=2
    )
    trainer = run(AlumSentenceTransformerTrainer, embedder(tmp_path), arguments, columns, loss)
    assert all(loss > 0 for loss in logged(trainer, "loss"))


def test_embeddings_that_are_compared_by_where_they_lie(tmp_path):
    columns, loss = CASES["triplets"]
    model = embedder(tmp_path, similarity_fn_name="euclidean")
    trainer = run(
        AlumSentenceTransformerTrainer,
        model,
        settings(tmp_path, Config, adv_gain_draws=2, adv_method="alum"),
        columns,
        loss,
    )
    assert trainer.kind.name == "text_embedding"
    assert min(logged(trainer, "adversarial_gain")) > 2


def test_each_data_set_may_have_a_loss_of_its_own(tmp_path):
    model = embedder(tmp_path)
    rows = {"pairs": Dataset.from_dict(PAIRS), "scored": Dataset.from_dict(SCORED)}
    of_each = {"pairs": losses.MultipleNegativesRankingLoss(model), "scored": losses.CosineSimilarityLoss(model)}
    arguments = settings(tmp_path, Config, adv_gain_draws=2, adv_method="alum_one_pass")
    trainer = AlumSentenceTransformerTrainer(model=model, args=arguments, train_dataset=rows, loss=of_each)
    trainer.train()
    assert min(logged(trainer, "adversarial_gain")) > 2


@pytest.mark.parametrize("method", ["alum", "alum_one_pass", "pgd"])
def test_a_cached_loss_is_refused_by_what_it_does(tmp_path, method):
    arguments = settings(tmp_path, Config, adv_method=method)
    with pytest.raises(InputError, match=r"CachedMultipleNegativesRankingLoss does not embed each.*MultipleNegatives"):
        run(
            AlumSentenceTransformerTrainer,
            embedder(tmp_path),
            arguments,
            PAIRS,
            losses.CachedMultipleNegativesRankingLoss,
        )


def test_a_loss_on_the_layers_below_is_refused_when_the_trainer_is_made(tmp_path):
    def of_layers(model):
        return losses.AdaptiveLayerLoss(model, losses.MultipleNegativesRankingLoss(model))

    with pytest.raises(InputError, match="AdaptiveLayerLoss takes embeddings from inside the model"):
        run(AlumSentenceTransformerTrainer, embedder(tmp_path), settings(tmp_path, Config), PAIRS, of_layers)


@pytest.mark.parametrize(
    ("trainer_class", "settings_class", "model"),
    [(AlumSentenceTransformerTrainer, Config, embedder), (AlumCrossEncoderTrainer, CrossConfig, scorer)],
    ids=["embeddings", "scores"],
)
def test_a_part_of_a_batch_has_no_loss(tmp_path, trainer_class, settings_class, model):
    arguments = settings(tmp_path, settings_class, adv_fraction=0.5)
    with pytest.raises(InputError, match="adv_fraction must be 1 here: losses of sentence-transformers are of a whole"):
        trainer_class(model=model(tmp_path), args=arguments, train_dataset=Dataset.from_dict(SCORED))


def test_evaluation_is_the_trainers(tmp_path):
    columns, loss = CASES["cosine"]
    scores = []
    for trainer_class, arguments in (
        (AlumSentenceTransformerTrainer, settings(tmp_path, Config, adv_start_fraction=1.0)),
        (st.SentenceTransformerTrainer, settings(tmp_path, st.SentenceTransformerTrainingArguments)),
    ):
        trainer = run(trainer_class, embedder(tmp_path), arguments, columns, loss)
        scores.append(trainer.evaluate(Dataset.from_dict(columns))["eval_loss"])
    assert scores[0] == scores[1]


# -- scores of pairs ---------------------------------------------------------------------------------------------------

GRADED = {"query": SENTENCES, "passage": ANSWERS, "label": [i % 3 for i in range(len(SENTENCES))]}
YES_OR_NO = {"query": SENTENCES, "passage": ANSWERS, "label": LABELS}


def bernoulli_jeffreys(logits_p, logits_q):
    return ((logits_p.sigmoid() - logits_q.sigmoid()) * (logits_p - logits_q)).squeeze(-1)


CROSS_CASES = {
    "BinaryCrossEntropyLoss": (
        YES_OR_NO,
        1,
        lambda s, labels: F.binary_cross_entropy_with_logits(s.squeeze(-1), labels),
        bernoulli_jeffreys,
    ),
    "CrossEntropyLoss": (GRADED, 3, lambda s, labels: F.cross_entropy(s, labels), jeffreys),
    "MSELoss": (
        YES_OR_NO,
        1,
        lambda s, labels: (s.squeeze(-1) - labels).square().mean(),
        lambda p, q: (p - q).square().squeeze(-1),
    ),
}


@pytest.mark.parametrize(
    ("name", "method"), [*((name, "standard") for name in CROSS_CASES), ("CrossEntropyLoss", "alpha 0")]
)
def test_scores_without_an_adversary_are_the_trainers_bit_for_bit(tmp_path, name, method):
    columns, num_labels, *_ = CROSS_CASES[name]
    loss = getattr(cross_losses, name)
    model = scorer(tmp_path, 0.1, num_labels)
    ours = run(AlumCrossEncoderTrainer, model, settings(tmp_path, CrossConfig, **WITHOUT[method]), columns, loss)
    theirs = settings(tmp_path, cross.CrossEncoderTrainingArguments)
    plain = run(cross.CrossEncoderTrainer, scorer(tmp_path, 0.1, num_labels), theirs, columns, loss)
    assert logged(ours, "loss") == logged(plain, "loss")
    torch.testing.assert_close(weights(ours), weights(plain), **EXACT)


@pytest.mark.parametrize("name", CROSS_CASES)
def test_a_step_on_scores_is_the_objective_written_out(tmp_path, name):
    columns, num_labels, task_loss, distance = CROSS_CASES[name]
    columns = {key: values[:4] for key, values in columns.items()}
    model = scorer(tmp_path, 0.0, num_labels)
    loss = getattr(cross_losses, name)(model)
    arguments = settings(tmp_path, CrossConfig, **ONE_STEP)
    rows = Dataset.from_dict(columns)
    trainer = AlumCrossEncoderTrainer(model=model, args=arguments, train_dataset=rows, loss=loss)
    inner = model.transformers_model
    inner.train()
    batch = TOKENIZER(columns["query"], columns["passage"], padding=True, return_tensors="pt")
    labels = torch.tensor(columns["label"])

    def loss_and_outputs():
        scores = inner(**batch).logits
        return task_loss(scores, labels), scores

    before, parameters = weights(trainer), dict(model.named_parameters())
    place, mask = inner.get_input_embeddings(), batch["attention_mask"].bool()
    gradients = one_pass_gradients(place, mask, loss_and_outputs, distance, parameters)
    trainer.train()
    assert_step(trainer, before, gradients)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *((name, "alum") for name in CROSS_CASES),
        *zip(CROSS_CASES, ["alum_virtual", "alum_one_pass", "pgd"], strict=True),
    ],
)
def test_the_adversary_of_scores_beats_noise(tmp_path, name, method):
    columns, num_labels, *_ = CROSS_CASES[name]
    arguments = settings(tmp_path, CrossConfig, adv_gain_draws=2, adv_method=method)
    model = scorer(tmp_path, 0.1, num_labels)
    trainer = run(AlumCrossEncoderTrainer, model, arguments, columns, getattr(cross_losses, name))
    assert min(logged(trainer, "adversarial_gain")) > 2


def test_lists_of_passages_are_ranked_in_one_call(tmp_path):
    columns = {"query": SENTENCES, "docs": [[a, b] for a, b in zip(ANSWERS, OTHERS, strict=True)]}
    columns["labels"] = [[1.0, 0.0]] * len(SENTENCES)
    arguments = settings(tmp_path, CrossConfig, adv_gain_draws=2, adv_method="alum_one_pass")

    def of_whole_batch(model):
        return cross_losses.ListNetLoss(model, mini_batch_size=-1)

    trainer = run(AlumCrossEncoderTrainer, scorer(tmp_path), arguments, columns, of_whole_batch)
    assert min(logged(trainer, "adversarial_gain")) > 2


@pytest.mark.parametrize("method", ["alum", "alum_one_pass"])
def test_a_loss_that_scores_negatives_in_calls_of_their_own_is_refused_by_what_it_does(tmp_path, method):
    arguments = settings(tmp_path, CrossConfig, adv_method=method)
    with pytest.raises(InputError, match=r"more than one call of CrossEncoder.*a loss that runs the model once"):
        run(AlumCrossEncoderTrainer, scorer(tmp_path), arguments, PAIRS, cross_losses.MultipleNegativesRankingLoss)
