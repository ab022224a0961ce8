"""Labels by the likelihood of answers, held against one plain forward pass for each prompt and answer."""

import dataclasses

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import nn

from alum.attacks.embedding_pgd import EmbeddingPGD
from alum.attacks.text.protocol import Misclassified
from alum.attacks.text.searches.gradients import GradientQuestion
from alum.attacks.text.worded import WordedExample
from alum.core.errors import InputError
from alum.core.methods import method_named
from alum.data.pretraining.tokenizer import train_byte_level_bpe
from alum.data.table import Table
from alum.evaluation.kinds.answer_likelihood import AnsweredPrompts, answer_log_likelihoods, answered
from alum.evaluation.kinds.lookup import evaluated_kind
from alum.evaluation.model_on_task import ModelOnTask
from alum.models.model_parts import word_embeddings
from alum.tasks.layout import Layout
from alum.tasks.lookup import SUPERVISED
from alum.tasks.prompts import AskedAnswers
from alum.tasks.rows import TaskRows
from text_models import text_model
from tiny_models import language_model
from tiny_texts import opinions

ROWS = opinions(14)
TEXTS = [row["text"] for row in ROWS]
TEMPLATE = "Review: {text} It is"
LONG, SHORT = (" good", " dreadful"), (" the", " cat")  # of several tokens, and of one
CLASSIFICATION = evaluated_kind(SUPERVISED["sequence_classification"])


@pytest.fixture(scope="module")
def tokenizer():
    return train_byte_level_bpe([*TEXTS, "the cat It is"], 330, 64, "causal_lm")


def kind(answers=LONG, template=TEMPLATE, columns=("text",)):
    return answered(CLASSIFICATION, AskedAnswers.of(template, answers), Layout(columns), "rows")


def model_on(tokenizer, answers=LONG, architecture="gpt2", length=64, **settings):
    model = language_model(architecture, dropout=0.0, vocab_size=len(tokenizer), **settings).eval()
    with torch.no_grad():  # large enough that answers differ
        for parameter in model.parameters():
            parameter.mul_(2)
    return ModelOnTask(text_model(model, tokenizer, length, 5), kind(answers))


def rows_of(texts, labels=None, names=("good", "bad")):
    columns = {"text": list(texts)} | ({} if labels is None else {"label": list(labels)})
    layout = Layout(text=("text",), label_names=names)
    return TaskRows(Table.of(Dataset.from_dict(columns), "rows.jsonl"), layout)


def plain(model, tokenizer, texts, answers, template=TEMPLATE):
    """Log-likelihoods of the answers' tokens behind those of the prompt, ``[texts, answers]``."""
    found = []
    for text in texts:
        prompt = template.replace("{text}", text)
        num_given = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        for answer in answers:
            ids = torch.tensor(tokenizer(prompt + answer, add_special_tokens=False)["input_ids"])
            with torch.no_grad():
                log_probs = model(input_ids=ids[None]).logits[0].log_softmax(-1)
            found.append(sum(log_probs[at - 1, ids[at]].item() for at in range(num_given, len(ids))))
    return np.array(found).reshape(len(texts), len(answers))


# -- likelihoods -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("answers", [LONG, SHORT, (*LONG, *SHORT)], ids=["long", "short", "both"])
@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_outputs_are_the_log_likelihoods_of_the_answers(tokenizer, architecture, answers, side):
    tested = model_on(tokenizer, answers, architecture)
    expected = plain(tested.model, tokenizer, TEXTS, answers)
    assert np.ptp(expected[:, 0] - expected[:, 1]) > 0.1
    tokenizer = tested.text_model.tokenizer
    tokenizer.padding_side = side
    assert tested.outputs(tested.features(rows_of(TEXTS))) == pytest.approx(expected, abs=2e-4)
    tokenizer.padding_side = "right"


def test_of_a_uniform_model_each_token_costs_the_logarithm_of_the_vocabulary(tokenizer):
    tested = model_on(tokenizer)
    nn.init.zeros_(tested.model.get_output_embeddings().weight)  # that of the words too: logits are all zero
    lengths = [len(tokenizer(answer)["input_ids"]) for answer in LONG]
    assert lengths[0] != lengths[1]
    expected = [-count * np.log(len(tokenizer)) for count in lengths]
    assert tested.outputs(tested.features(rows_of(TEXTS[:3]))) == pytest.approx(np.tile(expected, (3, 1)), rel=1e-5)


def test_prompts_that_lose_their_beginning_are_told(tokenizer, caplog):
    lengths = [len(tokenizer(TEMPLATE.replace("{text}", text))["input_ids"]) for text in TEXTS]
    longest = max(map(len, tokenizer(list(LONG))["input_ids"]))
    room = sorted(lengths)[3] + longest - 1
    expected = sum(length > sorted(lengths)[3] for length in lengths)
    tested = model_on(tokenizer, length=room)
    assert "num_cut" not in tested.features(rows_of(TEXTS)).column_names
    assert f"{expected} of 14 prompts of rows.jsonl are longer than {room} tokens" in caplog.text


def test_prompts_of_answers_of_one_token_are_read_once(tokenizer):
    features = [dict(row) for row in model_on(tokenizer, SHORT).features(rows_of(TEXTS[:4]))]
    assert AnsweredPrompts(tokenizer)(features)["input_ids"].shape[:2] == (4, 1)
    features = [dict(row) for row in model_on(tokenizer, LONG).features(rows_of(TEXTS[:4]))]
    assert AnsweredPrompts(tokenizer)(features)["input_ids"].shape[:2] == (4, 2)


def test_predictions_and_scores_are_those_of_a_classifier(tokenizer):
    tested = model_on(tokenizer)
    likeliest = plain(tested.model, tokenizer, TEXTS, LONG).argmax(1)
    names = ("good", "dreadful")
    gold = [names[1 - best] if index < 4 else names[best] for index, best in enumerate(likeliest)]
    rows = rows_of(TEXTS, gold, names)
    features = tested.features(rows)
    supervision = tested.evaluated.supervision
    predictions = supervision.predict(tested.outputs(features), features, rows)
    assert predictions == [names[best] for best in likeliest]
    assert supervision.score(predictions, rows)["accuracy"] == pytest.approx(10 / 14)


# -- labels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "names", "are_own", "expected", "labels"),
    [
        ((" negative", " positive"), ("negative", "positive"), False, ("negative", "positive"), (0, 1)),
        ((" positive", " negative"), ("negative", "positive"), False, ("negative", "positive"), (1, 0)),
        ((" terrible", " great"), ("negative", "positive"), False, ("negative", "positive"), (0, 1)),
        (("positive= great", "negative= bad"), ("negative", "positive"), False, ("negative", "positive"), (1, 0)),
        ((" bad", " fair", " good"), ("good", "bad"), True, ("bad", "fair", "good"), (0, 1, 2)),
        ((" bad", " good"), ("0", "1"), True, ("bad", "good"), (0, 1)),
        (("bad= terrible", "good= great"), ("bad", "good"), True, ("bad", "good"), (0, 1)),
    ],
)
def test_answers_are_matched_with_labels(answers, names, are_own, expected, labels):
    rows, mapping = kind(answers).in_labels_of(("LABEL_0", "LABEL_1"), rows_of(["a"], names=names), "rows", are_own)
    assert (rows.label_names, mapping.labels) == (expected, labels)


@pytest.mark.parametrize(
    ("answers", "names", "are_own"),
    [
        ((" terrible", " great"), ("bad", "good"), True),  # names in the order of the alphabet alone
        ((" a", " b", " c"), ("negative", "positive"), False),
    ],
)
def test_answers_of_no_label_are_refused(answers, names, are_own):
    tested, rows = kind(answers), rows_of(["a"], names[:1], names=names)
    with pytest.raises(InputError, match=rf"labels of rows are {', '.join(names)}: .*as {names[0]}=ANSWER"):
        tested.in_labels_of((), rows, "rows", are_own)


@pytest.mark.parametrize(
    ("answers", "names", "told"),
    [
        (
            (" bad", " fair", " good"),
            ("bad", "good"),
            ["3 answers are given, but the rows of rows have 2 labels, bad, good: the others can only be wrong"],
        ),
        ((" bad", " good"), ("0", "1"), ["the labels of rows are numbers: the answers stand for bad=0, good=1"]),
        ((" bad", " good"), ("good", "bad"), []),
        (("0= bad", "1= good"), ("0", "1"), []),
    ],
)
def test_what_answers_stand_for_is_told_where_names_do_not_say_it(answers, names, told, caplog):
    kind(answers).in_labels_of((), rows_of(["a"], names[:1], names=names), "rows", are_own=True)
    assert caplog.messages == told


def test_answers_stand_for_labels_alone():
    with pytest.raises(InputError, match="answers stand for the labels of texts, but stsb is regression"):
        answered(evaluated_kind(SUPERVISED["regression"]), AskedAnswers.of(None, LONG), Layout(("a",)), "stsb")


# -- attacks on texts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [LONG, SHORT], ids=["long", "short"])
def test_a_victim_gives_the_answers_shares(tokenizer, answers):
    tested = model_on(tokenizer, answers)
    expected = plain(tested.model, tokenizer, TEXTS, answers)
    examples = [(text,) for text in TEXTS]
    shares = np.exp(expected) / np.exp(expected).sum(1, keepdims=True)
    assert tested.victim(rows_of(TEXTS))(examples) == pytest.approx(shares, abs=1e-4)
    assert tested.logits_victim()(examples) == pytest.approx(expected, abs=2e-4)
    assert tested.victim(rows_of(TEXTS)).characters_read(examples[0]) == (len(TEXTS[0]),)


def test_an_attack_is_on_the_last_of_the_texts_and_on_no_template(tokenizer):
    evaluated = kind(template="Known: {a} Is it so that {b}? Say", columns=("a", "b"))
    columns = {"a": ["one two", "six"], "b": ["three four", "ten"], "label": ["good", "bad"]}
    rows = TaskRows(Table.of(Dataset.from_dict(columns), "r"), Layout(("a", "b"), label_names=("good", "bad")))
    first, _ = evaluated.attackable_rows(rows, 0.5)
    assert (first.example, first.goal, first.attacked_texts) == (("one two", "three four"), Misclassified(0), (-1,))


@pytest.mark.parametrize("answers", [LONG, SHORT], ids=["long", "short"])
def test_gradients_of_words_are_slopes_of_the_log_odds(tokenizer, answers):
    """By finite differences at the row of the embedding matrix of a word that stands there once."""
    tested = model_on(tokenizer, answers, tie_word_embeddings=False)
    tested.model.double()
    example = WordedExample.of((TEXTS[0],))
    gradients = tested.evaluated.gradients(tested.text_model)
    (found,) = gradients.at_words([GradientQuestion(example.joined(), example.places((0,)), label=1)])
    assert found
    embeddings = word_embeddings(tested.model)

    def log_odds():
        first, second = plain(tested.model, tokenizer, TEXTS[:1], answers)[0]
        return first - second

    prompt_ids = tokenizer(TEMPLATE.replace("{text}", TEXTS[0]) + answers[0])["input_ids"]
    once = [one for one in found if prompt_ids.count(one.token_id) == 1]
    assert len(once) >= 2
    for one in once:
        assert tokenizer.decode([one.token_id]).strip() == one.word
        direction = torch.randn(32, generator=torch.Generator().manual_seed(0)).double()
        sides = []
        for sign in (1, -1):
            with torch.no_grad():
                embeddings.weight[one.token_id] += sign * 1e-4 * direction
                sides.append(log_odds())
                embeddings.weight[one.token_id] -= sign * 1e-4 * direction
        slope = (sides[0] - sides[1]) / 2e-4
        assert (one.gradient.double() @ direction).item() == pytest.approx(slope, rel=2e-3, abs=1e-4)


# -- attacks on embeddings ---------------------------------------------------------------------------------------------


def attacked(tested, count=6):
    labels = plain(tested.model, tested.text_model.tokenizer, TEXTS[:count], [a.text for a in answers_of(tested)])
    names = ("good", "bad")
    return tested.features(rows_of(TEXTS[:count], [names[best] for best in labels.argmax(1)], names))


def answers_of(tested):
    return tested.evaluated.answering.answers


@pytest.mark.parametrize("answers", [LONG, SHORT], ids=["long", "short"])
def test_embeddings_are_moved_in_the_rows_own_text_alone(tokenizer, answers):
    tested = model_on(tokenizer, answers)
    for rows, batch in tested.attacked_batches(attacked(tested)):
        worst = EmbeddingPGD(epsilon=0.3, num_steps=2)(dataclasses.replace(batch, fallen=None))
        for row, moved in zip(rows, (worst.delta != 0).any(-1), strict=True):
            prompt = TEMPLATE.replace("{text}", TEXTS[row])
            spans = tokenizer(prompt, return_offsets_mapping=True)["offset_mapping"]
            own = [end > len("Review: ") and start < len(prompt) - len(" It is") for start, end in spans]
            assert moved.tolist() == [*own, *[False] * (len(moved) - len(own))]


@pytest.mark.parametrize("answers", [LONG, SHORT], ids=["long", "short"])
def test_one_perturbation_is_of_a_prompt_beside_all_answers(tokenizer, answers):
    """The likelihoods under attack are those of a model whose embeddings at the prompt's positions are moved by δ."""
    tested = model_on(tokenizer, answers)
    features = attacked(tested)
    for rows, batch in tested.attacked_batches(features):
        worst = EmbeddingPGD(epsilon=0.3, num_steps=3, num_restarts=2)(dataclasses.replace(batch, fallen=None))
        for row, delta, found in zip(rows, worst.delta, worst.outputs["logits"], strict=True):

            def move(module, inputs, output, delta=delta):
                shorter = min(output.shape[1], len(delta))
                moved = output.clone()
                moved[0, :shorter] += delta[:shorter]  # zero behind the prompt
                return moved

            handle = word_embeddings(tested.model).register_forward_hook(move)
            expected = plain(tested.model, tokenizer, TEXTS[row : row + 1], answers)[0]
            handle.remove()
            assert found.tolist() == pytest.approx(expected.tolist(), abs=2e-4)
            assert float(worst.losses[rows.index(row)]) == pytest.approx(
                expected[1 - features[row]["labels"]] - expected[features[row]["labels"]], abs=4e-4
            )


def test_rows_that_fall_leave_while_others_are_attacked_further(tokenizer):
    """The result of each row is that of the row alone, whichever others stand beside it."""
    tested = model_on(tokenizer, (" good", " gold"))
    features, attack = attacked(tested), EmbeddingPGD(epsilon=0.3, num_steps=6)
    together = tested.outputs(features, attack)
    alone = np.concatenate([tested.outputs(features.select([index]), attack) for index in range(len(features))])
    labels = np.array(features["labels"])
    fallen = together.argmax(1) != labels
    assert 0 < fallen.sum() < len(fallen)
    assert together == pytest.approx(alone, abs=5e-3)


def test_the_adversarial_gain_is_above_that_of_noise(tokenizer):
    tested = model_on(tokenizer)
    gain, divergence = tested.gain_and_divergence(attacked(tested), method_named("alum_one_pass", epsilon=0.05))
    assert gain > 2
    assert divergence > 0


def test_rows_without_a_text_of_their_own_are_not_moved(tokenizer):
    tested = model_on(tokenizer)
    features = tested.features(rows_of(["", TEXTS[0]], ["good", "bad"]))
    clean = tested.outputs(features)
    found = tested.outputs(features, EmbeddingPGD(epsilon=0.3))
    assert found[0].tolist() == pytest.approx(clean[0].tolist())
    assert (found[1] != clean[1]).all()


def test_likelihoods_do_not_depend_on_what_else_is_in_a_batch(tokenizer):
    tested = model_on(tokenizer)
    features = [dict(row) for row in tested.features(rows_of(TEXTS))]
    collate = AnsweredPrompts(tokenizer)
    with torch.no_grad():
        together = answer_log_likelihoods(tested.model, collate(features))
        alone = torch.cat([answer_log_likelihoods(tested.model, collate([one])) for one in features])
    assert torch.allclose(together, alone, atol=2e-4)
