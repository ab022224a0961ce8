import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tqdm import tqdm

import alum
from alum.cli.main import main
from alum.cli.names import COMMANDS
from alum.core.errors import InputError
from alum.stages.pretraining import run as pretraining
from places import ROOT
from small_files import files_up_to
from terminal_tables import table_cells
from tiny_models import language_model
from tiny_stages import save_untrained
from tiny_texts import opinions, tree, write_rows, write_text

PRETRAIN = (
    "pretrain --output_dir out --use_cpu --max_steps 2 --vocab_size 200 --max_seq_length 16 --train_file text.txt"
)
CONTINUE = PRETRAIN.replace("--vocab_size 200 ", "")
FINETUNE = (
    "finetune --output_dir out --use_cpu --max_steps 2 --model_name_or_path model "
    "--train_file rows.jsonl --validation_file rows.jsonl --text_columns text --label_column label"
)
EVALUATE = (
    "evaluate --output_dir out --model_name_or_path model --validation_file rows.jsonl "
    "--text_columns text --label_column label"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What the commands below are given, good and bad."""
    folder = tmp_path_factory.mktemp("files")
    text = write_text(folder / "text.txt").read_bytes()
    (folder / "empty.txt").write_bytes(b"\n")
    (folder / "binary.txt").write_bytes(text[:100] + b"\0" + text[100:])
    (folder / "latin.txt").write_bytes(text[:100] + b"\xe9" + text[100:])
    (folder / "short.txt").write_bytes(b"the cat")
    (folder / "no_model").mkdir()
    (folder / "broken.yaml").write_text("seed: [")
    (folder / "typo.yaml").write_text("adv_epsilonn: 1")
    rows = opinions(8)
    write_rows(folder / "rows.jsonl", rows)
    write_rows(folder / "far.jsonl", [{**row, "label": 7 if i == 5 else i % 2} for i, row in enumerate(rows)])
    write_rows(folder / "ints.jsonl", [{**row, "label": i % 2} for i, row in enumerate(rows)])
    (folder / "broken.jsonl").write_text('{"text": "a", "label": 1}\n{"text": "b"\n')
    save_untrained(folder / "model")
    for name, model in (
        ("albert", language_model("albert", vocab_size=120)),
        ("fewer_pieces", language_model("bert", vocab_size=64)),
    ):
        model.save_pretrained(folder / name)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name / file).write_bytes((folder / "model" / file).read_bytes())
    return folder


@pytest.fixture
def here(files, tmp_path, monkeypatch):
    """A folder of its own with the files in it."""
    for path in files.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def outcome(capsys, line):
    """Exit code and standard error."""
    capsys.readouterr()
    code = main(line.split())
    return code, capsys.readouterr().err


# The command, and words that the message must have, in this order: what was expected or came, and what to do.
BAD = [
    # files of text
    (f"{PRETRAIN} --train_file missing.txt", "no file at missing.txt", "check the name"),
    (f"{PRETRAIN} --train_file no_model", "expected a file", "no_model is a folder", "name a file"),
    (f"{PRETRAIN} --train_file empty.txt", "empty.txt is empty", "expected text"),
    (f"{PRETRAIN} --train_file binary.txt", "binary.txt is a binary file", "offset 100", "expected UTF-8"),
    (f"{PRETRAIN} --train_file latin.txt", "latin.txt is not UTF-8", "0xe9 at offset 100", "iconv"),
    (f"{PRETRAIN} --train_file short.txt --validation_file text.txt", "short.txt has", "too few", "more text"),
    (f"{PRETRAIN} --train_file short.txt", "short.txt", "too few documents", "--validation_file"),
    (f"{PRETRAIN} --max_seq_length 500", "text.txt held back", "too few", "smaller max_seq_length"),
    ("pretrain --train_file text.txt", "no folder for the run", "give --output_dir"),
    (FINETUNE.replace("--output_dir out", ""), "no folder for the run", "give --output_dir"),
    ("pretrain --output_dir out", "no text to train on", "--train_file"),
    # tables
    (f"{FINETUNE} --train_file missing.jsonl", "no file at missing.jsonl"),
    (f"{FINETUNE} --train_file broken.jsonl", "broken.jsonl, line 2: not JSON", "one object a line"),
    (f"{FINETUNE} --train_file text.txt", "text.txt: expected a file that ends in .jsonl", "'.txt'"),
    (f"{FINETUNE} --text_columns sentence", "rows.jsonl", "no column 'sentence'", "text, label"),
    (f"{FINETUNE} --label_column gold", "rows.jsonl", "no column 'gold'", "text, label"),
    (f"{FINETUNE} --train_file ints.jsonl --validation_file far.jsonl", "far.jsonl, row 6: label 7", "none of 0, 1"),
    ("finetune --output_dir out --model_name_or_path model --text_columns a --label_column b", "no data", "--data_dir"),
    (FINETUNE.split(" --text")[0], "say what the columns mean", "--task, or --text_columns"),
    (FINETUNE.replace("--validation", "--test"), "no validation split, only train", "--validation_file"),
    # names
    (f"{PRETRAIN} --adv_method alum_onepass", "unknown method 'alum_onepass'", "Did you mean 'alum_one_pass'?"),
    (f"{PRETRAIN} --architecture bert-tinny", "unknown architecture", "Did you mean 'bert-tiny'?"),
    (f"{FINETUNE} --task sst3", "unknown task 'sst3'", "Did you mean 'sst2'?"),
    (f"{EVALUATE} --attacks typing pdg", "unknown attack 'pdg'", "typing, misspellings, pgd, deepwordbug"),
    (f"{PRETRAIN} --adv_layer middle", "adv_layer", "'word', 'embeddings' or the number of a block", "not 'middle'"),
    (f"{PRETRAIN} --adv_layer 7", "blocks 0 to 1", "no layer 7"),
    (f"{PRETRAIN} --config typo.yaml", "typo.yaml: unknown key adv_epsilonn", "Did you mean adv_epsilon?"),
    (f"{PRETRAIN} --config broken.yaml", "broken.yaml is not YAML"),
    (f"{PRETRAIN} --adv_epsilonn 1", "unknown flag --adv_epsilonn", "Did you mean --adv_epsilon?"),
    ("pretran", "unknown command 'pretran'", "expected one of", "Did you mean 'pretrain'?"),
    # flags without effect
    (
        f"{CONTINUE} --model_name_or_path model --architecture bert-mini",
        "architecture bert-mini has no effect",
        "model",
    ),
    (f"{PRETRAIN} --model_name_or_path model", "vocab_size 200 has no effect", "comes with model_name_or_path, model"),
    (f"{PRETRAIN} --adv_method standard --adv_alpha 3", "adv_alpha 3.0 has no effect", "'standard' has no adversary"),
    # numbers
    (f"{PRETRAIN} --adv_epsilon 0", "adv_epsilon", "above 0, not 0.0", "'standard'"),
    (f"{PRETRAIN} --adv_epsilon -1", "adv_epsilon", "above 0, not -1.0"),
    (f"{PRETRAIN} --adv_start_fraction 2", "adv_start_fraction", "[0, 1], not 2"),
    (f"{PRETRAIN} --mlm_probability 1.5", "mlm_probability", "between 0 and 1, not 1.5"),
    (f"{PRETRAIN} --vocab_size 3", "vocab_size", "above 5", "not 3"),
    (f"{PRETRAIN} --vocab_size 99999999999999999999", "vocab_size", "too large", "99999999999999999999"),
    (f"{PRETRAIN} --vocab_size 2000001", "vocab_size", "2,000,000 or less", "not 2,000,001"),
    (f"{FINETUNE} --max_steps 99999999999999999999", "max_steps", "too large", "99999999999999999999"),
    (f"{PRETRAIN} --max_seq_length 2", "max_seq_length", "3 or more", "not 2"),
    (f"{PRETRAIN} --max_train_samples 0", "max_train_samples", "1 or more, not 0"),
    (f"{PRETRAIN} --per_device_train_batch_size 0", "per_device_train_batch_size", "1 or more, not 0"),
    (f"{PRETRAIN} --seed many", "--seed", "'many'", "alum pretrain --help"),
    (f"{FINETUNE} --max_seq_length 99", "max_seq_length 99", "16 positions"),
    (f"{EVALUATE} --epsilons 0.1 0", "epsilons", "above 0 and finite, not 0.0"),
    (f"{EVALUATE} --typing_error_rate 2", "typing_error_rate", "[0, 1], not 2"),
    (f"{EVALUATE} --per_device_eval_batch_size 0", "per_device_eval_batch_size", "1 or more, not 0"),
    # models
    (f"{PRETRAIN} --model_name_or_path no_model", "no_model holds no model", "config.json", "save_pretrained"),
    (f"{FINETUNE} --model_name_or_path /no/such", "no folder at /no/such", "model's folder or the id"),
    (f"{FINETUNE} --model_name_or_path rows.jsonl", "rows.jsonl is a file", "model's folder"),
    (f"{EVALUATE}", "model has not been fine-tuned", "alum finetune"),
    (f"{CONTINUE} --model_name_or_path model --max_seq_length 99", "max_seq_length 99", "16 positions"),
    (f"{CONTINUE} --model_name_or_path albert --adv_layer 1", "one block over and over", "'word' or 'embeddings'"),
    (f"{CONTINUE} --model_name_or_path fewer_pieces", "120 pieces", "only 64 embeddings", "own tokenizer"),
    # folders
    ("pretrain --train_file text.txt --max_seq_length 16 --output_dir text.txt", "text.txt is a file", "name a folder"),
    (f"{PRETRAIN} --output_dir model --resume_from_checkpoint true", "no checkpoint", "in model", "checkpoint-N"),
    (f"{PRETRAIN} --resume_from_checkpoint model", "model is no checkpoint", "checkpoint-N"),
]


@pytest.mark.parametrize(("line", "words"), [(line, words) for line, *words in BAD], ids=[row[1] for row in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(here, capsys, line, words):
    before = tree(here)
    code, error = outcome(capsys, line)
    assert code == 2
    (shown,) = [said for said in error.splitlines() if said and "%|" not in said]  # beside bars that went before
    assert shown.startswith("alum: error: ")
    assert error.endswith(f"{shown}\n")
    assert re.search(".*".join(map(re.escape, words)), shown), shown
    assert "Traceback" not in error
    assert tree(here) == before


# -- folders that hold a run -------------------------------------------------------------------------------------------


@pytest.fixture
def former(here):
    """An earlier run in the folder that the commands write to."""
    (here / "out" / "checkpoint-3").mkdir(parents=True)
    (here / "out" / "model.safetensors").write_bytes(b"weights")
    (here / "out" / "checkpoint-3" / "trainer_state.json").write_text("{}")
    return tree(here)


@pytest.mark.parametrize("line", [PRETRAIN, FINETUNE, EVALUATE, "demo --output_dir out"])
def test_a_folder_that_holds_a_run_is_left_as_it_is(here, former, capsys, line):
    code, error = outcome(capsys, line)
    assert code == 2
    assert re.fullmatch(r"alum: error: output_dir out already holds .*--overwrite_output_dir.*\n", error)
    assert tree(here) == former


@pytest.mark.parametrize("line", [f"{PRETRAIN} --adv_layer 7", f"{FINETUNE} --label_column gold", f"{EVALUATE}"])
def test_a_run_that_cannot_start_moves_nothing_aside(here, former, capsys, line):
    code, _ = outcome(capsys, f"{line} --overwrite_output_dir")
    assert code == 2
    assert tree(here) == former


def test_overwriting_moves_the_old_run_aside_intact(here, former, capsys):
    code, _ = outcome(capsys, f"{PRETRAIN} --overwrite_output_dir --save_strategy no")
    assert code == 0
    assert tree(here / "out.old-1") == {
        name.removeprefix("out/"): content for name, content in former.items() if name.startswith("out/")
    }
    assert (here / "out" / "results.json").is_file()
    assert not (here / "out" / "checkpoint-3").exists()


# -- exit codes --------------------------------------------------------------------------------------------------------


def test_done_is_0(here, capsys):
    assert outcome(capsys, f"{FINETUNE} --save_strategy no --disable_tqdm true")[0] == 0
    assert main(f"evaluate --model_name_or_path out {EVALUATE.split('model ')[1]} --attacks none".split()) == 0
    shown = capsys.readouterr().out
    assert "clean" in shown
    assert ["rows", "clean", "8"] in [row[:3] for row in table_cells(shown)]


def test_failed_work_is_1_with_a_traceback_in_a_file(here, capsys, monkeypatch):
    def fail(*args):
        raise RuntimeError("out of\nluck")

    monkeypatch.setattr(pretraining, "pretrain", fail)
    code, error = outcome(capsys, PRETRAIN)
    assert code == 1
    found = re.fullmatch(r"alum: failed: RuntimeError: out of luck \(details in (\S+)\)\n", error)
    assert found
    details = Path(found[1])
    assert "Traceback" in details.read_text()
    assert "in fail" in details.read_text()
    details.unlink()


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out/rows"), "out/rows"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "out"), "out"),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos"), "a file"),
        (OSError(errno.ENOSPC, "No space left on device"), "a file"),  # which need not be standard output
    ],
)
def test_a_disk_that_is_full_wherever_it_is_written_to_is_no_failure(monkeypatch, capsys, tmp_path, error, what):
    """Such as where a folder is made; the file for a traceback would not fit either."""

    def fail(*_):
        raise error

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("alum.cli.commands.run", fail)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", fail)
    assert main(["tasks"]) == 2
    said = capsys.readouterr().err
    assert re.fullmatch(
        rf"alum: error: {what} could not be written: .*; [\d,.]+ MB are free in {tmp_path}\. .*\n", said
    )


def test_an_error_that_names_no_file_names_none(monkeypatch, capsys):
    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("alum.cli.commands.run", fail)
    assert main(["tasks"]) == 1
    assert capsys.readouterr().err.startswith("alum: failed: OSError: [Errno 5] Input/output error (details in ")


def test_an_error_has_a_line_below_the_bar_that_it_interrupts(capsys, monkeypatch):
    bars = []

    def fail(*args):
        bars.append(tqdm(total=3))
        raise InputError("no more")

    monkeypatch.setattr(pretraining, "pretrain", fail)
    code, error = outcome(capsys, PRETRAIN)
    assert code == 2
    assert error.endswith("\nalum: error: no more\n")
    assert "0/3" in error


def test_the_end_of_the_time_is_3_and_the_run_goes_on(here, capsys):
    code, error = outcome(capsys, f"{PRETRAIN} --max_minutes 1e-9")
    assert code == 3
    expected = r"^alum: stopped at step 1 of 2 after 1e-09 minutes .*checkpoint-1\. .*--resume_from_checkpoint true\.$"
    assert re.search(expected, error, re.MULTILINE)
    assert not (here / "out" / "results.json").exists()
    assert outcome(capsys, f"{PRETRAIN} --max_minutes 1e-9 --resume_from_checkpoint true")[0] == 0
    assert (here / "out" / "results.json").is_file()


@pytest.mark.parametrize(
    ("strategy", "what"), [("steps", "checkpoint-2 could not"), ("no", "out could not be written: File too large; ")]
)
def test_what_cannot_be_written_is_2_in_one_line(here, capsys, strategy, what):
    with files_up_to(1_000_000):  # less than the weights have
        code, error = outcome(capsys, f"{PRETRAIN} --save_strategy {strategy}")
    assert code == 2
    line = error.splitlines()[-1]
    assert line.startswith(f"alum: error: {what}")
    assert re.search(r"; [\d,.]+ MB are free in /", line)
    assert not list((here / "out").glob("*checkpoint-*"))


def test_stopped_is_130(here, capsys, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(pretraining, "pretrain", stop)
    assert outcome(capsys, PRETRAIN) == (130, "alum: stopped.\n")


# -- help and versions -------------------------------------------------------------------------------------------------


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in COMMANDS)


def test_help_explains_the_exit_codes(capsys):
    main(["--help"])
    codes = capsys.readouterr().out.partition("Exit codes:")[2]
    assert set(re.findall(r"\b\d+\b", codes)) == {"0", "1", "2", "3", "130", "141", "143"}
    page = (ROOT / "docs/reference/commands/index.md").read_text(encoding="utf-8").partition("| exit code |")[2]
    assert set(re.findall(r"\b\d+\b", page.partition("\n\n")[0])) == set(re.findall(r"\b\d+\b", codes))


def test_help_fits_in_80_columns(capsys):
    main(["--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_no_command_shows_the_help_and_is_2(capsys):
    assert main([]) == 2
    assert "usage: alum" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_lists_its_flags(capsys, command):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: alum {command}" in capsys.readouterr().out


def test_the_package_runs_as_the_command_does():
    done = subprocess.run([sys.executable, "-m", "alum", "nope"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("alum: error: unknown command 'nope'")
    done = subprocess.run([sys.executable, "-m", "alum", "demo", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: alum demo ")


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"alum {alum.__version__}\n"


def test_env_prints_versions(capsys):
    assert main(["env"]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["alum"] == alum.__version__
    assert rows["python"] == ".".join(map(str, sys.version_info[:3]))
    assert int(rows["processors"]) == os.cpu_count()


def test_the_settings_of_a_file_are_those_of_the_run(here):
    (here / "run.yaml").write_text("max_steps: 1\nadv_method: alum\nseed: 7\nsave_strategy: 'no'\n")
    flags = "--config run.yaml --output_dir out --use_cpu --vocab_size 200 --max_seq_length 16 --train_file text.txt"
    assert main(["pretrain", *flags.split(), "--seed", "8"]) == 0
    config = json.loads((here / "out" / "run.json").read_text())["config"]
    assert (config["max_steps"], config["adv_method"], config["seed"]) == (1, "alum", 8)


def test_the_suites_are_listed(capsys):
    assert main(["suites"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("Suites", "hans", "accuracy", "licence"))
    assert main(["suites", "--nothing"]) == 2


def test_a_package_that_is_missing_is_named_in_a_line(monkeypatch, capsys):
    def fail(command, argv):
        raise ImportError("liger-kernel is not available. Install it.")

    monkeypatch.setattr("alum.cli.main.commands.run", fail)
    assert main(["env"]) == 2
    assert capsys.readouterr().err == "alum: error: liger-kernel is not available. Install it.\n"


def test_names_that_no_file_can_have_are_input_errors(capsys):
    assert main(["compare", "one=" + "a" * 5000, "other=b"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("alum: error: ")
    assert len(said) < 1600


def test_control_characters_of_what_was_given_are_spelled_out(capsys):
    assert main(["methods", "--config", "\x1b[31mred"]) == 2
    assert r"\x1b[31mred" in capsys.readouterr().err
