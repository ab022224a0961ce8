"""Models, checkpoints, data and settings made to do harm: nothing of them is run, read as a pickle, sent or obeyed."""

from pathlib import Path

import pytest

from alum.cli.names import COMMANDS as NAMES
from safety.campaign import CASES, run_cases, write_files
from safety.network import COMMANDS, addresses_asked_for
from safety.page import with_table

PAGE = Path(__file__).parents[1] / "docs" / "safety.md"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    return {outcome.name: outcome for outcome in run_cases(CASES, tmp_path_factory.mktemp("safety") / "cases")}


@pytest.mark.parametrize("name", CASES)
def test_harm_is_refused_or_comes_to_nothing(outcomes, name):
    assert outcomes[name].faults == [], outcomes[name]


def test_the_page_has_what_happened(outcomes):
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page, list(outcomes.values())) == page, "make safety writes it anew"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("network") / "good"
    write_files(folder)
    return folder


@pytest.fixture(scope="module")
def asked_for(good, tmp_path_factory):
    """Of each command its exit code, and what it asked the network for."""
    home, places = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("out")
    commands = {
        name: [str(places / str(number)) if word == "out" else word for word in words]
        for number, (name, words) in enumerate(COMMANDS.items())
    }
    return addresses_asked_for(commands, good, home)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_asks_for_the_network_on_files_of_ones_own(command, asked_for):
    assert asked_for[command] == (0, [])


def test_every_command_is_among_them():
    assert {words[0] for words in COMMANDS.values()} == set(NAMES)


@pytest.mark.slow
def test_the_network_is_watched(good, tmp_path):
    """A model that is no folder is looked for on the hub."""
    words = ["finetune", "--model_name_or_path", "no/such", *COMMANDS["finetune"][3:]]
    code, asked = addresses_asked_for({"finetune": words}, good, tmp_path)["finetune"]
    assert code == 2
    assert any("huggingface.co" in address for address in asked)
