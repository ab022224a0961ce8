"""Files of predictions: a JSON line for each row, and the format of GLUE's server."""

import json
from pathlib import Path

from datasets import Dataset

from alum.data.values import as_json
from alum.data.writing import write_text
from alum.stages.finetuning.task_data import TaskData
from alum.tasks.base import GatheredOutputs
from alum.tasks.layout import ID_COLUMNS

GLUE_FILES = {
    "cola": "CoLA", "sst2": "SST-2", "mrpc": "MRPC", "stsb": "STS-B", "qqp": "QQP", "mnli": "MNLI", "qnli": "QNLI",
    "rte": "RTE", "wnli": "WNLI",
}  # fmt: skip
_WRITTEN_AS_NUMBERS = {"cola", "sst2", "mrpc", "qqp", "wnli"}


def write_predictions(folder: Path, split: str, data: TaskData, outputs: GatheredOutputs, features: Dataset) -> None:
    """Writes the predictions of a split as JSON lines, each with the row's number or id.

    The file is ``predictions.jsonl`` for the split ``validation``, else ``predictions_SPLIT.jsonl``. For a GLUE task's
    unlabelled test set, the tab-separated file that gluebenchmark.com takes is written too.
    """
    rows = data.splits[split] if split in data.splits else data.unlabelled[split]
    predicted, table = data.supervision.predict(outputs, features, rows), rows.table
    ids = next((table.column(name) for name in ID_COLUMNS if name in table.rows.column_names), None)
    name = "predictions.jsonl" if split == "validation" else f"predictions_{split}.jsonl"
    keys = ({"row": number} for number in table.numbers) if ids is None else ({"id": id_} for id_ in ids)
    records = ({**key, "prediction": prediction} for key, prediction in zip(keys, predicted, strict=True))
    write_text(folder / name, "".join(json.dumps(as_json(record), ensure_ascii=False) + "\n" for record in records))
    if split in data.unlabelled and data.name in GLUE_FILES:
        suffix = {"test_matched": "-m", "test_mismatched": "-mm"}.get(split, "")
        lines = ["index\tprediction"]
        for index, prediction in enumerate(predicted):
            if data.name in _WRITTEN_AS_NUMBERS:
                prediction = data.label_names.index(prediction)
            elif data.name == "stsb":
                prediction = f"{min(max(prediction, 0.0), 5.0):.3f}"
            lines.append(f"{index}\t{prediction}")
        write_text(folder / f"{GLUE_FILES[data.name]}{suffix}.tsv", "\n".join(lines) + "\n")
