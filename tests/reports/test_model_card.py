import yaml

from alum.reports.model_card import write_model_card

RESULT = {
    "task": "sst2",
    "method": "alum",
    "metrics": {"loss": 0.5, "accuracy": 0.875},
    "num_train_rows": 640,
    "num_steps": 20,
}
CONFIG = {
    "learning_rate": 3e-5,
    "max_steps": -1,
    "seed": 7,
    "adv_method": "alum",
    "adv_epsilon": None,
    "adv_alpha": 2.0,
}
VERSIONS = {"alum": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0", "datasets": "5.2.0"}


def card(tmp_path):
    write_model_card(tmp_path, "models/base-model", RESULT, CONFIG, VERSIONS)
    return (tmp_path / "README.md").read_text()


def test_the_front_matter_is_what_the_hub_reads(tmp_path):
    _, front, _ = card(tmp_path).split("---\n", 2)
    assert yaml.safe_load(front) == {"library_name": "transformers", "tags": ["alum", "adversarial-training"]}


def test_the_card_says_what_was_trained_from_what_and_how_well(tmp_path):
    text = card(tmp_path)
    assert "# base-model, fine-tuned on sst2" in text
    assert "by the method `alum` of alum 0.1.0 on 640 rows, in 20 steps" in text
    assert "| accuracy | 87.5 % |" in text
    assert "| loss | 0.500 |" in text


def test_settings_that_were_not_made_are_left_out(tmp_path):
    text = card(tmp_path)
    assert "| learning_rate | 3e-05 |" in text
    assert "| adv_alpha | 2.0 |" in text
    assert "adv_epsilon" not in text
