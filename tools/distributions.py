"""Builds the wheel and the sdist of a release into ``dist/``, compares them with the checkout, and uses the wheel.

    python tools/distributions.py [--torch_index URL]

1. ``python -m build`` makes the sdist, and the wheel from it; `twine check --strict` reads what an index would show.
2. The wheel holds the files of ``src/alum`` that git knows, its own metadata and nothing else; the sdist holds files
   that git knows, all of the source and the tests among them; a wheel from the checkout is the same to the last byte.
3. The wheel is installed, without extras and with the versions of ``constraints.txt``, into a new environment outside
   the checkout. There each command says what it can do, and the main ones pre-train, fine-tune and measure attacks.

Ends with 1 and a line where something is not so. Needs the extra ``dev`` and a checkout by git; Unix only.
"""

import argparse
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

from alum.cli.names import COMMANDS
from alum.version import __version__

ROOT = Path(__file__).parents[1]
EXTRAS = ("peft", "trl", "sentence_transformers")
IN_SDIST = ("src/", "tests/", "docs/", "examples/", "pyproject.toml", "README.md", "LICENSE", "CITATION.cff")
ALLOWED_OUTSIDE_GIT = ("PKG-INFO",)
STEPS = "--adv_method alum_virtual --max_steps 2 --per_device_train_batch_size 8 --use_cpu"
USE = (
    "pretrain --train_file corpus.txt --vocab_size 60 --max_seq_length 16 --cache_dir cache "
    f"--output_dir model {STEPS}",
    "finetune --model_name_or_path model --train_file rows.csv --validation_file rows.csv --text_columns text "
    f"--label_column label --output_dir tuned {STEPS}",
    "evaluate --model_name_or_path tuned --suites rows=rows.csv --text_columns text --label_column label "
    "--attacks typing pgd --output_dir measured",
)
IN_TURN = "import sys; from alum.cli.main import main; sys.exit(max(main(words.split()) for words in sys.argv[1:]))"
NOT_SEEN = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")
INFO = f"alum-{__version__}.dist-info/"


class ReleaseError(Exception):
    """What keeps these files from being released, in a line."""


def run(command: Sequence[str | Path], folder: Path = ROOT) -> str:
    """Standard output of a command that sees no path of this checkout and no network but pip's, and keeps its bytecode.

    Raises `ReleaseError` with all that it printed where it fails.
    """
    settings = {name: value for name, value in os.environ.items() if name not in NOT_SEEN}
    done = subprocess.run(command, cwd=folder, env=settings | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True)
    if done.returncode:
        words = " ".join(map(str, command))
        raise ReleaseError(f"{words} ended with exit code {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def build(folder: Path) -> tuple[Path, Path]:
    """Sdist, and the wheel made from it, in ``folder``; what lay there of this name is written over."""
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT])
    sdist, wheel = folder / f"alum-{__version__}.tar.gz", folder / f"alum-{__version__}-py3-none-any.whl"
    run([sys.executable, "-m", "twine", "check", "--strict", sdist, wheel])
    return sdist, wheel


def known_to_git() -> set[str]:
    """Files that git tracks, or would with the next commit, by their paths from the root."""
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]).split("\0")
    return {name for name in listed if name and (ROOT / name).is_file()}


def check_wheel(wheel: Path, known: set[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    expected = {name.removeprefix("src/") for name in known if name.startswith("src/alum/")}
    expected |= {INFO + name for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")}
    _compare("the wheel", names, needed=expected | {"alum/py.typed"}, allowed=expected)


def check_sdist(sdist: Path, known: set[str]) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {name for name in known if name.startswith(IN_SDIST)}
    _compare("the sdist", names, needed=needed, allowed=known | set(ALLOWED_OUTSIDE_GIT))


def _compare(what: str, names: set[str], *, needed: set[str], allowed: set[str]) -> None:
    if missing := sorted(needed - names):
        raise ReleaseError(f"{what} lacks {missing}")
    if more := sorted(names - allowed):
        raise ReleaseError(f"{what} holds {more}, which git does not know")


def check_same_from_checkout(wheel: Path, folder: Path) -> None:
    """Raises `ReleaseError` unless a wheel from the checkout is that from the sdist, to the last byte."""
    run([sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, ROOT])
    if (folder / wheel.name).read_bytes() != wheel.read_bytes():
        raise ReleaseError(f"{wheel.name} from the sdist is not the one from the checkout")


def clean_environment(folder: Path, wheel: Path, torch_index: str | None) -> Path:
    """Folder of the programs of a new environment that has the wheel and what it requires, and no more."""
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    index = ["--index-url", torch_index] if torch_index else []
    for wanted in ((*index, "torch"), (wheel,)):
        # Bytecode is written where a module is first imported: most of them never are.
        options = ("--quiet", "--no-compile", "--constraint", ROOT / "constraints.txt")
        run([programs / "python", "-m", "pip", "install", *options, *wanted])
    run([programs / "python", "-m", "pip", "check"])
    return programs


def check_commands(programs: Path, folder: Path) -> None:
    """Starts each command, and reads what it says of itself."""
    asked = (
        "import alum, importlib.util as util\n"
        f"print(alum.__file__, *[name for name in {EXTRAS} if util.find_spec(name)], sep='\\n')"
    )
    place, *extras = run([programs / "python", "-c", asked], folder).splitlines()
    if extras or not Path(place).is_relative_to(programs.parent):
        raise ReleaseError(f"the environment is not clean: alum is {place}, and there are {extras}")
    if run([programs / "alum", "--version"], folder).strip() != f"alum {__version__}":
        raise ReleaseError(f"alum --version does not say {__version__}")
    if __version__ not in run([programs / "alum", "env"], folder):
        raise ReleaseError(f"alum env does not say {__version__}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        helps = list(pool.map(lambda command: run([programs / "alum", command, "--help"], folder), COMMANDS))
    for command, printed in zip(COMMANDS, helps, strict=True):
        if f"usage: alum {command}" not in printed:
            raise ReleaseError(f"alum {command} --help does not show its usage")
    for listing, name in (("methods", "alum_one_pass"), ("tasks", "sst2"), ("suites", "sst2")):
        if name not in run([programs / "alum", listing], folder):
            raise ReleaseError(f"alum {listing} does not name {name}")


def check_use(programs: Path, folder: Path) -> None:
    """Runs the commands of `USE` on a few rows made here, in one process, whose imports take longer than they."""
    words = {"good": ("bright", "warm", "fine", "good"), "bad": ("dull", "cold", "poor", "bad")}
    rows = [(f"the film was {a} and {b}", label) for label, own in words.items() for a in own for b in own if a != b]
    (folder / "rows.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    (folder / "corpus.txt").write_text("\n\n".join(text for text, _ in rows * 8))
    run([programs / "python", "-c", IN_TURN, *USE], folder)
    for file in ("tuned/README.md", "tuned/loss.png", "measured/results.json", "measured/report.html"):
        if not (folder / file).is_file() or not (folder / file).stat().st_size:
            raise ReleaseError(f"alum wrote nothing into {file}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch_index", help="index to take torch from; default: pip's own")
    torch_index = parser.parse_args().torch_index
    begun = perf_counter()

    def done(what: str) -> None:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = used.ru_utime + used.ru_stime
        print(f"{perf_counter() - begun:5.0f} s, {processor:4.0f} s of processor time: {what}", flush=True)

    try:
        with tempfile.TemporaryDirectory(prefix="alum-dist-") as name:
            scratch = Path(name)
            sdist, wheel = build(ROOT / "dist")
            known = known_to_git()
            check_wheel(wheel, known)
            check_sdist(sdist, known)
            check_same_from_checkout(wheel, scratch / "from-checkout")
            done(f"{sdist.name} and {wheel.name} in dist/ hold what they should")
            programs = clean_environment(scratch / "environment", wheel, torch_index)
            done("installed without extras in a new environment")
            (scratch / "work").mkdir()
            check_commands(programs, scratch / "work")
            done(f"{len(COMMANDS)} commands start")
            check_use(programs, scratch / "work")
            done("a model was pre-trained, fine-tuned and measured under attack")
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
