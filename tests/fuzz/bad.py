"""What is wrong about an invocation: values of flags, words, files of rows and settings, folders of models."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

VALUES = (
    "-1", "0", "1", "2", "-0", "1.5", "-1e-9", "1e30", "1e-320", "nan", "inf", "-inf", "99999999999999999999", "007",
    "", " ", "null", "none", "true", "false", "yes", "[]", "{}", "{", "[1, 2", '{"a": [1]}', "[[[]]]", "0x10", "1_000",
    "a" * 300, "é" * 150, "a/b/c", "\ud800", "a\x00b", "\x1b[31mred", "a\nb", "--", "-", "=", "a=b=c", "%s", "$A",
    "word", "embeddings", "accuracy", "loss", "epoch", "steps", "linear", "auto", "float99", "cpu", "cuda", "nccl",
    "missing.jsonl", "model", "classifier", "rows.jsonl", "text.txt", "folder", "loop", "/dev/null", "/proc/self/mem",
    "/proc/nothing", "x" * 50 + "/" + "y" * 300, "loop/x", "rows.jsonl/x", "binary",
)  # fmt: skip
"""Values for any flag, right for some of them."""

CONFIG_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 3, 5, 10**9, 10**20, 0.5, -0.5, float("nan"), "", "float99", "bert", "gpt2", "nothing", [],
    [1, 2], ["a"], {}, {"a": 1}, {"0": "good", "x": "bad"}, {"0": "good"}, [None], "a" * 300,
)  # fmt: skip

JSON_FILES = ("5", "null", "[", "[]", "{}", "", '"a"', "{" * 5000, "[" * 100_000, "\ufeff{}", "\x00", '{"a": NaN}')

Mutation = Callable[[random.Random, Path], str]
"""Spoils a copy of a right file or folder; says how."""


# -- rows --------------------------------------------------------------------------------------------------------------


def spoil_text(rng: random.Random, path: Path) -> str:
    """Any file of text: cut, emptied, filled with what is no text, or with one of its parts changed."""
    data = path.read_bytes()
    at = rng.randrange(len(data) or 1)
    changes: dict[str, Callable[[], bytes]] = {
        "emptied": lambda: b"",
        "cut": lambda: data[:at],
        "zeros": lambda: bytes(1000),
        "binary": lambda: rng.randbytes(2000),
        "utf-16": lambda: data.decode("utf-8", "replace").encode("utf-16"),
        "latin-1": lambda: data[:at] + b"\xe9\xff" + data[at:],
        "gzip": lambda: b"\x1f\x8b\x08\x00" + data,
        "byte": lambda: data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :],
        "carriage returns": lambda: data.replace(b"\n", b"\r"),
        "blank lines": lambda: data.replace(b"\n", b"\n\n\n"),
        "null lines": lambda: b"null\n" * rng.randint(1, 3) + data,
        "null line at the end": lambda: data + b"null\nnull\n",
        "brackets": lambda: b"[" * 100_000,
        "one line": lambda: data.replace(b"\n", b" "),
        "array": lambda: b"[" + b",".join(data.splitlines()) + b"]",
        "long line": lambda: data + b'{"text": "' + b"a" * 3_000_000 + b'", "label": "good"}\n',
    }
    name = rng.choice(list(changes))
    path.write_bytes(changes[name]())
    return f"{path.name}: {name}"


def spoil_rows(rng: random.Random, path: Path) -> str:
    """JSON lines: values of another type in one row or in all, columns that are missing or doubled."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    values = (
        None,
        "",
        0,
        1,
        -1,
        0.5,
        1e300,
        10**30,
        True,
        [],
        {},
        ["a"],
        [[1]],
        {"a": 1},
        " ",
        "good",
        "\x00",
        "\ud800",
    )
    column, value = rng.choice(list(rows[0])), rng.choice(values)
    chosen = rows if rng.random() < 0.4 else [rng.choice(rows)]
    how = rng.choice(("changed", "dropped", "renamed", "added"))
    for row in chosen:
        if how == "changed":
            row[column] = value
        elif how == "dropped":
            row.pop(column, None)
        elif how == "renamed":
            row[column + " "] = row.pop(column, None)
        else:
            row["other"] = value
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"{path.name}: {column} {how} in {len(chosen)} rows, {value!r}"


def spoil_yaml(rng: random.Random, path: Path) -> str:
    aliases = "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)
    ])  # fmt: skip
    texts = {
        "aliases in aliases": aliases,
        "refers to itself": "base: &a\n  b: *a\n",
        "nested": "a: " + "[" * 5000 + "]" * 5000,
        "tag": "a: !!python/object/apply:os.system ['true']\n",
        "number": "5",
        "list": "- a\n- b\n",
        "not yaml": "a: b: c\n  - [",
        "tabs": "a:\n\t- b\n",
        "null keys": "null: 1\n? [a]\n: 2\n",
        "two documents": "a: 1\n---\nb: 2\n",
        "dates": "seeds: 2020-01-01\nlearning_rate: 12:30\n",
    }
    if rng.random() < 0.5:
        name = rng.choice(list(texts))
        path.write_text(texts[name])
        return f"{path.name}: {name}"
    words = path.read_text().replace("{", "{ ").replace("}", " }").split(" ")
    at = rng.randrange(len(words))
    value = rng.choice([*CONFIG_VALUES, *VALUES])
    words[at] = value if isinstance(value, str) else json.dumps(value)
    path.write_text(" ".join(words), encoding="utf-8", errors="surrogatepass")
    return f"{path.name}: word {at} is {value!r}"


# -- models ------------------------------------------------------------------------------------------------------------


def spoil_model(rng: random.Random, folder: Path) -> str:
    spoil = rng.choice(
        (_config_key, _config_key, _json_file, _text_file, _weights, _tokenizer_key, _tokenizer_key, _gone)
    )
    return f"{folder.name}: {spoil(rng, folder)}"


def _config_key(rng: random.Random, folder: Path) -> str:
    file = folder / "config.json"
    config = json.loads(file.read_text())
    unusual = ("quantization_config", "_attn_implementation", "attn_implementation", "auto_map", "rope_scaling",
               "is_decoder", "tie_word_embeddings", "problem_type", "num_labels", "label2id", "torch_dtype",
               "layer_norm_eps", "hidden_act", "chunk_size_feed_forward", "text_config",
               "is_encoder_decoder")  # fmt: skip
    key, value = rng.choice([*config, *unusual]), rng.choice(CONFIG_VALUES)
    file.write_text(json.dumps({**config, key: value}))
    return f"config.json, {key}: {value!r}"


def _tokenizer_key(rng: random.Random, folder: Path) -> str:
    file = rng.choice([folder / "tokenizer_config.json", folder / "tokenizer.json"])
    config = json.loads(file.read_text())
    key, value = rng.choice(list(config)), rng.choice(CONFIG_VALUES)
    file.write_text(json.dumps({**config, key: value}))
    return f"{file.name}, {key}: {value!r}"


def _json_file(rng: random.Random, folder: Path) -> str:
    file, text = rng.choice(sorted(folder.glob("*.json"))), rng.choice(JSON_FILES)
    file.write_text(text, encoding="utf-8")
    return f"{file.name} is {text[:20]!r}"


def _text_file(rng: random.Random, folder: Path) -> str:
    return spoil_text(rng, rng.choice(sorted(folder.glob("*.json"))))


def _weights(rng: random.Random, folder: Path) -> str:
    file = folder / "model.safetensors"
    data, tensors = file.read_bytes(), load_file(file)
    name = rng.choice(sorted(tensors))
    how = rng.choice(("cut", "emptied", "empty header", "huge header", "dropped", "transposed", "nan", "byte", "index"))
    if how == "dropped":
        save_file({key: value for key, value in tensors.items() if key != name}, file, {"format": "pt"})
    elif how == "transposed":
        save_file({**tensors, name: torch.zeros(tuple(n + 1 for n in tensors[name].shape))}, file, {"format": "pt"})
    elif how == "nan":
        save_file({**tensors, name: torch.full_like(tensors[name], float("nan"))}, file, {"format": "pt"})
    elif how == "index":
        file.unlink()
        index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, "pytorch_model.bin")}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        (folder / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    else:
        at = rng.randrange(len(data))
        file.write_bytes(
            {
                "cut": data[:at],
                "emptied": b"",
                "empty header": b"\x02" + bytes(7) + b"{}",
                "huge header": b"\xff" * 8 + data[8:],
                "byte": data[: at % 400] + bytes([rng.randrange(256)]) + data[at % 400 + 1 :],
            }[how]
        )
    return f"model.safetensors {how} ({name})"


def _gone(rng: random.Random, folder: Path) -> str:
    path = rng.choice(sorted(folder.iterdir()))
    if rng.random() < 0.5 and path.is_file():
        path.unlink()
        path.mkdir()
        return f"{path.name} is a folder"
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return f"{path.name} is gone"
