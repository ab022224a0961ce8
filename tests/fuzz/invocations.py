"""Bad invocations by seed and number: a right command line of which one thing or two are made wrong."""

import os
import random
import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from fuzz.bad import VALUES, spoil_model, spoil_rows, spoil_text, spoil_yaml
from fuzz.good import GOOD, HAS_OUTPUT

_FILES = {
    "rows.jsonl": (spoil_rows, spoil_rows, spoil_text),
    "tags.jsonl": (spoil_rows, spoil_rows, spoil_text),
    "choices.jsonl": (spoil_rows, spoil_rows, spoil_text),
    "completions.jsonl": (spoil_rows, spoil_rows, spoil_text),
    "rows.csv": (spoil_text,),
    "text.txt": (spoil_text,),
    "study.yaml": (spoil_yaml, spoil_yaml, spoil_text),
    "config.yaml": (spoil_yaml, spoil_yaml, spoil_text),
    "model": (spoil_model,),
    "classifier": (spoil_model,),
    "opinions": (spoil_model,),
    "decoder": (spoil_model,),
}


@dataclass
class Invocation:
    """Words after ``alum``, to be run in a folder of their own, and what is wrong about them."""

    command: str
    words: list[str]
    wrong: list[str] = field(default_factory=list)


def invocation(seed: int, number: int, good_files: Path, folder: Path) -> Invocation:
    """Makes an invocation, with its files in ``folder``; the same for the same seed and number."""
    rng = random.Random(f"{seed} {number}")
    shutil.copytree(good_files, folder)
    (folder / "folder").mkdir()
    (folder / "binary").write_bytes(bytes(range(256)))
    os.symlink("loop", folder / "loop")
    good = rng.choices(GOOD, [4 if one.words else 1 for one in GOOD])[0]
    made = Invocation(good.command, [good.command, *good.words])
    if good.command in HAS_OUTPUT:
        made.words += ["--output_dir", "out"]
    for _ in range(rng.choice((1, 1, 1, 2))):
        kinds = [_other_value, _other_value, _another_flag, _another_flag, _another_flag, _word]
        if any(_file_in(word) for word in good.words):
            kinds += [_spoiled_file] * 6
        rng.choice(kinds)(rng, made, folder)
    return made


def _other_value(rng: random.Random, made: Invocation, folder: Path) -> None:
    """One word that is no flag becomes another."""
    places = [at for at, word in enumerate(made.words[1:], 1) if not word.startswith("--") and word != "out"]
    if not places:
        return _another_flag(rng, made, folder)
    at, value = rng.choice(places), rng.choice(VALUES)
    made.wrong.append(f"{made.words[at]!r} becomes {value!r}")
    made.words[at] = value
    return None


def _another_flag(rng: random.Random, made: Invocation, folder: Path) -> None:
    flag, value = rng.choice(flags_of(made.command) or ["--nothing"]), rng.choice(VALUES)
    added = rng.choice(([flag, value], [flag, value], [flag, value], [f"{flag}={value}"], [flag]))
    made.words += added
    made.wrong.append(f"{added} added")


def _word(rng: random.Random, made: Invocation, folder: Path) -> None:
    if not made.words:
        return
    at = rng.randrange(len(made.words))
    how = rng.choice(("dropped", "doubled", "misspelt", "swapped"))
    word = made.words[at]
    made.wrong.append(f"{word!r} {how}")
    if how == "dropped":
        del made.words[at]
    elif how == "doubled":
        made.words.insert(at, word)
    elif how == "misspelt":
        made.words[at] = word[:-1]
    else:
        other = rng.randrange(len(made.words))
        made.words[at], made.words[other] = made.words[other], word


def _spoiled_file(rng: random.Random, made: Invocation, folder: Path) -> None:
    spoiled = {entry.partition(":")[0] for entry in made.wrong}
    names = sorted({name for word in made.words if (name := _file_in(word))} - spoiled)
    if names:
        name = rng.choice(names)
        made.wrong.append(rng.choice(_FILES[name])(rng, folder / name))


def _file_in(word: str) -> str | None:
    name = word.rpartition("=")[2]
    return name if name in _FILES else None


@cache
def flags_of(command: str) -> list[str]:
    """All flags of a command, those of the Trainer among them."""
    import contextlib
    import io
    import re

    from alum.cli.main import main

    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text), contextlib.suppress(SystemExit):
        main([command, "--help_all"])
    flags = set(re.findall(r"--[a-z][a-z0-9_]+", text.getvalue()))
    return sorted(flags - {"--help", "--help_all", "--output_dir", "--push_to_hub"})
