import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from scipy.special import rel_entr, softmax
from tokenizers import ByteLevelBPETokenizer, processors
from transformers import PreTrainedTokenizerFast
from transformers.modeling_outputs import QuestionAnsweringModelOutput, SequenceClassifierOutput

from alum.core.errors import InputError
from alum.data.pretraining.tokenizer import train_wordpiece
from alum.data.table import Table
from alum.models.tokenization import Tokenization
from alum.tasks.kinds.question_answering import QUESTION_ANSWERING, QuestionAnsweringSupervision, best_span
from alum.tasks.layout import Layout
from alum.tasks.lookup import kind_of
from alum.tasks.rows import TaskRows
from alum.training.trainer import AlumTrainer
from tiny_models import ARCHITECTURES, headed
from tiny_runs import config, logged, trained, weights

SUPERVISION = QuestionAnsweringSupervision()
LAYOUT = Layout(text=("question", "context"), label="answers")
TOWER = (
    "The lighthouse of Łódź-on-Sea was built in 1884 by Zoë Brönte, an engineer; it cost £12,500.50 (half of it "
    "borrowed). In 1921 a storm broke its lamp 💡 and for eleven years no ship was warned. The harbour master, Mr. "
    "O'Neill, hung lanterns from his own window until the new lamp — electric, 300 times brighter — was lit. Today the "
    "tower houses a café, a small museum and, since 2009, a colony of swifts that nests below the gallery."
)
CAT = "A cat sat on the red mat."
ROWS = [
    ("When was it built?", TOWER, ["1884", "in 1884"]),
    ("Who built it?", TOWER, ["Zoë Brönte, an engineer", "Zoë Brönte"]),
    ("What did it cost?", TOWER, ["£12,500.50"]),
    ("What broke?", TOWER, ["its lamp 💡"]),
    ("Who hung lanterns?", TOWER, ["Mr. O'Neill", "The harbour master"]),
    ("What nests there?", TOWER, ["swifts"]),
    ("Who owns the tower now?", TOWER, []),
    (" Where did the cat sit?", CAT, ["on the red mat", "the red mat"]),
]
TEXTS = [TOWER, CAT, *(question for question, _, _ in ROWS)] * 3
TOKENIZER = train_wordpiece(TEXTS, 300, 64)


def byte_level_tokenizer():
    """As RoBERTa's: spaces belong to tokens, pairs have four special tokens, several tokens share a character."""
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(TEXTS, 600, special_tokens=["<s>", "<pad>", "</s>"], show_progress=False)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer,
        cls_token="<s>",
        pad_token="<pad>",
        sep_token="</s>",
        model_input_names=["input_ids", "attention_mask"],
    )


TOKENIZERS = {"wordpiece": TOKENIZER, "byte level": byte_level_tokenizer()}


def row(question, context, texts, *starts):
    (starts,) = starts or ([context.index(text) for text in texts],)
    return {"question": question, "context": context, "answers": {"text": texts, "answer_start": starts}}


def table(rows=None):
    return Table.of(Dataset.from_list([row(*values) for values in (ROWS if rows is None else rows)]), "rows.jsonl")


def encoded(rows=None, length=48, tokenizer="wordpiece"):
    rows = TaskRows(table() if rows is None else rows, LAYOUT)
    return SUPERVISION.encode(rows, Tokenization(TOKENIZERS[tokenizer], length))


def covered(feature, context):
    first, last = feature["start_positions"], feature["end_positions"]
    return context[feature["character_starts"][first] : feature["character_ends"][last]]


# -- encoding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("length", [32, 48, 64, 512])
def test_the_labelled_tokens_are_the_first_answer(length, tokenizer):
    found = {index: set() for index in range(len(ROWS))}
    for feature in encoded(length=length, tokenizer=tokenizer):
        context = ROWS[feature["row"]][1]
        assert len(feature["input_ids"]) <= length
        if feature["start_positions"] == feature["null_position"]:
            assert feature["end_positions"] == feature["null_position"] == 0
        else:
            found[feature["row"]].add(covered(feature, context))
    assert found == {index: set(answers[:1]) for index, (_, _, answers) in enumerate(ROWS)}


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_every_answer_can_be_a_label(tokenizer):
    for question, context, answers in ROWS:
        for answer in answers:
            (feature,) = encoded(table([(question, context, [answer])]), 512, tokenizer)
            assert covered(feature, context) == answer


def test_a_window_that_does_not_hold_the_whole_answer_points_to_cls():
    for feature in encoded(length=32):
        _, context, answers = ROWS[feature["row"]]
        starts = [start for start in feature["character_starts"] if start >= 0]
        seen = context[starts[0] : max(feature["character_ends"])]
        assert (feature["start_positions"] != 0) == (bool(answers) and answers[0] in seen)


def test_windows_overlap_by_a_third_and_leave_nothing_out():
    features = [feature for feature in encoded(length=48) if feature["row"] == 0]
    tokens = [{s for s in feature["character_starts"] if s >= 0} for feature in features]
    assert len(features) > 2
    assert [len(a & b) for a, b in itertools.pairwise(tokens)] == [16] * (len(features) - 1)
    (whole,) = (feature for feature in encoded(length=512) if feature["row"] == 0)
    assert set().union(*tokens) == {s for s in whole["character_starts"] if s >= 0}


def test_the_question_comes_first_and_has_no_characters_of_the_context():
    (feature,) = encoded(table(ROWS[-1:]))
    inside = [start >= 0 for start in feature["character_starts"]]
    text = TOKENIZER.decode(feature["input_ids"])
    assert text == "[CLS] where did the cat sit? [SEP] a cat sat on the red mat. [SEP]"
    assert inside == [*(kind == 1 for kind in feature["token_type_ids"][:-1]), False]  # all but the last [SEP]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("length", [32, 33, 64])
def test_long_questions_leave_room_for_the_context(length, tokenizer):
    for feature in encoded(table([("where is the red mat " * 40, TOWER, ["1884"])]), length, tokenizer):
        assert len(feature["input_ids"]) <= length
        of_context = sum(start >= 0 for start in feature["character_starts"])
        assert of_context > 0
        assert len(feature["input_ids"]) - of_context <= length // 3 + 4


def test_empty_texts_are_encoded():
    features = encoded(table([("", CAT, ["cat"]), ("What?", "", [])]))
    assert covered(features[0], CAT) == "cat"
    assert (features[1]["start_positions"], features[1]["end_positions"]) == (0, 0)
    outputs = (np.zeros((2, 48)), np.zeros((2, 48)))
    rows = TaskRows(table([("", CAT, ["cat"]), ("What?", "", [])]), LAYOUT)
    assert SUPERVISION.predict(outputs, features, rows)[1] == ""


def test_spaces_around_an_answer_belong_to_no_token():
    (feature,) = encoded(table([("Where?", CAT, [" the red mat"])]))
    assert covered(feature, CAT) == "the red mat"


def test_rows_without_labels_are_encoded_and_predicted():
    rows = Table.of(table().rows.remove_columns("answers"), "rows.jsonl")
    features = encoded(rows)
    assert "start_positions" not in features.column_names
    outputs = (np.zeros((len(features), 48)), np.zeros((len(features), 48)))
    assert len(SUPERVISION.predict(outputs, features, TaskRows(rows, LAYOUT))) == len(ROWS)


def test_unanswerable_rows_are_labelled_rows():
    assert len(table().labelled("answers")) == len(ROWS)


# -- what does not fit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "starts", "message"),
    [
        (["red mat"], [4], r"answer 'red mat' should begin at character 4 of the context, but there is 't sat o'"),
        (["red mat"], [-8], r"answer 'red mat' should begin at character -8 of the context, but there is ''"),
        (["red mat"], [900], r"but there is ''"),
        (["A cat", "dog"], [0, 2], r"answer 'dog' should begin at character 2 of the context, but there is 'cat'"),
        (["red mat"], [], r"lists of the same length, not \{.*'red mat'"),
        ([""], [0], r"not '' and 0; where the context has no answer both lists are empty"),
        ([None], [None], r"not None and None"),
        (None, None, r"""must be \{"text": \[...\], "answer_start": \[...\]\}"""),
    ],
)
def test_bad_answers_name_file_and_row(texts, starts, message):
    with pytest.raises(InputError, match=r"rows\.jsonl, row 2: .*" + message):
        encoded(table([ROWS[0], ("Where?", CAT, texts, starts)]))


def test_answers_of_another_form_name_file_and_row():
    rows = Table.of(Dataset.from_dict({"question": ["Where?"], "context": [CAT], "answers": ["mat"]}), "rows.jsonl")
    with pytest.raises(InputError, match=r"rows\.jsonl, row 1: .* not 'mat'"):
        encoded(rows)


@pytest.mark.parametrize(
    ("layout", "length", "message"),
    [
        (Layout(text=("question", "passage"), label="answers"), 48, "no column 'passage'"),
        (Layout(text=("question",), label="answers"), 48, "question and context, not 1: question"),
        (LAYOUT, 31, "at least 32 tokens .* not 31"),
    ],
)
def test_a_layout_or_length_that_does_not_fit_says_what_does(layout, length, message):
    with pytest.raises(InputError, match=message):
        SUPERVISION.encode(TaskRows(table(), layout), Tokenization(TOKENIZER, length))


# -- predictions -------------------------------------------------------------------------------------------------------


def logits_for(features, start_scores=(), end_scores=(), width=64):
    """Zero inside each window and -100 beyond it, as the Trainer pads; scores as (feature, position, score)."""
    outputs = []
    for scores in (start_scores, end_scores):
        logits = np.full((len(features), width), -100.0, dtype=np.float32)
        for index, ids in enumerate(features["input_ids"]):
            logits[index, : len(ids)] = 0.0
        for feature, position, score in scores:
            logits[feature, position] = score
        outputs.append(logits)
    return tuple(outputs)


def test_confident_logits_give_the_answers():
    features = encoded(length=64)
    scores = [
        [(index, feature[side], 9.0) for index, feature in enumerate(features)]
        for side in ("start_positions", "end_positions")
    ]
    # Windows without the answer point to [CLS]; among a row's windows the one with the answer has the best span.
    predictions = SUPERVISION.predict(logits_for(features, *scores), features, TaskRows(table(), LAYOUT))
    assert predictions == [answers[0] if answers else "" for _, _, answers in ROWS]
    assert SUPERVISION.score(predictions, TaskRows(table(), LAYOUT)) == {"exact_match": 1.0, "f1": 1.0}


def cat_positions(word):
    """The only window of the cat's row, and where a word is in it."""
    features = encoded(table(ROWS[-1:]))
    return features, features[0]["character_starts"].index(CAT.index(word))


@pytest.mark.parametrize(
    ("answers", "null", "expected"),
    [
        (["mat"], 9.0, "cat"),  # no row is unanswerable: there is always an answer
        ([], 9.0, ""),
        ([], 4.9, "cat"),
        ([], 5.0, "cat"),  # the threshold is 0: null must score higher
    ],
)
def test_no_answer_counts_where_the_table_has_unanswerable_rows(answers, null, expected):
    features, position = cat_positions("cat")
    outputs = logits_for(features, [(0, position, 5.0), (0, 0, null)], [(0, position, 5.0), (0, 0, null)])
    assert SUPERVISION.predict(outputs, features, TaskRows(table([("Where?", CAT, answers)]), LAYOUT)) == [expected]


def test_rows_without_answers_leave_it_to_the_model_whether_there_is_one():
    features, position = cat_positions("cat")
    rows = TaskRows(Table.of(table([("Where?", CAT, ["mat"])]).rows.remove_columns("answers"), "rows"), LAYOUT)
    for null, expected in ((9.0, ""), (1.0, "cat")):
        outputs = logits_for(features, [(0, position, 5.0), (0, 0, null)], [(0, position, 5.0), (0, 0, null)])
        assert SUPERVISION.predict(outputs, features, rows) == [expected]


def test_a_row_is_unanswerable_only_if_all_its_windows_say_so():
    rows = table(ROWS[6:7])
    features = encoded(rows, length=48)
    null = [(index, 0, 5.0) for index in range(len(features))]
    assert SUPERVISION.predict(logits_for(features, null, null), features, TaskRows(rows, LAYOUT)) == [""]
    assert SUPERVISION.predict(logits_for(features, null[1:], null[1:]), features, TaskRows(rows, LAYOUT)) != [""]


def test_spans_are_inside_the_context_and_run_forwards():
    features, red = cat_positions("red")
    _, cat = cat_positions("cat")
    question, end = 1, len(features[0]["input_ids"]) - 1
    starts = [(0, question, 50.0), (0, red, 9.0), (0, cat, 6.0)]
    ends = [(0, end, 50.0), (0, cat, 9.0), (0, red, 5.0)]
    # red → cat (18) runs backwards; red → red has 14, cat → cat 15, cat → red 11.
    outputs = logits_for(features, starts, ends)
    assert SUPERVISION.predict(outputs, features, TaskRows(table(ROWS[-1:]), LAYOUT)) == ["cat"]


def test_the_best_window_wins():
    rows = table(ROWS[:1])
    features = encoded(rows, length=48)
    first, third = (next(i for i, s in enumerate(features[n]["character_starts"]) if s >= 0) for n in (0, 2))
    outputs = logits_for(features, [(0, first, 3.0), (2, third, 4.0)], [(0, first, 3.0), (2, third, 4.0)])
    start, end = features[2]["character_starts"][third], features[2]["character_ends"][third]
    assert SUPERVISION.predict(outputs, features, TaskRows(rows, LAYOUT)) == [TOWER[start:end]]


def test_the_best_span_is_that_of_a_search_over_all_pairs():
    generator = np.random.default_rng(0)
    for length in (1, 5, 29, 30, 31, 80):
        starts, ends = generator.normal(size=(2, length))
        pairs = {(i, j): starts[i] + ends[j] for i in range(length) for j in range(i, min(i + 30, length))}
        first, last = max(pairs, key=pairs.get)
        assert best_span(starts, ends) == (pytest.approx(pairs[first, last]), first, last)


# -- scores ------------------------------------------------------------------------------------------------------------


def test_scores_take_the_best_of_several_answers():
    rows = table([ROWS[-1], ROWS[6], ROWS[6], ROWS[0]])
    # "red mat" is the second answer of the first row; then right and wrong silence; "1884 or so" against "1884": 1 of 3
    # words and 1 of 1, against "in 1884": 1 of 3 and 1 of 2.
    scores = SUPERVISION.score(["red mat!", "", "the storm", "1884 or so"], TaskRows(rows, LAYOUT))
    assert scores == {"exact_match": 2 / 4, "f1": pytest.approx((1 + 1 + 0 + 2 / 4) / 4)}


# -- what is compared --------------------------------------------------------------------------------------------------


def test_divergence_is_the_mean_of_start_and_end_without_padding():
    generator = torch.Generator().manual_seed(0)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    passes = [torch.randn(2, 2, 5, generator=generator) for _ in range(2)]  # start or end, batch, length
    compared = [
        QUESTION_ANSWERING.compared(
            QuestionAnsweringModelOutput(start_logits=start, end_logits=end), {"attention_mask": mask}
        )
        for start, end in passes
    ]
    assert compared[0].shape == (2, 2, 5)
    expected = []
    for row_index, length in enumerate((5, 3)):
        kls = []
        for side in (0, 1):
            p, q = (softmax(logits[side, row_index, :length].double().numpy()) for logits in passes)
            kls.append((rel_entr(p, q) + rel_entr(q, p)).sum())
        expected.append(np.mean(kls))
    assert QUESTION_ANSWERING.distance(*compared).tolist() == pytest.approx(expected, rel=1e-5)


def test_a_model_of_another_kind_is_refused_by_name():
    with pytest.raises(InputError, match=r"start_logits and end_logits .* SequenceClassifierOutput"):
        QUESTION_ANSWERING.compared(SequenceClassifierOutput(logits=torch.ones(2, 3)), {})


# -- training ----------------------------------------------------------------------------------------------------------


class Remembering(AlumTrainer):
    def _log_result(self, result, *rest):
        self.results = [*getattr(self, "results", []), result]
        super()._log_result(result, *rest)


def model(architecture="bert"):
    return headed(SUPERVISION.auto_class, architecture, dropout=0.0, vocab_size=len(TOKENIZER))


def trained_on_questions(tmp_path, features=None, architecture="bert", **settings):
    return trained(
        model(architecture),
        config(tmp_path, **{"max_steps": 2, "per_device_train_batch_size": 8, "learning_rate": 0.01, **settings}),
        encoded() if features is None else features,
        Remembering,
        data_collator=SUPERVISION.collator(TOKENIZER),
        processing_class=TOKENIZER,
        preprocess_logits_for_metrics=SUPERVISION.gathered,
    )


def test_the_kind_follows_from_the_model():
    assert kind_of(model()) is QUESTION_ANSWERING


@pytest.mark.parametrize("side", ["left", "right"])
def test_batches_are_padded_at_the_end(side, monkeypatch):
    monkeypatch.setattr(TOKENIZER, "padding_side", side)
    features = encoded(length=64)
    batch = SUPERVISION.collator(TOKENIZER)(list(features))
    assert set(batch) == {"input_ids", "token_type_ids", "attention_mask", "start_positions", "end_positions"}
    for ids, mask, feature in zip(batch["input_ids"], batch["attention_mask"], features, strict=True):
        assert ids[: mask.sum()].tolist() == feature["input_ids"]
    assert batch["attention_mask"].sum(-1).unique().numel() > 1
    needed = features.select_columns(["input_ids", "attention_mask"])
    assert set(SUPERVISION.collator(TOKENIZER)(list(needed))) == {"input_ids", "attention_mask"}


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "bert"])
def test_every_architecture_trains_and_predicts(tmp_path, architecture):
    features = encoded().remove_columns("token_type_ids")  # GPT-2 would look them up as words
    trainer = trained_on_questions(tmp_path, features, architecture, adv_method="alum", max_steps=1, adv_gain_draws=2)
    assert trainer.kind is QUESTION_ANSWERING
    assert min(logged(trainer, "adversarial_gain")) > 1
    outputs = trainer.predict(features).predictions
    assert len(outputs) == 2
    assert len(SUPERVISION.predict(outputs, features, TaskRows(table(), LAYOUT))) == len(ROWS)


def test_padding_is_not_perturbed(tmp_path):
    trainer = trained_on_questions(tmp_path, encoded(length=64), adv_method="alum", max_steps=1)
    perturbed = trainer.results[0].delta.norm(dim=-1) > 0  # [batch, length]
    lengths = perturbed.sum(-1)
    assert (perturbed == (torch.arange(perturbed.shape[1]) < lengths[:, None])).all()
    assert set(lengths.tolist()) <= {len(ids) for ids in encoded(length=64)["input_ids"]}
    assert lengths.unique().numel() > 1


@pytest.mark.parametrize("name", ["standard", "alum_one_pass", "fgm"])
def test_accumulating_four_small_batches_is_one_large_one(tmp_path, name):
    small, large = (
        weights(trained_on_questions(tmp_path, encoded().select(range(8)), adv_method=name, **batches))
        for batches in ({"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}, {})
    )
    torch.testing.assert_close(small, large, rtol=1e-5, atol=1e-5)


def test_what_is_trained_is_predicted_from_batches_of_unequal_length(tmp_path):
    trainer = trained_on_questions(
        tmp_path,
        encoded(length=64),
        adv_method="alum_one_pass",
        max_steps=150,
        optim="adamw_torch",
        logging_steps=50,
        train_sampling_strategy="group_by_length",
        per_device_eval_batch_size=2,
    )
    features = encoded(length=64)
    predictions = SUPERVISION.predict(trainer.predict(features).predictions, features, TaskRows(table(), LAYOUT))
    assert SUPERVISION.score(predictions, TaskRows(table(), LAYOUT)) == {"exact_match": 1.0, "f1": 1.0}


# -- losses of single features -----------------------------------------------------------------------------------------


def test_the_softplus_of_example_losses_is_the_sum_of_the_starts_and_the_ends_cross_entropy():
    model = headed(SUPERVISION.auto_class, dropout=0.0, vocab_size=len(TOKENIZER))
    (feature,) = encoded(table(ROWS[-1:]))
    inputs = SUPERVISION.collator(TOKENIZER)([feature, feature])
    outputs = model(**inputs)
    losses = QUESTION_ANSWERING.example_losses(outputs, inputs)
    assert losses.shape == (2,)
    torch.testing.assert_close(F.softplus(losses).mean(), 2 * outputs.loss)


def test_an_examples_loss_does_not_depend_on_its_padding():
    model = headed(SUPERVISION.auto_class, dropout=0.0, vocab_size=len(TOKENIZER))
    features = list(encoded(table(ROWS[-2:])))
    collate = SUPERVISION.collator(TOKENIZER)
    together = collate(features)
    found = QUESTION_ANSWERING.example_losses(model(**together), together)
    for feature, loss in zip(features, found, strict=True):
        alone = collate([feature])
        torch.testing.assert_close(QUESTION_ANSWERING.example_losses(model(**alone), alone)[0], loss)


def test_row_scores_are_those_of_single_rows():
    rows = table(ROWS[-2:])
    found = SUPERVISION.row_scores(["the storm", "red mat"], TaskRows(rows, LAYOUT))
    # The second answer, "the red mat", is "red mat" without its article; the first row has no answer.
    assert found == {"exact_match": [0.0, 1.0], "f1": [0.0, 1.0]}
