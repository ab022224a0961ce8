"""WordNet databases of a few words."""

from collections.abc import Mapping, Sequence
from pathlib import Path

LICENCE = "  1 This database has no licence.  \n"
_LETTERS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}


def save_wordnet(
    folder: Path, exceptions: Mapping[str, Mapping[str, str]] | None = None, **sets: Sequence[str]
) -> Path:
    """``noun=["cat moggie", "cat qat"]``: sets of synonyms, of which a word's commonest sense comes first."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, letter in _LETTERS.items():
        data, senses = LICENCE.encode(), {}
        for words in map(str.split, sets.get(name, ())):
            offset = len(data)
            listed = " ".join(f"{word} 0" for word in words)
            data += f"{offset:08d} 05 {letter} {len(words):02x} {listed} 000 | a gloss of {words[0]}  \n".encode()
            for word in words:
                senses.setdefault(word.split("(")[0].lower(), []).append(offset)
        (folder / f"data.{name}").write_bytes(data)
        lines = (
            f"{word} {letter} {len(at)} 2 @ ~ {len(at)} 0 {' '.join(f'{one:08d}' for one in at)}  \n"
            for word, at in sorted(senses.items())
        )
        (folder / f"index.{name}").write_text(LICENCE + "".join(lines))
        rows = (exceptions or {}).get(name, {})
        (folder / f"{name}.exc").write_text("".join(f"{word} {base}\n" for word, base in rows.items()))
    return folder
