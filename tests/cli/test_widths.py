"""What commands print in terminals of several widths, and in files: no line is too long, no name or number broken."""

import io
import os
import re
import threading

import pytest
from rich.cells import cell_len

from alum.cli.main import main
from alum.cli.names import COMMANDS
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows, write_text

COLUMNS = "--text_columns text --label_column label"
ROWS = f"--validation_file rows.jsonl {COLUMNS}"
TRAIN = f"finetune --model_name_or_path model --train_file rows.jsonl {ROWS} --max_steps 4 --logging_steps 2 --use_cpu"
STUDY = """
base: {model_name_or_path: model, train_file: rows.jsonl, validation_file: rows.jsonl, test_file: rows.jsonl,
       text_columns: text, label_column: label, max_steps: 2, use_cpu: true}
tasks: {opinions: {}}
arms: {standard: {adv_method: standard}, one_pass: {adv_method: alum_one_pass}}
seeds: [0, 1]
"""
LINES = {
    "pretrain": "pretrain --train_file text.txt --output_dir out --vocab_size 200 --max_seq_length 16 --max_steps 4 "
    "--logging_steps 2 --use_cpu",
    "finetune": f"{TRAIN} --output_dir out --eval_strategy steps --eval_steps 2",
    "methods": "methods",
    "tasks": "tasks",
    "suites": "suites",
    "evaluate": f"evaluate --model_name_or_path standard-with-a-long-name=tuned other=tuned {ROWS} --output_dir out "
    "--attacks typing pgd deepwordbug --epsilons 0.03 0.1 --num_steps 2",
    "advglue": "advglue --models sst2=tuned --data_dir adv_glue --output_dir out",
    "radius": f"radius --model_name_or_path tuned --train_file rows.jsonl {COLUMNS} --output_dir out",
    "plan": "plan --architecture bert-tiny --num_tokens 1e9 --output_file plan.json",
    "study": "study study.yaml --output_dir out",
    "compare": "compare standard=tuned other=tuned --output_dir out",
    "attack": "attack --model_name_or_path tuned --text",
    "checklist": f"checklist --model_name_or_path tuned {ROWS} --output_dir out",
    "reduce": f"reduce --model_name_or_path tuned {ROWS} --output_dir out",
    "triggers": f"triggers --model_name_or_path tuned {ROWS} --output_dir out",
    "augment": "augment --data_file rows.jsonl --output_file more.jsonl --text_columns text",
    "demo": "demo --output_dir a-folder-that-holds-something",
    "env": "env",
    "completion": "completion an-unknown-shell",  # whose script is for a shell, and no terminal
}
AT_80 = {"finetune", "methods", "tasks", "suites", "evaluate", "plan", "compare", "env"}
"""Commands that are run at the usual width too; all are at 60 columns, where more must give way."""
FAILING = {"demo", "completion"}
"""Commands of which the message of an error is what is looked at."""
LISTS = ("methods", "tasks", "suites", "tasks squad_addsent", "tasks anli", "env", "nope", "finetune --text_colums a")
BOX_AND_COLOUR = re.compile("[\u2500-\u259f\x1b]")


class Terminal:
    """Terminal of a width, in the place of standard output and standard error."""

    def __init__(self, width, monkeypatch):
        self._width, self._patch, self._shown = width, monkeypatch, b""
        self._reader, writer = os.openpty()
        self._stream = io.TextIOWrapper(os.fdopen(writer, "wb", buffering=0), encoding="utf-8", write_through=True)

    def run(self, words):
        """Exit code of a command, and all lines that it has shown, those too that others were written over."""
        reading = threading.Thread(target=self._read)
        reading.start()
        with self._patch.context() as patch:
            patch.setenv("COLUMNS", str(self._width))
            patch.setenv("TERM", "xterm")
            patch.setattr("sys.stdout", self._stream)
            patch.setattr("sys.stderr", self._stream)
            code = main(words)
        self._stream.close()
        reading.join()
        os.close(self._reader)
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._shown.decode("utf-8"))
        return code, [line for line in re.split(r"[\r\n]+", plain) if line.strip()]

    def _read(self):
        while True:
            try:
                found = os.read(self._reader, 65536)
            except OSError:  # the other end is closed
                return
            self._shown += found


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    save_untrained(folder / "model")
    write_text(folder / "text.txt")
    write_rows(folder / "rows.jsonl", opinions(8))
    rows = [{"sentence": row["text"], "label": index % 2} for index, row in enumerate(opinions(8))]
    (folder / "adv_glue").mkdir()
    write_rows(folder / "adv_glue" / "adv_sst2.jsonl", rows)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "a-folder-that-holds-something").mkdir()
    (folder / "a-folder-that-holds-something" / "notes.txt").write_text("mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        labelled = [{**row, "label": ("negative", "positive")[index % 2]} for index, row in enumerate(opinions(8))]
        write_rows(folder / "rows.jsonl", labelled)
        assert main([*TRAIN.split(), "--output_dir", "tuned", "--quiet"]) == 0
    return folder


@pytest.fixture
def here(files, tmp_path, monkeypatch):
    for path in files.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)


def words_of(command):
    extra = ["a fine and tall tale of the old sea " * 6] if command == "attack" else []
    return [*LINES[command].split(), *extra]


def too_long(lines, width):
    """Lines that are too long though they are of several words, of which a shorter line could be made."""
    return [line for line in lines if cell_len(line) > width and len(line.split()) > 1]


def test_each_command_is_run_here():
    assert LINES.keys() == COMMANDS.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "width"), [*((command, 60) for command in COMMANDS), *((command, 80) for command in sorted(AT_80))]
)
def test_no_line_is_wider_than_the_terminal(here, monkeypatch, command, width):
    code, lines = Terminal(width, monkeypatch).run(words_of(command))
    assert code == (2 if command in FAILING else 0), lines
    assert lines
    assert too_long(lines, width) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_in_a_file_there_are_no_boxes_and_no_colours(here, capsys, command):
    capsys.readouterr()
    main(words_of(command))
    shown = capsys.readouterr()
    assert not BOX_AND_COLOUR.search(shown.out)
    assert not BOX_AND_COLOUR.search(re.sub(r"(?m)^.*%\\|.*$", "", shown.err))


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("line", LISTS)
def test_the_words_are_the_same_at_any_width(monkeypatch, line, width):
    wide, narrow = (Terminal(columns, monkeypatch).run(line.split()) for columns in (2000, width))
    assert narrow[0] == wide[0]
    assert too_long(narrow[1], width) == []
    words = {word for shown in wide[1] for word in shown.split() if not re.fullmatch("-+", word)}
    above_names = {"task", "suite", "method"}  # which stand by themselves where rows become paragraphs
    assert words - above_names <= {word for shown in narrow[1] for word in shown.split()}


@pytest.mark.parametrize("command", [command for command in LINES if command in FAILING])
def test_errors_stay_one_line_in_a_file(here, capsys, command):
    assert main(words_of(command)) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
