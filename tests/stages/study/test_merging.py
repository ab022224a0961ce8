import pytest

from alum.core.errors import InputError
from alum.stages.study.merging import same_everywhere
from alum.stages.study.reading.study_file import study_in


def study_of(**parts):
    base = {"model_name_or_path": "m"}
    return study_in({"base": base, "tasks": {"a": {"data_dir": "a"}}, "arms": {"alum": {}}, **parts})


def test_all_that_any_has_is_in_the_whole():
    one = study_of(seeds="0:2")
    two = study_of(seeds="5:6", arms={"pgd": {}}, tasks={"b": {"data_dir": "b"}}, search={"pgd": {"adv_alpha": [1, 2]}})
    whole = same_everywhere([one, two], ["one", "two"])
    assert whole.seeds == (0, 1, 5)
    assert list(whole.arms) == ["standard", "alum", "pgd"]
    assert list(whole.tasks) == ["a", "b"]
    assert whole.search == {"pgd": {"adv_alpha": [1, 2]}}


def test_places_may_be_others_and_are_the_last_ones():
    elsewhere = study_of(base={"model_name_or_path": "moved"}, tasks={"a": {"data_dir": "moved"}})
    whole = same_everywhere([study_of(), elsewhere], ["one", "two"])
    assert whole.tasks["a"] == {"model_name_or_path": "moved", "data_dir": "moved"}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"arms": {"alum": {"adv_alpha": 2}}}, "arm alum: adv_alpha is None in one and 2 in two. Give one of them"),
        ({"tasks": {"a": {"data_dir": "a", "max_steps": 3}}}, "task a: max_steps is None in one and 3 in two"),
        ({"evaluation": {"attacks": ["pgd"]}}, "evaluation: attacks is"),
    ],
)
def test_what_is_called_alike_must_be_alike(parts, message):
    with pytest.raises(InputError, match=message):
        same_everywhere([study_of(), study_of(**parts)], ["one", "two"])
