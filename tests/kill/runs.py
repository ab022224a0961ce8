"""Command lines that are killed, small ones of every stage, and the models and tables that they read."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoModel, AutoTokenizer, set_seed

from alum.cli.main import main
from alum.stages.demo.run import Scale
from small_wordnet import save_wordnet
from tiny_stages import save_untrained
from tiny_texts import opinions, write_rows, write_text

OUTPUT = "out"
INPUTS = "inputs"


@dataclass(frozen=True)
class Run:
    """A command without its ``--output_dir``, and what is added to it where it was ended before."""

    name: str
    stage: str
    words: tuple[str, ...]
    again: tuple[str, ...] = ()

    def command(self, is_again: bool) -> list[str]:
        return [*self.words, "--output_dir", OUTPUT, *(self.again if is_again else ())]


def _flags(**settings: Any) -> tuple[str, ...]:
    words: list[str] = []
    for name, value in settings.items():
        words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return tuple(words)


_TRAINING = {
    "max_steps": 6,
    "per_device_train_batch_size": 4,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "save_steps": 2,
    "adv_gain_draws": 1,
    "max_seq_length": 16,
    "use_cpu": True,
    "disable_tqdm": True,
}
_AGAIN = ("--resume_from_checkpoint", "true")


def _pretraining(name: str, **settings: Any) -> Run:
    texts = {"train_file": "inputs/text.txt", "cache_dir": "cache", "adv_method": "alum_one_pass"}
    words = ("pretrain", *_flags(**{**texts, **_TRAINING, "max_eval_samples": 8, **settings}))
    return Run(f"pretraining, {name}", "pretraining", words, _AGAIN)


def _finetuning(kind: str, rows: str, **settings: Any) -> Run:
    files = {"train_file": f"inputs/{rows}.jsonl", "validation_file": f"inputs/{rows}.jsonl", "max_eval_samples": 12}
    common = {"model_name_or_path": "inputs/model", "kind": kind, "adv_method": "alum"}
    words = ("finetune", *_flags(**{**common, **files, **_TRAINING, **settings}))
    return Run(f"fine-tuning, {kind.replace('_', ' ')}", "fine-tuning", words, _AGAIN)


def _evaluation(name: str, attacks: Sequence[str], **settings: Any) -> Run:
    common = {
        "suites": "own=inputs/rows.jsonl",
        "text_columns": "text",
        "label_column": "label",
        "max_seq_length": 16,
        "attacks": list(attacks),
        "per_device_eval_batch_size": 8,
    }
    return Run(f"evaluation, {name}", "evaluation", ("evaluate", *_flags(**{**common, **settings})))


_BOTH = ["a=inputs/classifier", "b=inputs/other"]

RUNS = (
    _pretraining("from scratch", architecture="bert-tiny", vocab_size=200, adv_start_fraction=0.5,
                 eval_strategy="steps", eval_steps=3),
    _pretraining("continual", model_name_or_path="inputs/headless", head_warmup_steps=6, count_flops_every=2,
                 save_total_limit=3),
    _pretraining("streamed", model_name_or_path="inputs/model", streaming=True, train_weights=[1, 2],
                 train_file=["inputs/text.txt", "inputs/more.txt"]),
    _finetuning("sentence_classification", "rows", text_columns="text", label_column="label", max_steps=12,
                eval_strategy="steps", eval_steps=2, early_stopping_patience=2, load_best_model_at_end=True,
                learning_rate=3e-2),
    _finetuning("token_classification", "tags", text_columns="tokens", label_column="tags", save_total_limit=1),
    _finetuning("multiple_choice", "choices", text_columns="text", choice_columns="one,two", label_column="label",
                eval_strategy="steps", eval_steps=2, save_strategy="best", metric_for_best_model="accuracy",
                save_total_limit=2, learning_rate=3e-2),
    _finetuning("regression", "numbers", text_columns="text", label_column="number", test_file="inputs/numbers.jsonl",
                adv_method="freelb", gradient_accumulation_steps=2),
    _evaluation("typing errors and PGD", ["typing", "pgd"], model_name_or_path=_BOTH, epsilons=[0.1, 0.5], num_steps=2,
                max_eval_samples=16, max_attacked_samples=10, adversarial_gain=True),
    _evaluation("characters", ["deepwordbug", "textbugger", "homoglyphs", "typos"], max_attacked_samples=10,
                model_name_or_path="inputs/classifier"),
    _evaluation("words", ["hotflip", "masked_lm", "wordnet"], model_name_or_path="inputs/classifier",
                masked_lm="inputs/model", wordnet_dir="inputs/wordnet", similarity_model="inputs/model",
                min_similarity=0.5, max_queries=30, max_attacked_samples=8),
    Run("study, two stages", "study", ("study", "inputs/study.yaml")),
    Run("demo", "demo", ("demo", "--fast")),
)  # fmt: skip


DEMO = Scale(
    passages_per_package=60, pretrain_steps=4, continual_steps=2, finetune_rows_per_package=12, finetune_epochs=1,
    eval_rows=4, max_seq_length=16,
)  # fmt: skip
"""Size of the demo, in the place of that of ``--fast``."""

_STUDY = """\
pretraining: {model_name_or_path: inputs/model, train_file: inputs/text.txt, test_file: inputs/more.txt, max_steps: 2,
              max_seq_length: 16, use_cpu: true}
base: {text_columns: text, label_column: label, max_steps: 2, max_seq_length: 16, use_cpu: true}
tasks: {opinions: {train_file: inputs/rows.jsonl, validation_file: inputs/rows.jsonl, test_file: inputs/rows.jsonl}}
arms: {both: {adv_method: alum_one_pass, pretrain: {adv_method: alum_one_pass}}}
evaluation: {attacks: [typing], max_attacked_samples: 8}
seeds: 0:1
"""


def write_inputs(folder: Path) -> None:
    """Writes all that the runs read."""
    folder.mkdir(parents=True)
    set_seed(0)
    save_untrained(folder / "model")
    AutoModel.from_pretrained(folder / "model").save_pretrained(folder / "headless")
    AutoTokenizer.from_pretrained(folder / "model").save_pretrained(folder / "headless")
    write_text(folder / "text.txt", num_documents=20)
    write_text(folder / "more.txt", num_documents=20, seed=1)
    rows = opinions(48)
    for row in rows:  # of different lengths, so that batches are
        row["text"] = " ".join([row["text"]] * random.Random(row["text"]).randint(1, 2))
    write_rows(folder / "rows.jsonl", rows)
    words = [row["text"].split() for row in rows]
    write_rows(
        folder / "tags.jsonl",
        [{"tokens": w, "tags": ["O", "B-X"] * (len(w) // 2) + ["O"] * (len(w) % 2)} for w in words],
    )
    choices = [{"text": row["text"], "one": "good", "two": "bad", "label": int(row["label"] == "bad")} for row in rows]
    write_rows(folder / "choices.jsonl", choices)
    write_rows(folder / "numbers.jsonl", [{"text": row["text"], "number": len(row["text"]) / 30} for row in rows])
    save_wordnet(folder / "wordnet", noun=["cat dog house", "river garden"], adj=["bright gloomy warm", "gentle cold"])
    (folder / "study.yaml").write_text(_STUDY)
    for name, seed in (("classifier", 1), ("other", 2)):
        words = _flags(model_name_or_path=folder / "model", train_file=folder / "rows.jsonl", text_columns="text",
                       label_column="label", validation_file=folder / "rows.jsonl", output_dir=folder / name, seed=seed,
                       **{**_TRAINING, "max_steps": 60, "learning_rate": 1e-2, "save_strategy": "no"})  # fmt: skip
        assert main(["finetune", *words]) == 0
