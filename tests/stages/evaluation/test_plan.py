import pytest

from alum.core.errors import InputError
from alum.stages.evaluation.arguments import EvaluateArguments
from alum.stages.evaluation.plan import plan_of
from tiny_texts import opinions, write_rows


@pytest.fixture
def rows(tmp_path):
    return str(write_rows(tmp_path / "rows.jsonl", opinions(8)))


def plan(rows, **settings):
    defaults = {"model_name_or_path": ["m"], "validation_file": rows, "text_columns": "text", "label_column": "label"}
    return plan_of(EvaluateArguments(**{**defaults, **settings}))


@pytest.mark.parametrize(
    ("specs", "names"),
    [
        (["runs/a"], ["a"]),
        (["runs/a", "runs/b"], ["a", "b"]),
        (["runs/1/model", "runs/2/model"], ["1-model", "2-model"]),
        (["base=runs/a", "org/name"], ["base", "name"]),
    ],
)
def test_models_are_named_by_what_tells_their_paths_apart(rows, specs, names):
    found = plan(rows, model_name_or_path=specs).models
    assert list(found) == names
    assert list(found.values()) == [spec.split("=")[-1] for spec in specs]


def test_a_path_with_an_equals_sign_that_is_there_is_a_path(rows, tmp_path):
    folder = tmp_path / "lr=3"
    folder.mkdir()
    assert plan(rows, model_name_or_path=[str(folder)]).models == {"lr=3": str(folder)}


@pytest.mark.parametrize("spec", ["=runs", "", " =runs"])
def test_a_model_without_a_name_is_refused(rows, spec):
    with pytest.raises(InputError, match=f"expected a model as a folder, an id or NAME=PATH, not '{spec}'"):
        plan(rows, model_name_or_path=[spec])


def test_radii_rise_and_are_there_once(rows):
    (attack,) = plan(rows, attacks=["pgd"], epsilons=[0.3, 0.1, 0.3]).attacks
    assert attack.settings["epsilons"] == [0.1, 0.3]


def test_attacks_may_be_written_with_commas(rows):
    assert [attack.name for attack in plan(rows, attacks=["typing,pgd", "typos"]).attacks] == ["typing", "pgd", "typos"]


def test_rows_are_known_by_their_content(rows, tmp_path):
    digest = plan(rows).digests()["rows"]
    (tmp_path / "again").mkdir()
    again = tmp_path / "again" / "rows.jsonl"
    assert plan(str(write_rows(again, opinions(8)))).digests() == {"rows": digest}
    assert plan(str(write_rows(again, opinions(8, seed=1)))).digests()["rows"] != digest


def test_an_attack_by_gradients_fits_classifiers_alone(tmp_path):
    file = write_rows(tmp_path / "stsb.jsonl", [{"sentence1": "a b", "sentence2": "a", "label": 0.5}] * 2)
    with pytest.raises(InputError, match="hotflip attacks classifiers, but stsb is regression"):
        plan_of(EvaluateArguments(model_name_or_path=["m"], suites=[f"stsb={file}"], attacks=["hotflip"]))


TAGGED = {"words": ["the", "cat"], "tags": ["other", "noun"]}
PROMPTED = {"prompt": "the cat", "completion": "likes the dog"}
TAGGER = {"kind": "token_classification", "text_columns": "words", "label_column": "tags"}
COMPLETER = {"kind": "causal_lm", "text_columns": "prompt", "label_column": "completion"}


@pytest.mark.parametrize(
    ("row", "columns", "attack", "whom"),
    [
        (TAGGED, TAGGER, "deepwordbug", "texts of sequence_classification, .*but rows is token classification"),
        (PROMPTED, COMPLETER, "deepwordbug", "texts of sequence_classification, .*but rows is causal lm"),
        (TAGGED, TAGGER, "pgd", "the loss of each row, but rows is token classification"),
        (PROMPTED, COMPLETER, "pgd", "the loss of each row, but rows is causal lm"),
        (TAGGED, TAGGER, "typing", "columns of text, but rows is token classification"),
        (PROMPTED, {**COMPLETER, "text_columns": None}, "typing", "columns of text, but rows is causal lm"),
    ],
)
def test_attacks_that_do_not_fit_are_refused_before_a_model_is_loaded(tmp_path, row, columns, attack, whom):
    file = str(write_rows(tmp_path / "rows.jsonl", [row] * 2))
    missing = str(tmp_path / "no model")
    with pytest.raises(InputError, match=f"{attack} attacks {whom}: leave it out.*--attacks none"):
        plan(file, model_name_or_path=[missing], attacks=[attack], **columns)
    assert plan(file, model_name_or_path=[missing], attacks=["none"], **columns).attacks == ()


def test_prompts_may_be_mistyped(tmp_path):
    file = str(write_rows(tmp_path / "rows.jsonl", [PROMPTED] * 2))
    assert [attack.name for attack in plan(file, attacks=["typing"], **COMPLETER).attacks] == ["typing"]


def test_the_gain_needs_losses(tmp_path):
    file = str(write_rows(tmp_path / "rows.jsonl", [TAGGED] * 2))
    with pytest.raises(InputError, match="rows is token classification: leave --adversarial_gain out"):
        plan(file, attacks=["none"], adversarial_gain=True, **TAGGER)


def test_suites_of_different_kinds_are_refused(rows, tmp_path):
    row = {"premise": "a b", "question": "cause", "choice1": "a", "choice2": "b", "label": 1}
    file = write_rows(tmp_path / "copa.jsonl", [row])
    with pytest.raises(InputError, match=r"copa \(multiple_choice\), rows \(sequence_classification\).*them apart"):
        plan(rows, suites=[f"copa={file}"])


def test_suites_of_one_name_are_refused(rows, tmp_path):
    with pytest.raises(InputError, match="each suite needs a name of its own"):
        plan(rows, suites=[f"rows={rows}"])


@pytest.mark.parametrize(
    ("settings", "in_no_headline"),
    [
        ({}, {"hotflip", "masked_lm", "bert_attack"}),
        ({"similarity_model": "encoder"}, {"hotflip"}),
        ({"similarity_model": "encoder", "min_similarity": 0.9}, {"hotflip"}),
        ({"similarity_model": "encoder", "min_similarity": -1.0}, {"hotflip", "masked_lm", "bert_attack"}),
        ({"word_vectors": "vectors.txt"}, {"masked_lm", "bert_attack"}),
        ({"word_vectors": "vectors.txt", "similarity_model": "encoder"}, set()),
    ],
)
def test_attacks_that_nothing_keeps_near_in_meaning_may_change_the_label(rows, settings, in_no_headline):
    """An encoder whose bound was lowered only measures."""
    names = ["hotflip", "masked_lm", "bert_attack", "deepwordbug", "wordnet"]
    names += ["textfooler", "a2t"] if "word_vectors" in settings else []
    planned = plan(rows, attacks=names, masked_lm="lm", wordnet_dir="wordnet", **settings)
    assert {attack.name for attack in planned.attacks if attack.may_change_label} == in_no_headline
    used = {attack.name: attack.settings for attack in planned.attacks}
    assert used["hotflip"]["word_vectors"] == settings.get("word_vectors")
    assert used["hotflip"]["wordnet_dir"] == "wordnet"


@pytest.mark.parametrize("names", [["none", "typing"], ["typing,none"]])
def test_no_attack_stands_alone(rows, names):
    with pytest.raises(InputError, match="attacks none stands alone, not with others: leave it out of"):
        plan(rows, attacks=names)
    assert plan(rows, attacks=["none", "none"]).attacks == ()


@pytest.mark.parametrize(
    ("attacks", "settings", "said"),
    [
        (["typing"], {"masked_lm": "nowhere"}, "masked_lm nowhere has no effect on typing: leave it out"),
        (["typing", "pgd"], {"similarity_model": "m"}, "similarity_model m has no effect on typing, pgd: leave it out"),
        (["typing", "typos"], {"misspellings": "m"}, "misspellings m has no effect on typing, typos: leave it out"),
        (["none"], {"word_vectors": "v"}, "word_vectors v has no effect on an evaluation without attacks"),
        (["masked_lm"], {"masked_lm": "m", "wordnet_dir": "d"}, "wordnet_dir d has no effect on masked_lm: leave it"),
    ],
)
def test_what_no_attack_needs_or_uses_is_refused(rows, attacks, settings, said):
    with pytest.raises(InputError, match=said):
        plan(rows, attacks=attacks, **settings)


def test_a_masked_language_model_and_an_encoder_measure_what_any_attack_on_texts_has_changed(rows):
    assert plan(rows, attacks=["deepwordbug"], masked_lm="m", similarity_model="e").attacks


def test_word_vectors_are_asked_for_by_their_flag(rows):
    for attack in ("textfooler", "a2t"):
        with pytest.raises(InputError, match=r"needs vectors of words .* --word_vectors"):
            plan(rows, attacks=[attack])


def test_named_columns_are_of_rows_of_ones_own_and_not_of_suites_beside_them(rows, tmp_path):
    of_suite = write_rows(tmp_path / "suite.jsonl", [{"sentence": "a", "label": 1, "text": "b", "idx": 3}])
    suites = plan(rows, suites=[f"sst2={of_suite}"]).suites
    assert {suite.name: suite.rows.texts()[0] for suite in suites}["sst2"] == ["a"]
    with pytest.raises(InputError, match=r"--text_columns and --label_column would be of sst2, cola alike"):
        plan(rows, validation_file=None, suites=[f"sst2={of_suite}", f"cola={of_suite}"])
