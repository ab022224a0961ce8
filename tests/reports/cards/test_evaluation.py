import copy

import pytest

from alum.reports.cards.evaluation import add_evaluation
from evaluation_results import evaluation_results
from reading_cards import Card

FRONT = "---\nlibrary_name: transformers\ntags:\n- alum\n---\n"


@pytest.fixture
def model(tmp_path):
    """The folder of a model with a card, and an evaluation of it and of another one."""
    folder = tmp_path / "tuned"
    (folder / "evaluation").mkdir(parents=True)
    (folder / "README.md").write_text(f"{FRONT}\n# A model\n", encoding="utf-8")
    results = copy.deepcopy(evaluation_results())
    results["models"][1]["path"] = str(folder)
    return folder, results


def test_scores_of_the_model_in_whose_folder_the_evaluation_lies_are_on_its_card(model):
    folder, results = model
    name = results["models"][1]["name"]
    add_evaluation(folder / "evaluation", results)
    card = Card(folder)
    assert card.headings == ["A model", "Evaluation"]
    wanted = next(
        score
        for score in results["scores"]
        if (score["model"], score["suite"], score["attack"], score["metric"]) == (name, "sst2", None, "accuracy")
    )
    (found,) = [
        row for row in card.evaluated if row[:3] == ["sst2", "clean", "accuracy"] and row[5] == str(wanted["num_rows"])
    ]
    assert found[3] == f"{100 * wanted['value']:.1f} %"
    assert found[4] == f"{100 * wanted['low']:.1f}–{100 * wanted['high']:.1f}"
    assert any(row[1].startswith("pgd") for row in card.evaluated)
    assert str(folder) not in card.body


def test_a_later_evaluation_takes_the_place_of_the_former(model):
    folder, results = model
    add_evaluation(folder / "evaluation", results)
    once = (folder / "README.md").read_text(encoding="utf-8")
    add_evaluation(folder / "evaluation", results)
    assert (folder / "README.md").read_text(encoding="utf-8") == once
    assert once.count("## Evaluation") == 1
    assert once.startswith(f"{FRONT}\n# A model\n")


def test_an_evaluation_elsewhere_and_cards_of_others_stay_as_they_are(model, tmp_path):
    folder, results = model
    before = (folder / "README.md").read_text(encoding="utf-8")
    add_evaluation(tmp_path / "elsewhere", results)
    assert (folder / "README.md").read_text(encoding="utf-8") == before
    (folder / "README.md").write_text("# By hand\n\n- alum\n", encoding="utf-8")
    add_evaluation(folder / "evaluation", results)
    assert (folder / "README.md").read_text(encoding="utf-8") == "# By hand\n\n- alum\n"
