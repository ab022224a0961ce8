"""What a real bash completes with the script that ``alum completion bash`` prints."""

import shutil
import subprocess

import pytest

from alum.cli.command_settings import command_settings
from alum.cli.flags import parser_of
from alum.cli.main import main
from alum.cli.names import COMMANDS
from alum.core.methods import METHODS
from alum.evaluation.suites import SUITES
from alum.tasks.named import TASKS

pytest.importorskip("shtab", reason="shtab is not installed: make install")
BASH = shutil.which("bash")

ASK = """
source "$1"; shift
complete -p alum >/dev/null || exit 9
COMP_WORDS=(alum "$@"); COMP_CWORD=$#; COMP_LINE="alum $*"; COMP_POINT=${#COMP_LINE}
function_name=$(complete -p alum | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$function_name" alum "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    file = tmp_path_factory.mktemp("completion") / "alum"
    with file.open("w") as output, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", output)
        assert main(["completion", "bash"]) == 0
    return file


@pytest.fixture
def completed(script):
    """What bash offers after words, the last of which has only been begun."""
    if BASH is None:
        pytest.skip("no bash on the path")

    def completed(*words):
        command = [BASH, "--norc", "-c", ASK, "bash", str(script), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return {word.strip() for word in done.stdout.splitlines() if word.strip()}

    return completed


def test_commands_are_completed(completed):
    assert set(COMMANDS) <= completed("")
    assert completed("e") == {command for command in COMMANDS if command.startswith("e")}


def test_flags_are_completed_in_one_spelling(completed):
    offered = completed("finetune", "--adv_e")
    assert offered == {"--adv_epsilon", "--adv_epsilon_unit", "--adv_every_steps", "--adv_epsilon_ramp_fraction"}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_flag_of_a_command_is_there(completed, command):
    settings = command_settings(command)
    flags = {
        action.option_strings[0] for one in (*settings.own, *settings.of_trainer) for action in parser_of(one)._actions
    }
    assert {flag for flag in flags if not flag.startswith("--no_")} <= completed(command, "--")


def test_names_are_completed(completed):
    assert completed("finetune", "--adv_method", "") == set(METHODS)
    assert completed("finetune", "--task", "anli") == {name for name in TASKS if name.startswith("anli")}
    assert completed("tasks", "sq") == {"squad", "squad_v2"}
    assert completed("evaluate", "--suites", "adv_q") == {name for name in SUITES if name.startswith("adv_q")}
    assert completed("finetune", "--adv_norm", "l") == {"l2", "linf"}


def test_files_and_folders_are_completed(completed, tmp_path, monkeypatch):
    (tmp_path / "rows.jsonl").touch()
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    assert {name.rstrip("/") for name in completed("finetune", "--train_file", "r")} == {"rows.jsonl", "runs"}
    assert {name.rstrip("/") for name in completed("finetune", "--output_dir", "r")} == {"runs"}
    assert {name.rstrip("/") for name in completed("study", "r")} == {"rows.jsonl", "runs"}


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_have_a_script_too(capsys, shell):
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in COMMANDS)


def test_unknown_shells_are_refused(capsys):
    assert main(["completion", "fisch"]) == 2
    assert "expected one of bash" in capsys.readouterr().err
