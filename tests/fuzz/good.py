"""Files and command lines that are right, of which bad ones are made."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from alum.cli.main import main
from alum.data.pretraining.tokenizer import train_byte_level_bpe
from tiny_models import language_model
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows, write_text

STEPS = [
    "--max_steps",
    "1",
    "--per_device_train_batch_size",
    "4",
    "--use_cpu",
    "--disable_tqdm",
    "true",
    "--save_strategy",
    "no",
]
COLUMNS = ["--text_columns", "text", "--label_column", "label"]


@dataclass(frozen=True)
class Good:
    """A right command line, without the command; words that are files or folders stand as keys of ``files``."""

    command: str
    words: tuple[str, ...]


STUDY = """\
base: {model_name_or_path: model, text_columns: text, label_column: label, max_steps: 1, max_seq_length: 16}
tasks: {opinions: {train_file: rows.jsonl, validation_file: rows.jsonl, test_file: rows.jsonl}}
arms: {alum_one_pass: {}}
seeds: 0:1
"""
CONFIG = """\
task: null
learning_rate: 1e-4
adv_method: alum
"""

GOOD = (
    Good("pretrain", ("--train_file", "text.txt", "--model_name_or_path", "model", "--max_seq_length", "16", *STEPS)),
    Good("pretrain", ("--train_file", "text.txt", "--architecture", "bert-tiny", "--vocab_size", "200",
                      "--max_seq_length", "16", *STEPS)),
    Good("finetune", ("--model_name_or_path", "model", "--train_file", "rows.jsonl", "--validation_file", "rows.jsonl",
                      *COLUMNS, *STEPS)),
    Good("finetune", ("--model_name_or_path", "model", "--train_file", "rows.csv", "--validation_file", "rows.csv",
                      *COLUMNS, "--config", "config.yaml", *STEPS)),
    Good("finetune", ("--model_name_or_path", "model", "--train_file", "tags.jsonl", "--validation_file", "tags.jsonl",
                      "--kind", "token_classification", "--text_columns", "tokens", "--label_column", "tags", *STEPS)),
    Good("finetune", ("--model_name_or_path", "model", "--train_file", "choices.jsonl", "--validation_file",
                      "choices.jsonl", "--text_columns", "text", "--choice_columns", "one", "two", "--label_column",
                      "label", *STEPS)),
    Good("evaluate", ("--model_name_or_path", "classifier", "--suites", "own=rows.jsonl", *COLUMNS, "--attacks",
                      "typing", "pgd", "--max_eval_samples", "4", "--num_steps", "2")),
    Good("evaluate", ("--model_name_or_path", "a=classifier", "b=classifier", "--suites", "own=rows.csv", *COLUMNS,
                      "--attacks", "deepwordbug", "--max_eval_samples", "3")),
    Good("attack", ("--model_name_or_path", "classifier", "--text", "the warm cat sees the dog", "--label", "good")),
    Good("augment", ("--data_file", "rows.jsonl", "--text_columns", "text", "--output_file", "more.csv",
                     "--overwrite_output_file", "--changes", "typing,homoglyphs", "--word_share", "0.3")),
    Good("augment", ("--data_file", "rows.csv", "--text_columns", "text", "--output_file", "more.jsonl",
                     "--overwrite_output_file", "--attack", "deepwordbug", "--model_name_or_path", "classifier")),
    Good("finetune", ("--model_name_or_path", "model", "--train_file", "rows.jsonl", "--validation_file", "rows.jsonl",
                      *COLUMNS, "--adv_space", "both", "--adv_text_draws", "2", *STEPS)),
    Good("radius", ("--model_name_or_path", "classifier", "--train_file", "rows.jsonl", *COLUMNS)),
    Good("reduce", ("--model_name_or_path", "classifier", "--validation_file", "rows.jsonl", *COLUMNS,
                    "--max_eval_samples", "3", "--num_examples", "1")),
    Good("triggers", ("--model_name_or_path", "classifier", "--validation_file", "rows.jsonl", *COLUMNS,
                      "--max_eval_samples", "8", "--num_words", "1")),
    Good("checklist", ("--model_name_or_path", "classifier", "--validation_file", "rows.csv", *COLUMNS,
                       "--positive_label", "good", "--negative_label", "bad", "--max_eval_samples", "4")),
    Good("plan", ("--model_name_or_path", "model", "--max_seq_length", "16", "--num_tokens", "1e6",
                  "--output_file", "plan.json")),
    Good("plan", ("--architecture", "bert-tiny", "--head", "sequence_classification", "--vocab_size", "200",
                  "--strategy", "zero2", "--num_devices", "8", "--json")),
    Good("advglue", ("--models", "sst2=opinions", "--data_dir", "adv_glue")),
    Good("evaluate", ("--model_name_or_path", "decoder", "--suites", "own=completions.jsonl", "--kind", "causal_lm",
                      "--attacks", "none", "--max_eval_samples", "3")),
    Good("evaluate", ("--model_name_or_path", "decoder", "--suites", "own=rows.jsonl", *COLUMNS, "--prompt",
                      "{text} it is", "--answers", "good", "bad", "--attacks", "deepwordbug", "pgd",
                      "--max_eval_samples", "3", "--num_steps", "1")),
    Good("study", ("study.yaml",)),
    Good("compare", ("one=classifier", "other=classifier")),
    Good("demo", ("--fast", "--seed", "-1", "--adv_method", "nothing")),
    Good("tasks", ()),
    Good("suites", ()),
    Good("methods", ()),
    Good("env", ()),
)  # fmt: skip
HAS_OUTPUT = (
    "pretrain", "finetune", "evaluate", "study", "demo", "radius", "reduce", "triggers", "checklist", "advglue",
)  # fmt: skip


def write_good_files(folder: Path) -> None:
    """Writes models and tables, a text, a study and a configuration that all are right."""
    folder.mkdir(parents=True)
    save_untrained(folder / "model")
    rows = opinions(16)
    write_rows(folder / "rows.jsonl", rows)
    lines = ["text,label", *(f'"{row["text"]}",{row["label"]}' for row in rows)]
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    tags = [{"tokens": row["text"].split(), "tags": ["O"] * len(row["text"].split())} for row in rows]
    write_rows(folder / "tags.jsonl", tags)
    choices = [
        {"text": row["text"], "one": "good", "two": "bad", "label": number % 2} for number, row in enumerate(rows)
    ]
    write_rows(folder / "choices.jsonl", choices)
    write_rows(folder / "completions.jsonl", [{"prompt": row["text"], "completion": row["label"]} for row in rows])
    (folder / "adv_glue").mkdir()
    sentences = [{"sentence": row["text"], "label": number % 2} for number, row in enumerate(rows[:4])]
    write_rows(folder / "adv_glue" / "adv_sst2.jsonl", sentences)
    write_text(folder / "text.txt", num_documents=20)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "config.yaml").write_text(CONFIG)
    code = main(
        ["finetune", "--model_name_or_path", str(folder / "model"), "--train_file", str(folder / "rows.jsonl"),
         "--validation_file", str(folder / "rows.jsonl"), *COLUMNS, *STEPS, "--output_dir", str(folder / "classifier")]
    )  # fmt: skip
    assert code == 0, "the right command line must do"
    assert json.loads((folder / "classifier" / "config.json").read_text())["id2label"]
    _save_opinions(folder)
    _save_decoder(folder / "decoder", [row["text"] for row in rows])


def _save_opinions(folder: Path) -> None:
    """The classifier once more, with SST-2's names of labels."""
    shutil.copytree(folder / "classifier", folder / "opinions")
    file = folder / "opinions" / "config.json"
    names = {"id2label": {"0": "negative", "1": "positive"}, "label2id": {"negative": 0, "positive": 1}}
    file.write_text(json.dumps({**json.loads(file.read_text()), **names}))


def _save_decoder(folder: Path, texts: list[str]) -> None:
    tokenizer = train_byte_level_bpe(texts, 300, 64, "causal_lm")
    sizes = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    language_model("gpt2", **sizes).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
