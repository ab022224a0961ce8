import json
import math
from itertools import pairwise

import numpy as np
import pytest

from alum.core.errors import InputError
from alum.models.model_parts import word_embeddings
from alum.stages.evaluation.suite_data import SuiteSpec, load_suite
from alum.stages.radius.arguments import RadiusArguments
from alum.stages.radius.run import DIRECTIONS, VIRTUAL, Effect, _model_on, around, nearest_words, radius, radius_of
from tiny_stages import save_untrained


@pytest.fixture
def arguments(finetuned, opinions_folder):
    def arguments(**settings):
        return RadiusArguments(
            **{
                "model_name_or_path": finetuned.output_dir,
                "train_file": str(opinions_folder / "validation.jsonl"),
                "text_columns": "text",
                "label_column": "label",
                **settings,
            }
        )

    return arguments


def test_divergence_grows_with_the_radius_and_most_along_the_adversary_s_direction(arguments, finetuned, capsys):
    result = radius(arguments())
    assert "perturbing: 4 directions in " in capsys.readouterr().err
    assert set(result.effects) == set(DIRECTIONS)
    for effects in result.effects.values():
        assert all(smaller.divergence < larger.divergence for smaller, larger in pairwise(effects))
    noise, virtual = result.effects["noise"], result.effects[VIRTUAL]
    assert all(one.divergence < other.divergence for one, other in zip(noise, virtual, strict=True))
    assert result.clean_accuracy == pytest.approx(finetuned.metrics["accuracy"])
    assert virtual[0].accuracy == pytest.approx(result.clean_accuracy, abs=0.05)  # at a radius of 0.003
    assert radius(arguments(epsilons=[30.0])).effects[VIRTUAL][0].accuracy < result.clean_accuracy


def power(epsilon):
    return 40 * epsilon**2


def exponential(epsilon):
    return 1e-5 * math.exp(12 * epsilon)


@pytest.mark.parametrize(("curve", "found"), [(power, (0.1 / 40) ** 0.5), (exponential, math.log(1e4) / 12)])
def test_the_radius_of_a_divergence_is_found_in_a_few_measurements(curve, found):
    asked = []

    def divergence_at(epsilon):
        asked.append(epsilon)
        return curve(epsilon)

    effects = [Effect(epsilon, curve(epsilon), None) for epsilon in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)]
    assert radius_of(0.1, around(0.1, effects), divergence_at) == pytest.approx(found, rel=0.01)
    assert 0 < len(asked) <= 8
    asked.clear()
    known = effects[1].divergence
    assert radius_of(known, around(known, effects), divergence_at) == pytest.approx(0.01)
    assert asked == []
    assert around(1e9, effects) is None
    assert around(effects[0].divergence / 2, effects) is None


def test_the_recommended_radius_has_the_divergence(arguments):
    epsilon = radius(arguments(target_divergence=0.02)).recommended_epsilon
    (at_it,) = radius(arguments(epsilons=[epsilon])).effects[VIRTUAL]
    assert at_it.divergence == pytest.approx(0.02, rel=0.1)


def test_nearest_words_are_those_of_all_pairs(arguments):
    given = arguments()
    suite = load_suite(SuiteSpec("validation", given.train_file), given)
    model = _model_on(suite, given)
    features = model.features(suite.rows)
    vectors = word_embeddings(model.model).weight.detach().numpy()
    ids = [id for row in features["input_ids"] for id in row]
    unit = np.mean([np.linalg.norm(vectors[id]) for id in ids])
    nearest = [
        min(np.linalg.norm(vectors[id] - other) for place, other in enumerate(vectors) if place != id)
        for id in set(ids)
    ]
    np.testing.assert_allclose(
        nearest_words(model, features, 0), np.quantile(nearest, [0.1, 0.5, 0.9]) / unit, rtol=1e-4
    )


def test_numbers_and_picture_are_written_and_another_call_does_not_overwrite_them(arguments, tmp_path):
    result = radius(arguments(output_dir=str(tmp_path / "r"), epsilons=[0.1, 0.01], max_eval_samples=4))
    found = json.loads((tmp_path / "r" / "radius.json").read_text())
    assert [effect["epsilon"] for effect in found["effects"]["noise"]] == [0.01, 0.1]
    assert found["recommended_epsilon"] == result.recommended_epsilon
    assert (tmp_path / "r" / "radius.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="other settings"):
        radius(arguments(output_dir=str(tmp_path / "r"), epsilons=[0.2]))


def test_a_model_that_was_not_fine_tuned_is_refused_and_leaves_no_folder(arguments, tmp_path):
    untrained = save_untrained(tmp_path / "model")
    with pytest.raises(InputError, match="fine-tune"):
        radius(arguments(model_name_or_path=str(untrained), output_dir=str(tmp_path / "r")))
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("settings", [{"epsilons": []}, {"epsilons": [0.0]}, {"target_divergence": 0.0}])
def test_settings_out_of_range_are_refused(arguments, settings):
    with pytest.raises(InputError, match="above 0"):
        arguments(**settings)
