"""What pages of docs/ show: files with rows, commands and snippets, taken out of the Markdown as a reader would."""

import re
import shlex
from pathlib import Path

from alum.cli.main import main
from places import ROOT

FILES = re.compile(r"^((?:`[\w./-]+\.(?:jsonl|csv|yaml)`(?:, )?)+):\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEPS = {"pretrain": ["--max_steps", "2", "--use_cpu"], "finetune": ["--max_steps", "2", "--use_cpu"]}
TIMES = 6  # a file has the rows of its page so often, since training wants more than two


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def write_files(text: str, folder: Path) -> None:
    """Writes the files that the page shows the beginning of; rows several times, a header and settings once."""
    for names, body in FILES.findall(text):
        for name in re.findall(r"`(.*?)`", names):
            header, rows = ("", body)
            if name.endswith(".csv"):
                header, _, rows = body.partition("\n")
                header += "\n"
            elif name.endswith(".yaml"):
                header, rows = body, ""
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(header + rows * TIMES, encoding="utf-8")


def snippets(text: str) -> list[str]:
    return [body for language, body in FENCE.findall(text) if language == "python"]


def commands(text: str) -> list[list[str]]:
    """Words of each ``alum …`` in blocks of the shell, without the name of the program."""
    blocks = [body.replace("\\\n", " ") for language, body in FENCE.findall(text) if language == "bash"]
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("alum ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def all_commands(text: str) -> list[list[str]]:
    """Words of each ``alum …`` that a page shows, indented or in a fence, behind a launcher or not, and whole."""
    fenced = [body for language, body in FENCE.findall(text) if language == "bash"]
    indented = re.findall(r"^    (.*\n)", FENCE.sub("", text), flags=re.MULTILINE)
    shown = "".join(fenced + indented).replace("\\\n", " ")
    launched = r"^(?:(?:torchrun|accelerate launch|srun torchrun) .*-m )?alum ([^&>\n]+)"
    lines = [line for line in re.findall(launched, shown, flags=re.MULTILINE) if "…" not in line]
    return [shlex.split(line, comments=True) for line in lines]


def run(command: list[str]) -> int:
    """Exit code of a command, whose training is cut short."""
    return main([*command, *STEPS.get(command[0], [])])
