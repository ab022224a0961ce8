import json
import re
import signal

import jsonschema
import pytest
import torch
from sklearn.metrics import log_loss
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertModel

from alum.attacks.text.protocol import AttackResult, Change
from alum.attacks.text.typing_noise import with_typing_errors
from alum.attacks.text.worded import Place, WordedText, in_case_of
from alum.core.errors import InputError
from alum.evaluation.scores.row_records import RowRecords
from alum.evaluation.validity.kept_meaning import VALIDITY_FIELDS, KeptMeaning
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.attacking.attack_resources import AttackResources
from alum.stages.evaluation.run import GAIN_METHODS, evaluate
from alum.stages.runs.stopping import Interrupted
from places import ROOT
from tiny_stages import log_lines, record, save_untrained
from tiny_texts import _BAD, _GOOD, opinions, tree, write_rows

COLUMNS = {"text_columns": "text", "label_column": "label"}


@pytest.fixture
def measure(finetuned, opinions_folder):
    """Evaluates the fine-tuned model, by default on the rows that it was validated on and without attacks."""

    def measure(file=None, **settings):
        defaults = {
            "model_name_or_path": [finetuned.output_dir],
            "validation_file": str(file or opinions_folder / "validation.jsonl"),
            "attacks": ["none"],
            "check_gradient_masking": False,
            **COLUMNS,
        }
        return evaluate(EvaluateArguments(**{**defaults, **settings}))

    return measure


def with_outputs_swapped(finetuned, folder):
    """The fine-tuned model with its labels' names the other way round: it has the other answers."""
    model = AutoModelForSequenceClassification.from_pretrained(finetuned.output_dir)
    model.config.id2label, model.config.label2id = {0: "good", 1: "bad"}, {"good": 0, "bad": 1}
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).symlink_to(f"{finetuned.output_dir}/{name}")
    return str(folder)


# -- scores ------------------------------------------------------------------------------------------------------------


def test_clean_accuracy_is_that_of_fine_tuning(measure, finetuned):
    result = measure(per_device_eval_batch_size=7)
    assert result.score("accuracy") == finetuned.metrics["accuracy"]


def test_typing_errors_are_those_of_a_mistyped_file(measure, tmp_path):
    rows = opinions(32, seed=1)
    file = write_rows(
        tmp_path / "mistyped.jsonl", [{**row, "text": with_typing_errors(row["text"], 0.3, seed=4)} for row in rows]
    )
    typing = measure(attacks=["typing"], typing_error_rate=0.3, seed=4).score("robust_accuracy", "typing")
    assert typing == measure(file).score("accuracy")
    assert typing < 1


def test_misspellings_are_those_of_a_file_in_which_every_listed_word_is_misspelled(measure, tmp_path):
    rows = opinions(32, seed=1)
    words = sorted({word for row in rows for word in WordedText.of(row["text"]).words if len(word) > 1})
    wrong = {word.lower(): word.lower()[::-1] + "q" for word in words}
    listed = tmp_path / "list.txt"
    listed.write_text("".join(f"{word} {other}\n" for word, other in wrong.items()))
    changed = [
        {**row, "text": re.sub(r"\w\w+", lambda found: in_case_of(found[0], wrong[found[0].lower()]), row["text"])}
        for row in rows
    ]
    settings = {"attacks": ["misspellings"], "misspellings": str(listed)}
    all_words = measure(misspelled_word_share=1.0, **settings).score("robust_accuracy", "misspellings")
    assert all_words == measure(write_rows(tmp_path / "misspelled.jsonl", changed)).score("accuracy")
    assert all_words < measure(misspelled_word_share=0.1, **settings).score("robust_accuracy", "misspellings")


def test_a_large_radius_breaks_the_model_and_a_small_one_does_not(measure):
    result = measure(attacks=["pgd"], epsilons=[1.0, 1e-4])
    assert result.score("robust_accuracy", "pgd", 1e-4) > 0.9
    assert result.score("robust_accuracy", "pgd", 1.0) < 0.1


def test_a_terminated_evaluation_keeps_its_rows_and_says_so(measure, tmp_path, monkeypatch):
    """SIGTERM comes once the second suite's clean rows are kept."""
    add = RowRecords.add

    def add_and_end(records, rows):
        add(records, rows)
        if records._path.parent.name == "b":
            signal.raise_signal(signal.SIGTERM)

    file = write_rows(tmp_path / "rows.jsonl", opinions(8))
    settings = {"validation_file": None, "suites": [f"a={file}", f"b={file}"], "output_dir": str(tmp_path / "out")}
    with monkeypatch.context() as patched:
        patched.setattr(RowRecords, "add", add_and_end)
        with pytest.raises(Interrupted, match="the same command goes on") as stopped:
            measure(**settings)
    assert stopped.value.exit_code == 143
    assert sum(len(log_lines(path)) for path in tmp_path.glob("out/rows/*/*/clean.jsonl")) == 9
    assert measure(**settings).score("accuracy", suite="b") == measure(file).score("accuracy")


def test_the_gain_tells_adversaries_from_noise(measure):
    gains = {row["method"]: row["gain"] for row in measure(adversarial_gain=True).results["gains"]}
    assert tuple(gains) == GAIN_METHODS
    assert gains["alum"] > 10
    assert gains["alum_one_pass"] > 10
    assert gains["alum_released"] < 2


def test_an_attack_on_texts_changes_words_until_the_answer_turns(measure, finetuned):
    result = measure(attacks=["deepwordbug"], max_attacked_samples=12)
    robust, rate = (result.score(name, "deepwordbug") for name in ("robust_accuracy", "attack_success_rate"))
    assert 0 < rate <= 1
    attacked = [row for row in result.results["scores"] if row["metric"] == "robust_accuracy"]
    assert [row["num_rows"] for row in attacked] == [12]
    # Where every row was right before, failed / all is one less succeeded / tried.
    assert finetuned.metrics["accuracy"] == 1
    assert robust == pytest.approx(1 - rate)
    for example in result.results["examples"]:
        (before,), (after,) = example["original"], example["perturbed"]
        assert (before != after) == bool(example["changes"])
        assert example["before"] == example["label"]
        assert (example["after"] != example["label"]) == (example["outcome"] == "succeeded")
        # What it says of the perturbed text is what the model says when it is asked.
        answers = example["after_probabilities"]
        assert max(answers, key=answers.__getitem__) == example["after"]


def test_every_attack_by_other_words_says_what_is_left_of_the_meaning(measure, tmp_path):
    """Of each example the figures are those of the same texts, asked about anew, one at a time."""
    names, adjectives = ["textfooler", "a2t", "bert_attack", "hotflip"], (*_GOOD, *_BAD)
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("".join(f"{word} 1 {number / 100}\n" for number, word in enumerate(adjectives)))
    models = {name: str(save_untrained(tmp_path / name)) for name in ("masked_lm", "similarity_model")}
    BertModel.from_pretrained(models["similarity_model"]).save_pretrained(models["similarity_model"])
    settings = {"word_vectors": str(vectors), "min_similarity": -1.0, **models}
    result = measure(attacks=names, max_attacked_samples=8, **settings)
    arguments = EvaluateArguments(model_name_or_path=["m"], **settings)
    resources = AttackResources(arguments, [])
    meaning = KeptMeaning(resources.similarity, resources.word_losses)
    found = dict.fromkeys(names, 0)
    for example in result.results["examples"]:
        changes = tuple(Change(Place(one["text"], one["word"]), one["old"], one["new"]) for one in example["changes"])
        texts = (tuple(example["original"]), tuple(example["perturbed"]))
        again = meaning.of(AttackResult(*texts, "succeeded", (), (), 1, 1, changes), (-1,))
        assert {name: example[name] for name in VALIDITY_FIELDS} == pytest.approx(again, rel=1e-4)
        found[example["attack"]] += bool(changes)
        if example["attack"] in ("textfooler", "a2t", "hotflip"):
            assert {change.new for change in changes} <= set(adjectives)
    assert min(found.values()) > 0
    schema = json.loads((ROOT / "docs" / "results.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(json.dumps(result.results)), schema)
    for name in ("textfooler", "a2t"):
        values = [
            e["similarity"] for e in result.results["examples"] if e["attack"] == name and e["outcome"] == "succeeded"
        ]
        assert result.score("similarity", name) == pytest.approx(sum(values) / len(values))


# -- calibration -------------------------------------------------------------------------------------------------------


@pytest.fixture
def partly_wrong(tmp_path):
    """Rows of which the model gets about a quarter wrong, since their label is."""
    rows = opinions(64, seed=2)
    flipped = {"good": "bad", "bad": "good"}
    return write_rows(
        tmp_path / "partly_wrong.jsonl",
        [{**row, "label": flipped[row["label"]] if i % 4 == 1 else row["label"]} for i, row in enumerate(rows)],
    )


def with_logits_times(finetuned, folder, scale):
    model = AutoModelForSequenceClassification.from_pretrained(finetuned.output_dir)
    with torch.no_grad():
        model.classifier.weight *= scale
        model.classifier.bias *= scale
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).symlink_to(f"{finetuned.output_dir}/{name}")
    return str(folder)


def calibrations(result):
    return {(entry["model"], entry["attack"]): entry for entry in result.results["calibration"]}


def values(level):
    return {name: found["value"] for name, found in level.items() if name != "bins"}


def test_likelihoods_are_those_of_the_models_own_probabilities(measure, finetuned, partly_wrong):
    result = measure(partly_wrong, attacks=["typing", "deepwordbug"], max_attacked_samples=12)
    found = {attack: entry for (_, attack), entry in calibrations(result).items()}
    assert {attack: entry["num_rows"] for attack, entry in found.items()} == {None: 64, "typing": 64, "deepwordbug": 12}
    rows = [json.loads(line) for line in partly_wrong.read_text().splitlines()]
    model = AutoModelForSequenceClassification.from_pretrained(finetuned.output_dir).eval()
    tokenizer = AutoTokenizer.from_pretrained(finetuned.output_dir)
    with torch.no_grad():
        inputs = tokenizer([row["text"] for row in rows], padding=True, truncation=True, return_tensors="pt")
        logits = model(**inputs).logits
    labels = [model.config.label2id[row["label"]] for row in rows]
    expected = log_loss(labels, logits.double().softmax(-1))
    assert found[None]["raw"]["negative_log_likelihood"]["value"] == pytest.approx(expected, rel=1e-4)
    assert result.score("log_likelihood") == pytest.approx(-expected, rel=1e-4)
    # Wrong rows of which the model is as sure as of right ones.
    assert found[None]["temperature"] > 1
    raw, after = (values(found[None][level])["negative_log_likelihood"] for level in ("raw", "after_temperature"))
    assert raw > after
    attacked = -result.score("robust_log_likelihood", "deepwordbug")
    assert attacked == pytest.approx(values(found["deepwordbug"]["raw"])["negative_log_likelihood"])
    # Of the perturbed texts, as the examples show them, and of rows that were wrong before.
    examples = {example["row"]: example for example in result.results["examples"]}
    (score,) = [
        row
        for row in result.results["scores"]
        if (row["metric"], row["attack"]) == ("robust_log_likelihood", "deepwordbug")
    ]
    assert score["value"] < score["clean"]["value"]
    for row, example in examples.items():
        (text,) = example["perturbed"]
        with torch.no_grad():
            probabilities = (
                model(**tokenizer(text, truncation=True, max_length=16, return_tensors="pt"))
                .logits.double()
                .softmax(-1)[0]
            )
        label = example["label"]
        assert label == rows[row - 1]["label"]
        right = float(probabilities[model.config.label2id[label]])
        assert example["after_probabilities"][label] == pytest.approx(right, abs=1e-5)


def test_too_large_logits_hide_nothing_from_pgd_and_show_in_the_temperature(measure, finetuned, partly_wrong, tmp_path):
    scaled = with_logits_times(finetuned, tmp_path / "scaled", 300)
    result = measure(
        partly_wrong,
        model_name_or_path=[f"plain={finetuned.output_dir}", f"scaled={scaled}"],
        attacks=["pgd", "deepwordbug"],
        epsilons=[0.3, 0.4, 0.5, 0.6],
        max_attacked_samples=24,
    )
    found = calibrations(result)
    plain, of_scaled = found["plain", None], found["scaled", None]
    assert of_scaled["temperature"] == pytest.approx(300 * plain["temperature"], rel=1e-3)
    assert values(of_scaled["raw"])["negative_log_likelihood"] > 30 * values(plain["raw"])["negative_log_likelihood"]
    after = [values(found[model, None]["after_temperature"]) for model in ("plain", "scaled")]
    assert after[1] == pytest.approx(after[0], rel=1e-3)
    # Attacks take other ways where probabilities are 0 and 1; what they leave is of one size after the temperature.
    for attack in ("pgd", "deepwordbug"):
        levels = found["scaled", attack]["raw"], found["scaled", attack]["after_temperature"]
        raw, scaled_after = (values(level)["negative_log_likelihood"] for level in levels)
        assert raw > 30 * scaled_after
        plain_after = values(found["plain", attack]["after_temperature"])["negative_log_likelihood"]
        assert scaled_after == pytest.approx(plain_after, rel=0.25)
    curves = [
        [result.score("robust_accuracy", "pgd", epsilon, model=model) for epsilon in (0.3, 0.4, 0.5, 0.6)]
        for model in ("plain", "scaled")
    ]
    assert curves[1] == pytest.approx(curves[0], abs=1 / 24)
    assert curves[0][0] > curves[0][-1] + 0.3
    compared = {(entry["metric"], entry["attack"]): entry for entry in result.results["comparisons"]}
    assert compared["accuracy", None]["difference"] == 0
    likelihood = compared["log_likelihood", None]
    assert likelihood["difference"] < -10
    assert (likelihood["test"], likelihood["p_value"] < 0.01) == ("permutation", True)


def test_rows_that_were_kept_without_logits_are_measured_again(measure, partly_wrong, tmp_path):
    folder, settings = tmp_path / "out", {"attacks": ["typos"], "max_eval_samples": 12}
    whole = measure(partly_wrong, output_dir=str(folder), **settings).results
    for path in folder.glob("rows/*/*/*.jsonl"):
        kept = [{k: v for k, v in line.items() if k != "logits"} for line in log_lines(path)]
        path.write_text("".join(json.dumps(line) + "\n" for line in kept))
    again = measure(partly_wrong, output_dir=str(folder), **settings).results
    assert again["calibration"] == whole["calibration"]
    assert len(log_lines(next(folder.glob("rows/*/*/clean.jsonl")))) == 24


# -- several models and suites -----------------------------------------------------------------------------------------


def test_models_are_compared_row_by_row_with_the_first(measure, finetuned, tmp_path):
    other = with_outputs_swapped(finetuned, tmp_path / "model")
    result = measure(
        model_name_or_path=[f"right={finetuned.output_dir}", f"wrong={other}", f"same={finetuned.output_dir}"]
    )
    found = {row["model"]: row for row in result.results["comparisons"] if row["metric"] == "accuracy"}
    accuracy = finetuned.metrics["accuracy"]
    assert found["wrong"]["difference"] == pytest.approx(1 - 2 * accuracy)
    assert found["wrong"]["p_value"] == pytest.approx(0.5**32)  # McNemar's mid-p, all 32 rows against one side
    assert found["wrong"]["p_adjusted"] == pytest.approx(2 * 0.5**32)  # of two comparisons the clearer
    assert (found["same"]["difference"], found["same"]["p_value"]) == (0, 1)
    assert {row["baseline"] for row in found.values()} == {"right"}


def test_models_without_names_have_as_much_of_their_paths_as_tells_them_apart(measure, finetuned, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model").symlink_to(finetuned.output_dir)
    result = measure(model_name_or_path=[str(tmp_path / "a" / "model"), str(tmp_path / "b" / "model")])
    assert [model["name"] for model in result.results["models"]] == ["a-model", "b-model"]


def test_each_suite_is_measured_and_only_the_chosen_ones_attacked(measure, opinions_folder):
    suites = [f"first={opinions_folder / 'validation.jsonl'}", f"second={opinions_folder / 'train.jsonl'}"]
    result = measure(validation_file=None, suites=suites, attacks=["typing"], attacked_suites=["second"])
    assert {(row["suite"], row["attack"]) for row in result.results["scores"]} == {
        ("first", None),
        ("second", None),
        ("second", "typing"),
    }


def test_suites_by_name_are_found_in_the_data_folder(measure, opinions_folder, tmp_path):
    (tmp_path / "first").symlink_to(opinions_folder)
    (tmp_path / "second.jsonl").symlink_to(opinions_folder / "train.jsonl")
    result = measure(validation_file=None, suites=["first", "second"], data_dir=str(tmp_path))
    assert [suite["num_rows"] for suite in result.results["suites"]] == [32, 96]


# -- records -----------------------------------------------------------------------------------------------------------


def test_results_report_and_rows_are_written(measure, tmp_path):
    folder = tmp_path / "out"
    result = measure(attacks=["pgd", "typos"], epsilons=[0.1], max_eval_samples=8, output_dir=str(folder))
    assert record(folder / "results.json") == json.loads(json.dumps(result.results))
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    (model,) = result.results["models"]
    rows = folder / "rows" / model["name"] / "validation"
    assert {path.name for path in rows.iterdir()} == {"clean.jsonl", "pgd-0.1.jsonl", "typos.jsonl"}
    numbers = [line["row"] for line in log_lines(rows / "clean.jsonl")]
    assert len(numbers) == 8
    assert sorted(line["row"] for line in log_lines(rows / "typos.jsonl")) == numbers


def row_number(line):
    return line["row"]


@pytest.mark.parametrize("measured", ["clean", "pgd-0.1", "deepwordbug"])
def test_what_was_measured_before_a_stop_is_not_measured_again(measure, tmp_path, measured):
    folder, settings = tmp_path / "out", {"attacks": ["pgd", "deepwordbug"], "epsilons": [0.1], "max_eval_samples": 12}
    whole = measure(output_dir=str(folder), **settings).results
    (path,) = folder.glob(f"rows/*/*/{measured}.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    # A score that no model gave stands in what is kept: if it comes back, its row was not measured again.
    kept = json.loads(lines[0])
    kept["scores"]["accuracy"] = -7.0
    path.write_bytes(json.dumps(kept).encode() + b"\n" + b"".join(lines[1:5]) + lines[5][:20])
    (folder / "results.json").unlink()
    again = measure(output_dir=str(folder), **settings).results
    assert again["elapsed_seconds"] > whole["elapsed_seconds"]
    after = path.read_bytes().splitlines(keepends=True)
    assert json.loads(after[0]) == kept
    assert after[1:5] == lines[1:5]
    # Probabilities depend in their last digits on which rows are in a batch together.
    expected = [json.loads(line, parse_float=lambda text: pytest.approx(float(text), abs=1e-5)) for line in lines[5:]]
    assert sorted(map(json.loads, after[5:]), key=row_number) == sorted(expected, key=row_number)
    former = json.loads(lines[0])["scores"]["accuracy"]

    def means(results):
        return {
            (row["attack"], row["metric"]): row["value"]
            for row in results["scores"]
            if row["metric"].endswith("accuracy")
        }

    changed = {key for key, value in means(whole).items() if means(again)[key] != value}
    (key,) = changed
    assert means(again)[key] == pytest.approx(means(whole)[key] + (-7.0 - former) / 12)


def test_other_settings_do_not_go_on_with_the_records(measure, tmp_path):
    folder = tmp_path / "out"
    measure(output_dir=str(folder))
    with pytest.raises(InputError, match=r"cannot go on with other settings: typing_error_rate was 0.05 and is 0.2"):
        measure(output_dir=str(folder), typing_error_rate=0.2)


def test_other_rows_in_the_same_file_are_noticed(measure, tmp_path):
    file, folder = write_rows(tmp_path / "rows.jsonl", opinions(8)), tmp_path / "out"
    measure(file, output_dir=str(folder))
    write_rows(file, opinions(8, seed=1))
    with pytest.raises(InputError, match=r"cannot go on with other settings: rows was"):
        measure(file, output_dir=str(folder))


def test_another_model_in_the_same_place_is_noticed(measure, finetuned, tmp_path):
    place, folder = tmp_path / "model", tmp_path / "out"
    place.symlink_to(finetuned.output_dir)
    measure(model_name_or_path=[str(place)], output_dir=str(folder))
    place.unlink()
    place.mkdir()
    model = AutoModelForSequenceClassification.from_pretrained(finetuned.output_dir)
    model.classifier.bias.data += 1
    model.save_pretrained(place)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (place / name).symlink_to(f"{finetuned.output_dir}/{name}")
    with pytest.raises(InputError, match=r"is not the model .* began with"):
        measure(model_name_or_path=[str(place)], output_dir=str(folder))


def test_a_folder_of_something_else_is_left_alone(measure, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"already holds what .* has not begun.* --overwrite_output_dir"):
        measure(output_dir=str(tmp_path))
    assert tree(tmp_path) == {"notes.txt": b"mine"}


def test_records_of_two_names_are_never_in_one_folder(measure, finetuned):
    with pytest.raises(InputError, match=r"records of a b and A_b would be in one folder"):
        measure(model_name_or_path=[f"a b={finetuned.output_dir}", f"A_b={finetuned.output_dir}"])


def test_all_models_are_looked_at_before_any_is_measured(measure, finetuned, tmp_path, capsys):
    with pytest.raises(InputError, match="nowhere"):
        measure(model_name_or_path=[finetuned.output_dir, str(tmp_path / "nowhere")], output_dir=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert "clean" not in capsys.readouterr().err


# -- labels ------------------------------------------------------------------------------------------------------------


def test_a_file_may_show_only_some_of_the_labels(measure, tmp_path):
    rows = [row for row in opinions(32, seed=1) if row["label"] == "good"]
    assert measure(write_rows(tmp_path / "good.jsonl", rows)).score("accuracy") > 0.8


def test_labels_are_matched_by_name_not_by_order(measure, finetuned, tmp_path):
    swapped = measure(model_name_or_path=[with_outputs_swapped(finetuned, tmp_path / "model")])
    assert swapped.score("accuracy") == pytest.approx(1 - finetuned.metrics["accuracy"])


def test_labels_that_the_model_does_not_know_are_refused(measure, tmp_path):
    rows = [{**row, "label": f"very {row['label']}"} for row in opinions(4)]
    with pytest.raises(InputError, match=r"outputs are bad, good, but the labels of rows are very bad, very good"):
        measure(write_rows(tmp_path / "rows.jsonl", rows))


def test_numbers_are_no_labels(measure, tmp_path):
    rows = [{"text": "the cat", "label": 0.5}, {"text": "the dog", "label": 1.5}]
    with pytest.raises(InputError, match=r"outputs are bad, good, but the labels of .* are numbers"):
        measure(write_rows(tmp_path / "rows.jsonl", rows))


# -- hard texts --------------------------------------------------------------------------------------------------------

HARD_TEXTS = {
    "markup": "<script>alert(1)</script> the <b>warm</b> cat & dog",
    "control characters": "the \x00warm\x1b[31m cat\x07 \u2028likes the dog",
    "right to left": "\u202ethe warm\u202c القط يحب الكلب",
    "10,000 words": " ".join(["the warm cat likes the gentle dog ."] * 1250),
    "no words": "... !!!",
    "emoji": "the warm 🐈\u200d⬛ likes 👩‍👩‍👧",
}


def test_hard_texts_are_attacked_like_any_other(measure, tmp_path):
    rows = [{"text": text, "label": "bad"} for text in HARD_TEXTS.values()] + opinions(2)
    folder = tmp_path / "out"
    file = write_rows(tmp_path / "hard.jsonl", rows)
    result = measure(
        file, attacks=["typing", "pgd", "deepwordbug"], epsilons=[0.1], max_queries=40, output_dir=str(folder)
    )
    assert {row["num_rows"] for row in result.results["scores"] if row["metric"].endswith("accuracy")} == {len(rows)}
    assert "<script>alert" not in (folder / "report.html").read_text(encoding="utf-8")


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_model_without_a_trained_head_is_not_measured(measure, tmp_path):
    with pytest.raises(InputError, match=r"has not been fine-tuned: it lacks .*classifier\.weight"):
        measure(model_name_or_path=[str(save_untrained(tmp_path / "model"))])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"attacks": ["noise"]}, "unknown attack 'noise': expected one of typing, misspellings, pgd, deepwordbug"),
        ({"attacks": ["pgd"], "epsilons": [0.0]}, "epsilons must be above 0 and finite, not 0.0"),
        ({"num_steps": 0}, "num_steps must be 1 or more, not 0"),
        ({"typing_error_rate": 1.5}, r"typing_error_rate must lie in \[0, 1\], not 1.5"),
        ({"misspelled_word_share": 0.0}, r"misspelled_word_share must lie in \(0, 1\], not 0.0"),
        ({"validation_file": None}, "nothing to measure on: give --suites"),
        ({"suites": ["imdb"]}, "'imdb'"),
        ({"attacked_suites": ["other"]}, "unknown attacked suite 'other': expected one of validation"),
        ({"model_name_or_path": ["a=x", "a=y"]}, "two models are called a"),
        ({"attacks": ["masked_lm"]}, "the attack masked_lm needs .* --masked_lm"),
        ({"attacks": ["typing", "textfooler"], "word_vectors": "nowhere.txt"}, r"nowhere\.txt"),
        ({"attacks": ["typing", "wordnet"], "wordnet_dir": "nowhere"}, "nowhere"),
        ({"attacks": ["misspellings"]}, "the attack misspellings needs a list of misspellings: .* --misspellings"),
        ({"attacks": ["misspellings"], "misspellings": "nowhere.txt"}, r"no file at nowhere\.txt"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_written(measure, bad, message, tmp_path):
    with pytest.raises(InputError, match=message):
        measure(output_dir=str(tmp_path / "results"), **bad)
    assert not (tmp_path / "results").exists()


def test_an_empty_file_is_refused(measure, tmp_path):
    (tmp_path / "rows.jsonl").write_text("")
    with pytest.raises(InputError, match=r"rows.jsonl"):
        measure(tmp_path / "rows.jsonl")
