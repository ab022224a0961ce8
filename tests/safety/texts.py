"""Cases of data, settings and names: texts that a terminal, a card or a page would obey, and code in YAML."""

import json
import pickle
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from safety.case import ATTACK, COMPARE, EVALUATE, FINETUNE, PRETRAIN, RADIUS, STUDY, Case, instead
from safety.hostile import MARKER, NAME, TEMPLATES, TEXT, Payload, update_json
from tiny_texts import opinions, write_rows

COLUMN, LABEL = f"text {TEXT}", f"good {TEXT}"


def _rows() -> list[dict[str, Any]]:
    return [
        {COLUMN: f"{row['text']} {TEXT}", "gold": LABEL if row["label"] == "good" else "bad"} for row in opinions(16)
    ]


def _write_csv(file: Path) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    lines = [f"{quoted(COLUMN)},gold", *(f"{quoted(row[COLUMN])},{quoted(row['gold'])}" for row in _rows())]
    file.write_text("\n".join(lines) + "\n")


def _write_parquet(file: Path) -> None:
    pq.write_table(pa.Table.from_pylist(_rows()), file)


WRITERS: dict[str, Callable[[Path], Any]] = {
    "jsonl": lambda file: write_rows(file, _rows()),
    "csv": _write_csv,
    "parquet": _write_parquet,
}
_OWN = {"text_columns": COLUMN, "label_column": "gold"}


def _trained_on(suffix: str) -> Callable[[Path], Sequence[str]]:
    def prepare(folder: Path) -> Sequence[str]:
        file = folder / f"{NAME}.{suffix}"
        WRITERS[suffix](file)
        return instead(FINETUNE, train_file=file.name, validation_file=file.name, **_OWN)

    return prepare


def _hostile_model(folder: Path) -> str:
    """The classifier under a hostile name, with hostile names of its labels; returns its name."""
    model = folder / NAME
    shutil.move(folder / "classifier", model)
    labels = {"0": "bad", "1": LABEL}
    label2id = {name: int(number) for number, name in labels.items()}
    update_json(model / "config.json", {"id2label": labels, "label2id": label2id})
    return model.name


def _evaluated(*attacks: str) -> Callable[[Path], Sequence[str]]:
    def prepare(folder: Path) -> Sequence[str]:
        model = _hostile_model(folder)
        rows = [{**row, "kind of text " + TEXT: f"{TEXT} {number % 2}"} for number, row in enumerate(_rows())]
        write_rows(folder / f"{NAME}.jsonl", rows)
        words = [*EVALUATE, "--group_column", "kind of text " + TEXT]
        at = words.index("typing")
        words[at : at + 1] = attacks
        suite = f"{NAME.replace('=', ' ')}={NAME}.jsonl"
        return instead(words, model_name_or_path=model, suites=suite, **_OWN)

    return prepare


def _attacked(folder: Path) -> Sequence[str]:
    model = _hostile_model(folder)
    return instead(ATTACK, model_name_or_path=model, text=f"the warm cat {TEXT}", label=LABEL)


def _radius(folder: Path) -> Sequence[str]:
    model = _hostile_model(folder)
    write_rows(folder / f"{NAME}.jsonl", _rows())
    return instead(RADIUS, model_name_or_path=model, train_file=f"{NAME}.jsonl", output_dir="out", **_OWN)


def _pretrained(folder: Path) -> Sequence[str]:
    shutil.move(folder / "text.txt", folder / f"{NAME}.txt")
    text = (folder / f"{NAME}.txt").read_text()
    (folder / f"{NAME}.txt").write_text(text.replace(" the ", f" the {TEXT} ") + f"\n\n{TEXT}\n")
    shutil.move(folder / "model", folder / f"{NAME} model")
    return instead(PRETRAIN, train_file=f"{NAME}.txt", model_name_or_path=f"{NAME} model")


def _tokens(folder: Path) -> Sequence[str]:
    """Hostile special tokens, one of them that of padding, which is told of where a model has none."""
    model = folder / "model"
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    replaced = json.dumps(tokenizer).replace('"[PAD]"', json.dumps(TEXT))
    (model / "tokenizer.json").write_text(replaced)
    update_json(model / "tokenizer_config.json", {"pad_token": TEXT})
    return FINETUNE


def _configuration(folder: Path) -> Sequence[str]:
    update_json(folder / "model" / "config.json", {"hidden_act": TEXT, "architectures": [TEXT], "model_type": TEXT})
    return FINETUNE


def _study(folder: Path) -> Sequence[str]:
    write_rows(folder / f"{NAME}.jsonl", _rows())
    file = f"{NAME}.jsonl"
    columns = {"text_columns": COLUMN, "label_column": "gold"}
    study = {
        "base": {"model_name_or_path": "model", "max_steps": 1, "max_seq_length": 16, **columns},
        "tasks": {TEXT: {"train_file": file, "validation_file": file, "test_file": file}},
        "arms": {"standard": {}, f"alum {TEXT}": {"adv_method": "alum"}},
        "seeds": "0:2",
    }
    (folder / "study.yaml").write_text(json.dumps(study))
    return STUDY


def _compared(folder: Path) -> Sequence[str]:
    return [COMPARE[0], f"{NAME.replace('=', '')}=classifier", "other=classifier", *COMPARE[3:]]


def _quoted(content: str, name: str = "rows.jsonl") -> Callable[[Path], Sequence[str]]:
    def prepare(folder: Path) -> Sequence[str]:
        (folder / name).write_text(content, errors="surrogatepass")
        return instead(FINETUNE, train_file=name)

    return prepare


def _yaml(name: str) -> Callable[[Path], Sequence[str]]:
    def prepare(folder: Path) -> Sequence[str]:
        (folder / name).write_text(f"base: !!python/object/apply:os.system ['touch {MARKER}']\n")
        return STUDY if name == "study.yaml" else [*FINETUNE, "--config", name]

    return prepare


def _yaml_keys(folder: Path) -> Sequence[str]:
    (folder / "config.yaml").write_text(json.dumps({TEXT: TEXT}))
    return [*FINETUNE, "--config", "config.yaml"]


def _pickled_type(folder: Path) -> Sequence[str]:
    """As of CVE-2023-47248: the type of a column that Arrow reads as a pickle, where it is let."""
    names = (b"ARROW:extension:name", b"ARROW:extension:metadata")
    metadata = dict(zip(names, (b"arrow.py_extension_type", pickle.dumps(Payload())), strict=True))
    rows = opinions(16)
    text = pa.array([row["text"] for row in rows])
    schema = pa.schema([pa.field("text", pa.string(), metadata=metadata), pa.field("label", pa.string())])
    pq.write_table(pa.table([text, [row["label"] for row in rows]], schema=schema), folder / "rows.parquet")
    return instead(FINETUNE, train_file="rows.parquet")


def _template(template: str) -> Callable[[Path], Sequence[str]]:
    def prepare(folder: Path) -> Sequence[str]:
        update_json(folder / "causal" / "tokenizer_config.json", {"chat_template": template})
        turns = [{"role": "user", "content": "the cat"}, {"role": "assistant", "content": "sees the dog"}]
        write_rows(folder / "chats.jsonl", [{"prompt": turns[:1], "answer": turns[1:]}] * 8)
        files = {"train_file": "chats.jsonl", "validation_file": "chats.jsonl", "model_name_or_path": "causal"}
        return instead(FINETUNE, kind="causal_lm", text_columns="prompt", label_column="answer", **files)

    return prepare


CASES = (
    *(
        Case("data", f"hostile names of columns, labels and file, {suffix.upper()}; alum finetune", _trained_on(suffix),
             is_refused=False)
        for suffix in WRITERS
    ),
    Case("data", "hostile texts, labels, groups and names; alum evaluate", _evaluated("typing", "pgd"), False),
    Case("data", "the same, attacked by characters", _evaluated("deepwordbug"), False),
    Case("data", "a hostile text and labels; alum attack", _attacked, False),
    Case("data", "hostile labels and names; alum radius", _radius, False),
    Case("data", "a hostile corpus and hostile names; alum pretrain", _pretrained, False),
    Case("data", "hostile names of tasks and arms; alum study", _study, False),
    Case("data", "hostile names of runs; alum compare", _compared, False),
    Case("data", "a column whose type is a pickle (Parquet)", _pickled_type, False),
    Case("data", "a line that is no JSON, quoted in the error", _quoted(f"{TEXT}\n"), True),
    Case("data", "other columns, named in the error", _quoted(json.dumps({TEXT: 1, f"{TEXT} 2": 2}) + "\n"), True),
    Case("data", "a label of another type, quoted in the error",
         _quoted(json.dumps({"text": "a", "label": [TEXT]}) + "\n"), True),
    Case("data", "malformed quotes in CSV", _quoted(f'text,label\n"a"{TEXT}",good\n', "rows.csv"), True),
    Case("settings", "a tag of Python in a study's YAML", _yaml("study.yaml"), True),
    Case("settings", "a tag of Python in a configuration's YAML", _yaml("config.yaml"), True),
    Case("settings", "hostile keys and values in YAML", _yaml_keys, True),
    Case("settings", "hostile flags", lambda folder: [*FINETUNE, f"--{TEXT}", TEXT], True),
    Case("settings", "a hostile command", lambda folder: [TEXT], True),
    Case("settings", "a hostile output_dir", lambda folder: instead(FINETUNE, output_dir=f"out {NAME}"), False),
    Case("model, configuration", "hostile names of type and architecture", _configuration, True),
    Case("model, tokenizer", "a hostile token of padding", _tokens, False),
    *(Case("chat template", tried, _template(template), True) for tried, template in TEMPLATES.items()),
)  # fmt: skip
