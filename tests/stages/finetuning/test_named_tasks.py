"""Each named task on rows in the columns that its data set has on the hub, and the forms that rows may come in."""

import json
from pathlib import Path

import pytest
from datasets import Dataset

from alum.core.errors import InputError
from alum.stages.finetuning.arguments import FinetuneArguments
from alum.stages.finetuning.config import FinetuneConfig
from alum.stages.finetuning.run import finetune
from alum.stages.pretraining.arguments import PretrainArguments
from alum.stages.pretraining.config import PretrainConfig
from alum.stages.pretraining.run import pretrain
from alum.tasks.named import TASKS

CONTEXT = "The river Aare rises in the Alps and joins the Rhine near Koblenz."
SPAN = {"text": ["the Alps"], "answer_start": [CONTEXT.index("the Alps")]}
NO_SPAN = {"text": [], "answer_start": []}

# Two rows for each task, in the hub's columns and types.
ROWS = {
    "cola": [{"sentence": "they left", "label": 1, "idx": 0}, {"sentence": "left they the", "label": 0, "idx": 1}],
    "mnli": [
        {"premise": "a man runs", "hypothesis": "a man moves", "label": 0, "idx": 0},
        {"premise": "a man runs", "hypothesis": "nobody runs", "label": 2, "idx": 1},
    ],
    "qnli": [
        {"question": "who ran?", "sentence": "a man ran", "label": 0, "idx": 0},
        {"question": "who ran?", "sentence": "it rained", "label": 1, "idx": 1},
    ],
    "scitail": [
        {"premise": "ice is frozen water", "hypothesis": "water freezes to ice", "label": "entails"},
        {"premise": "ice is cold", "hypothesis": "the sun is a star", "label": "neutral"},
    ],
    "stsb": [
        {"sentence1": "a plane", "sentence2": "an aircraft", "label": 5.0, "idx": 0},
        {"sentence1": "a plane", "sentence2": "a plant", "label": 0.4, "idx": 1},
    ],
    "swag": [
        {"video-id": "v1", "fold-ind": "1", "startphrase": "She sits. She", "sent1": "She sits.", "sent2": "She",
         "gold-source": "gold", "ending0": "stands.", "ending1": "flies.", "ending2": "melts.", "ending3": "is two.",
         "label": 0},
        {"video-id": "v2", "fold-ind": "2", "startphrase": "He runs. He", "sent1": "He runs.", "sent2": "He",
         "gold-source": "gold", "ending0": "melts.", "ending1": "stops.", "ending2": "rains.", "ending3": "is red.",
         "label": 1},
    ],
    "hellaswag": [
        {"ind": 4, "activity_label": "Rowing", "ctx_a": "A boat floats.", "ctx_b": "The rower", "ctx": "A boat floats. "
         "The rower", "endings": ["rows.", "melts.", "rains.", "sings red."], "source_id": "a~b", "split": "train",
         "split_type": "indomain", "label": "0"},
        {"ind": 5, "activity_label": "Rowing", "ctx_a": "A man sits.", "ctx_b": "He", "ctx": "A man sits. He",
         "endings": ["rains.", "melts.", "is two.", "stands."], "source_id": "c~d", "split": "train",
         "split_type": "indomain", "label": "3"},
    ],
    "codah": [
        {"id": 0, "question_category": 0, "question_propmt": "A dog", "candidate_answers": ["barks", "sings", "reads",
         "rains"], "correct_answer_idx": 0},
        {"id": 1, "question_category": 0, "question_propmt": "A bird", "candidate_answers": ["melts", "sings", "reads",
         "rains"], "correct_answer_idx": 1},
    ],
    "copa": [
        {"premise": "It rained.", "choice1": "I got wet.", "choice2": "I slept.", "question": "effect", "idx": 0,
         "label": 0},
        {"premise": "I am wet.", "choice1": "I slept.", "choice2": "It rained.", "question": "cause", "idx": 1,
         "label": 1},
    ],
    "squad": [
        {"id": "a", "title": "Aare", "context": CONTEXT, "question": "Where does it rise?", "answers": SPAN},
        {"id": "b", "title": "Aare", "context": CONTEXT, "question": "Where is its source?", "answers": SPAN},
    ],
    "squad_v2": [
        {"id": "a", "title": "Aare", "context": CONTEXT, "question": "Where does it rise?", "answers": SPAN},
        {"id": "b", "title": "Aare", "context": CONTEXT, "question": "How deep is it?", "answers": NO_SPAN},
    ],
    "conll2003": [
        {"id": "0", "tokens": ["Anna", "lives", "in", "Bern"], "pos_tags": [22, 42, 15, 22],
         "chunk_tags": [11, 21, 13, 11], "ner_tags": [1, 0, 0, 5]},
        {"id": "1", "tokens": ["It", "rains", "."], "pos_tags": [28, 42, 7], "chunk_tags": [11, 21, 0],
         "ner_tags": [0, 0, 0]},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory) -> str:
    """A tiny model that `pretrain` wrote: every kind of task starts from one."""
    folder = tmp_path_factory.mktemp("pretrained")
    words = sorted({word for rows in ROWS.values() for row in rows for word in str(row).split()})
    text = folder / "text.txt"
    text.write_text("\n\n".join(" ".join(words[i : i + 30]) for i in range(0, len(words) - 5, 5)))
    pretrain(
        PretrainArguments(train_file=[str(text)], vocab_size=300, max_seq_length=64, max_train_samples=4),
        PretrainConfig(output_dir=str(folder / "model"), max_steps=1, use_cpu=True, save_strategy="no"),
    )
    return str(folder / "model")


def config(folder: Path, **settings) -> FinetuneConfig:
    given = {"adv_method": "alum_one_pass", "max_steps": 2, "per_device_train_batch_size": 2, "save_strategy": "no"}
    return FinetuneConfig(output_dir=str(folder), use_cpu=True, disable_tqdm=True, **{**given, **settings})


def write(folder: Path, **splits) -> str:
    folder.mkdir()
    for split, rows in splits.items():
        (folder / f"{split}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return str(folder)


@pytest.mark.quick_cases(6)
@pytest.mark.parametrize("task", ROWS)
def test_a_task_runs_on_the_hubs_columns(task, pretrained, tmp_path):
    names = {"mnli": {"validation_matched": ROWS[task], "validation_mismatched": ROWS[task]}}
    splits = names.get(task, {"validation": ROWS[task]})
    data = write(tmp_path / "data", train=ROWS[task], **splits)
    result = finetune(
        FinetuneArguments(model_name_or_path=pretrained, task=task, data_dir=data), config(tmp_path / "run")
    )
    expected = {"loss", *TASKS[task].source.metrics}
    if task == "mnli":
        expected |= {f"validation_mismatched_{name}" for name in expected}
    assert set(result.metrics) == expected
    predictions = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()]
    assert len(predictions) == 2
    assert (tmp_path / "run" / "README.md").read_text().startswith("---\nlibrary_name: transformers")


def test_rows_give_the_same_result_in_every_form(pretrained, tmp_path):
    rows = ROWS["qnli"] * 4
    table = Dataset.from_list(rows)
    table.to_json(tmp_path / "rows.jsonl")
    table.to_csv(tmp_path / "rows.csv")
    table.to_parquet(tmp_path / "rows.parquet")
    found = {}
    for form in ("jsonl", "csv", "parquet"):
        file = str(tmp_path / f"rows.{form}")
        arguments = FinetuneArguments(model_name_or_path=pretrained, task="qnli", train_file=file, validation_file=file)
        found[form] = finetune(arguments, config(tmp_path / form)).metrics
    arguments = FinetuneArguments(model_name_or_path=pretrained, task="qnli")
    found["memory"] = finetune(
        arguments, config(tmp_path / "memory"), splits={"train": table, "validation": table}
    ).metrics
    for metrics in found.values():
        assert metrics == pytest.approx(found["jsonl"], abs=1e-6)


def test_the_unlabelled_test_set_is_written_as_glue_takes_it(pretrained, tmp_path):
    hidden = [{**row, "label": -1} for row in ROWS["cola"]]
    data = write(tmp_path / "data", train=ROWS["cola"], validation=ROWS["cola"], test=hidden)
    finetune(
        FinetuneArguments(model_name_or_path=pretrained, task="cola", data_dir=data),
        config(tmp_path / "run", do_predict=True),
    )
    header, *lines = (tmp_path / "run" / "CoLA.tsv").read_text().splitlines()
    assert header == "index\tprediction"
    assert [line.split("\t")[0] for line in lines] == ["0", "1"]
    assert {line.split("\t")[1] for line in lines} <= {"0", "1"}


def test_unlabelled_rows_are_left_out_and_counted(pretrained, tmp_path):
    data = write(tmp_path / "data", train=[*ROWS["mnli"], {**ROWS["mnli"][0], "label": -1}], validation=ROWS["mnli"])
    result = finetune(
        FinetuneArguments(model_name_or_path=pretrained, task="mnli", data_dir=data), config(tmp_path / "run")
    )
    assert (result.num_train_rows, result.num_unlabelled_rows) == (2, 1)


def test_the_best_checkpoint_is_kept_and_training_stops_early(pretrained, tmp_path):
    data = write(tmp_path / "data", train=ROWS["cola"] * 8, validation=ROWS["cola"])
    settings = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1, "max_steps": 50}
    # Nothing is learned at this rate, so that no evaluation is better than the first.
    settings |= {"load_best_model_at_end": True, "early_stopping_patience": 2, "learning_rate": 1e-12}
    result = finetune(
        FinetuneArguments(model_name_or_path=pretrained, task="cola", data_dir=data),
        config(tmp_path / "run", **settings),
    )
    assert result.num_steps == 3
    state = json.loads((tmp_path / "run" / "trainer_state.json").read_text())
    assert state["best_model_checkpoint"].endswith("checkpoint-1")


@pytest.mark.parametrize(
    ("task", "change", "message"),
    [
        ("cola", {"label": 2}, r"train, row 1: label 2 in column 'label' is none of 0 \(unacceptable\), 1"),
        ("cola", {"sentence": None}, "train, row 1: column 'sentence' must be text, not None"),
        ("stsb", {"label": "high"}, "row 1: label 'high' in column 'label' is no number"),
        ("swag", {"label": 4}, "row 1"),
        ("squad", {"answers": {"text": ["the Alps"], "answer_start": [0]}}, "row 1"),
        ("conll2003", {"ner_tags": [0]}, "row 1"),
    ],
)
def test_a_row_that_does_not_fit_is_named_before_training(task, change, message, pretrained, tmp_path):
    data = write(tmp_path / "data", train=[{**ROWS[task][0], **change}, ROWS[task][1]], validation=ROWS[task])
    if task == "stsb":
        (tmp_path / "data" / "train.jsonl").write_text(json.dumps({**ROWS[task][0], **change}))
    with pytest.raises(InputError, match=message):
        finetune(FinetuneArguments(model_name_or_path=pretrained, task=task, data_dir=data), config(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
