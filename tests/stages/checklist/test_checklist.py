import json
import re

import pytest
import torch
from scipy.stats import binomtest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from alum.core.errors import InputError
from alum.evaluation.behaviour.lexicons import NEGATIVE_PHRASES, POSITIVE_PHRASES
from alum.evaluation.behaviour.outcomes import Failure, LikelyLabel
from alum.evaluation.behaviour.table import Case
from alum.stages.checklist import run
from alum.stages.checklist.arguments import ChecklistArguments
from alum.stages.checklist.run import _rate_of_several, checklist
from tiny_texts import opinions, write_rows

NUM_ROWS = 24
# The model reads sixteen tokens: five words leave room for a phrase behind them.
ROWS = [{**row, "text": f"{' '.join(row['text'].split()[:4])} ."} for row in opinions(NUM_ROWS, seed=3)]


def run_on(finetuned, file, **settings):
    given = {"text_columns": "text", "label_column": "label", "positive_label": "good", "negative_label": "bad"}
    return checklist(
        ChecklistArguments(model_name_or_path=finetuned.output_dir, validation_file=str(file), **{**given, **settings})
    )


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl", ROWS)


@pytest.fixture(scope="module")
def result(finetuned, rows):
    return run_on(finetuned, rows)


@pytest.fixture(scope="module")
def asked(finetuned):
    """Probabilities of the labels of a text, as far as it is read, by name; `num_unread` of its tokens are not."""
    model = AutoModelForSequenceClassification.from_pretrained(finetuned.output_dir).eval()
    tokenizer = AutoTokenizer.from_pretrained(finetuned.output_dir)

    def asked(text):
        inputs = tokenizer(text, return_tensors="pt", truncation=True)
        with torch.no_grad():
            probabilities = model(**inputs).logits[0].softmax(-1)
        return {model.config.id2label[index]: float(value) for index, value in enumerate(probabilities)}

    def num_unread(text):
        return len(tokenizer.tokenize(text)) + 2 - tokenizer.model_max_length

    asked.num_unread = num_unread
    return asked


def answer(probabilities):
    return max(probabilities, key=probabilities.get)


def test_what_is_said_of_failures_is_what_the_model_says(result, asked):
    shown = 0
    for test in result.tests:
        for one in test.failures:
            after = asked(one.changed[0])
            assert one.after.probability == pytest.approx(after[one.after.label], abs=1e-5)
            before = one.original and asked(one.original[0])
            if test.kind == "invariance":
                assert (one.before.label, one.after.label) == (answer(before), answer(after))
                assert one.before.label != one.after.label
            elif test.kind == "direction":
                assert one.before.label == one.after.label == {"praise_added": "good", "blame_added": "bad"}[test.name]
                assert one.before.probability == pytest.approx(before[one.before.label], abs=1e-5)
                assert one.before.probability - one.after.probability > 0.1
            else:
                assert answer(after) == one.after.label != one.expected
            shown += 1
        assert [one.shortfall for one in test.failures] == sorted(
            (one.shortfall for one in test.failures), reverse=True
        )
    assert shown > 10
    assert {test.kind for test in result.tests} == {"invariance", "direction", "minimum functionality"}


def test_failures_are_counted_as_a_plain_loop_counts_them(result, asked):
    texts = [row["text"] for row in ROWS]
    rates = {test.name: test.rate for test in result.tests}
    ends = [answer(asked(text)) != answer(asked(text.rstrip().rstrip(".").rstrip())) for text in texts]
    assert rates["end_mark"].num_failures == sum(ends)
    for name, label, phrases in (("praise_added", "good", POSITIVE_PHRASES), ("blame_added", "bad", NEGATIVE_PHRASES)):
        falls = []
        for text in texts:
            # The last full stop is the row's own as well.
            found = [asked(f"{text} {one}") for one in phrases if asked.num_unread(f"{text} {one}") <= 1]
            falls += [max(asked(text)[label] - after[label] for after in found)] if found else []
        assert rates[name].num_failures == sum(fall > 0.1 for fall in falls)
        assert rates[name].num_cases == len(falls) > 0
    for rate in rates.values():
        low, high = binomtest(rate.num_failures, rate.num_cases).proportion_ci(method="wilson")
        assert (rate.low, rate.high) == (pytest.approx(low), pytest.approx(high))
        assert rate.failure_rate == rate.num_failures / rate.num_cases


def test_a_capability_is_all_of_its_tests(result):
    for capability, rate in result.capabilities.items():
        own = [test.rate for test in result.tests if test.capability == capability]
        assert rate.num_cases == sum(one.num_cases for one in own)
        assert rate.num_failures == sum(one.num_failures for one in own)
        assert rate.failure_rate == rate.num_failures / rate.num_cases


def test_rows_that_fail_all_tests_of_a_capability_tell_no_more_than_those_of_one():
    """A quarter of 40 rows fails each of three tests: the interval is that of 40 tries; of templates, that of all."""
    failure = Failure(0.1, None, None, ("a",), "good", None, LikelyLabel("bad", 0.6))
    failures = [[failure if number % 4 == 0 else None for number in range(40)]] * 3
    for rows, num_tries in ((range(40), 40), ([None] * 40, 120)):
        cases = [[Case((("a",),), row=row) for row in rows]] * 3
        rate = _rate_of_several(cases, failures)
        assert (rate.num_cases, rate.num_failures) == (120, 30)
        assert rate.high - rate.low == pytest.approx(2 * 1.96 * (0.25 * 0.75 / num_tries) ** 0.5, rel=0.15)


def test_record_page_and_terminal(finetuned, rows, tmp_path, capsys):
    settings = {"tests": ["end_mark", "opinions", "order", "cities"], "output_dir": str(tmp_path / "out")}
    result = run_on(finetuned, rows, **settings)
    shown = capsys.readouterr()
    assert re.search(r"^asking: [\d,]+ texts in \d", shown.err, re.MULTILINE)
    record = json.loads((tmp_path / "out" / "checklist.json").read_text())
    assert [test["name"] for test in record["tests"]] == ["end_mark", "opinions"]
    assert record["left_out"] == {
        "order": "it is of pairs",
        "cities": "no row has what it changes, where the model reads it",
    }
    assert record["labels"] == {"positive": "good", "negative": "bad"}
    for test, own in zip(record["tests"], result.tests, strict=True):
        assert test["rate"]["num_failures"] == own.rate.num_failures == len(test["failures"])
    assert "opinions" in (tmp_path / "out" / "report.html").read_text()
    result.show()
    shown = capsys.readouterr().out
    assert "CheckList of " in shown
    assert "Left out: order, since it is of pairs." in shown


def test_the_same_seed_draws_the_same_texts_and_another_one_others(finetuned, rows, result, monkeypatch):
    assert run_on(finetuned, rows).tests == result.tests
    drawn, asked = [], run._failures
    monkeypatch.setattr(run, "_failures", lambda *given: drawn.append(given[-1]["typo"]) or asked(*given))
    for seed in (0, 0, 1):
        run_on(finetuned, rows, seed=seed, tests=["typo"])
    assert drawn[0] == drawn[1]
    pairs = list(zip(drawn[0], drawn[2], strict=True))
    assert all(one.original == other.original for one, other in pairs)
    assert sum(one.changed != other.changed for one, other in pairs) > len(pairs) / 2


def test_what_is_behind_the_part_that_is_read_is_no_case(finetuned, rows):
    """Of 6 tokens four are of the text, and nothing that is put behind these is read, not even a full stop."""
    result = run_on(finetuned, rows, max_seq_length=6, tests=["web_marks", "praise_added", "end_mark", "typo"])
    assert [test.name for test in result.tests] == ["typo"]
    assert set(result.left_out) == {"web_marks", "praise_added", "end_mark"}
    assert all(len(one.original[0].split()) <= 4 for one in result.tests[0].failures)


def test_pairs_are_asked_in_both_orders_and_beside_themselves(finetuned, tmp_path, asked):
    pairs = [{"one": row["text"], "two": row["text"][4:], "label": row["label"]} for row in ROWS[:8]]
    file = write_rows(tmp_path / "pairs.jsonl", pairs)
    settings = {"text_columns": "one,two", "positive_label": None, "negative_label": None, "same_label": "good"}
    result = run_on(finetuned, file, **settings)
    names = {test.name for test in result.tests}
    assert {"same_text", "typo"} <= names
    assert names.isdisjoint({"web_marks", "opinions", "order"})
    assert result.left_out["negated_copy"] == "its sentences are longer than the model reads"
    assert "the order says nothing" in result.left_out["order"]
    assert "web_marks" not in result.left_out, "it is of single texts, and was not asked for"
    same = next(test for test in result.tests if test.name == "same_text")
    assert same.rate.num_cases == 8
    assert same.num_texts == 16
    assert all(one.changed[0] == one.changed[1] for one in same.failures)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tests": ["typos"]}, "unknown test 'typos'.*Did you mean 'typo'"),
        ({"positive_label": "fine"}, "unknown label 'fine'"),
        ({"positive_label": "bad"}, "are both 'bad': name two"),
        ({"tests": ["order"]}, "no test is left: order: it is of pairs"),
        ({"num_examples": -1}, "num_examples must be 0 or more"),
    ],
)
def test_what_cannot_be_tested_is_refused(finetuned, rows, settings, message):
    with pytest.raises(InputError, match=message):
        run_on(finetuned, rows, **settings)
